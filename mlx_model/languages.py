"""LANGUAGES: one frozen row per language model that writes prompts out and can be added by name.

FLUX.3's own writer, and what FLUX.2's text encoders are in full: a picture needs their first layers, writing all.
Sources: the repositories' pages; weights are counted from the published shapes (tests/data/layouts), of FLUX.3's writer
from Qwen3.5-9B's config, its eyes and its draft layers left out: mlx-lm reads the words alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .memory import Machine, weight_bytes
from .spec_parts import APACHE, Download, Licence

ROOM = 2**29  # bytes that writing takes beside the weights: a step's activations and the scores of its words


@dataclass(frozen=True)
class LanguageModel:
    """`weights` and `tokenizer`: the folders of the repository in which they lie, "" for itself."""

    name: str
    title: str
    repo: str
    parameters: int  # that writing needs
    token_bytes: int  # of a token's K and V in all layers that keep them, at 16 bits
    download_bytes: int
    advice: str
    weights: str = ""
    tokenizer: str = ""
    gated: bool = False
    licence: Licence = APACHE
    further: tuple[Download, ...] = ()  # as ModelSpec has it: nothing

    @property
    def files(self) -> tuple[str, ...]:
        """Patterns to download."""
        return ("*",) if not self.weights else (f"{self.weights}/*", f"{self.tokenizer}/*")

    def disk_bytes(self, bits: int) -> int:
        """The folder that is made of it, nearly."""
        return weight_bytes(self.parameters, min(bits, 16), 2)

    def memory_bytes(self, bits: int, tokens: int) -> int:
        """Predicted for a text of so many tokens, what is asked with it."""
        return self.disk_bytes(bits) + tokens * self.token_bytes + ROOM

    def fits(self, bits: int, tokens: int, here: Machine) -> bool:
        """Whether this machine can give it that."""
        return self.memory_bytes(bits, tokens) <= here.usable


_BFL = "black-forest-labs/"
_INSIDE: dict[str, Any] = {"weights": "text_encoder", "tokenizer": "tokenizer"}
_ROWS = (
    LanguageModel(
        "flux3-writer",
        title="FLUX.3's prompt writer",
        repo=_BFL + "flux-3-image-klein-pup",
        parameters=8_950_000_000,
        token_bytes=2 * 8 * 4 * 256 * 2,
        download_bytes=18_800_000_000,
        advice="A Qwen3.5-9B that FLUX.3's makers taught: they say not to use FLUX.3 without it.",
    ),
    LanguageModel(
        "qwen3-4b",
        title="Qwen3 4B, of FLUX.2 klein 4B",
        repo=_BFL + "FLUX.2-klein-4B",
        parameters=4_022_468_096,
        token_bytes=2 * 36 * 8 * 128 * 2,
        download_bytes=8_060_000_000,
        advice="The text encoder of FLUX.2 klein 4B in full.",
        **_INSIDE,
    ),
    LanguageModel(
        "qwen3-8b",
        title="Qwen3 8B, of FLUX.2 klein 9B",
        repo=_BFL + "FLUX.2-klein-9B",
        parameters=8_190_735_360,
        token_bytes=2 * 36 * 8 * 128 * 2,
        download_bytes=16_400_000_000,
        advice="The text encoder of FLUX.2 klein 9B in full.",
        gated=True,
        **_INSIDE,
    ),
    LanguageModel(
        "mistral-small",
        title="Mistral Small 3.2, of FLUX.2 dev",
        repo=_BFL + "FLUX.2-dev",
        parameters=23_572_403_200,
        token_bytes=2 * 40 * 8 * 128 * 2,
        download_bytes=48_100_000_000,
        advice="The text encoder of FLUX.2 dev in full.",
        gated=True,
        **_INSIDE,
    ),
)
LANGUAGES: dict[str, LanguageModel] = {row.name: row for row in _ROWS}
