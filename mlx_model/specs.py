"""SPECS: one frozen row per model, the only place with model facts. Adding a variant of a known family is one row.

Imports nothing heavy: the window and `--help` read it.
Sources: the model cards and black-forest-labs/flux2 src/flux2/util.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

MEGAPIXEL = 1024 * 1024


@dataclass(frozen=True)
class Licence:
    name: str
    url: str
    summary: str
    consent: bool = False  # the user must agree before the download


APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", "free for any use")
FLUX_NC = Licence(
    "FLUX Non-Commercial",
    "https://huggingface.co/black-forest-labs/FLUX.2-dev/blob/main/LICENSE.md",
    "non-commercial use of the model; asks for filters or a manual review of what it makes",
    consent=True,
)


@dataclass(frozen=True)
class ModelSpec:
    name: str
    family: str  # the module in mlx_model with the transformer
    title: str
    licence: Licence
    repo: str | None  # on Hugging Face; None: ships with the app
    transformer: dict[str, Any]  # the Params of the family's transformer
    text: dict[str, Any]  # the Params of the text encoder
    text_family: str
    template: str  # the name of the prompt template in tokenize.py
    autoencoder: dict[str, Any] = field(default_factory=dict)
    gated: bool = False
    parameters: dict[str, int] = field(default_factory=dict)  # component -> number of weights that are kept
    download_bytes: int = 0
    files: tuple[str, ...] = ()  # patterns to download
    max_tokens: int = 512
    takes_text: bool = True
    max_references: int = 0
    mask: bool = False
    guidance_kind: Literal["none", "embedded", "cfg"] = "none"
    guidance: float = 1.0
    steps: int = 4
    mu: float | None = None  # a fixed shift of the schedule; None: the family's own rule
    reference_bank: bool = False  # references run alone at t = 0 and their K and V are kept (the KV checkpoints)
    size: tuple[int, int] = (1024, 1024)
    size_multiple: int = 16
    min_side: int = 64
    max_pixels: int = 4 * MEGAPIXEL
    output_pixels: int = MEGAPIXEL  # cap of a size taken from a reference
    reference_pixels: tuple[int, int] = (2024 * 2024, MEGAPIXEL)  # cap with one reference, with several

    def output_size(self, pixels: np.ndarray | None) -> tuple[int, int]:
        """Default (width, height): the shape of `pixels` (H, W, 3) scaled to at most output_pixels, else `size`."""
        if pixels is None:
            return self.size
        height, width = pixels.shape[:2]
        factor = min(1.0, math.sqrt(self.output_pixels / (width * height)))
        return self._fitting(width * factor), self._fitting(height * factor)

    def _fitting(self, side: float) -> int:
        return max(self.min_side, int(side) // self.size_multiple * self.size_multiple)


QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "out_layers": (9, 18, 27),
}
QWEN3_8B = {**QWEN3_4B, "hidden_size": 4096, "intermediate_size": 12288}
MISTRAL_24B = {
    "hidden_size": 5120,
    "intermediate_size": 32768,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "out_layers": (10, 20, 30),
}
DEV = {
    "hidden_size": 6144,
    "num_heads": 48,
    "depth": 8,
    "depth_single_blocks": 48,
    "context_in_dim": 15360,
    "guidance_embed": True,
}
KLEIN_4B = {"hidden_size": 3072, "num_heads": 24, "depth": 5, "depth_single_blocks": 20, "context_in_dim": 7680}
KLEIN_9B = {"hidden_size": 4096, "num_heads": 32, "depth": 8, "depth_single_blocks": 24, "context_in_dim": 12288}
DIFFUSERS_FILES = ("model_index.json", "transformer/*", "text_encoder/*", "tokenizer/*", "vae/*", "scheduler/*")
KLEIN: dict[str, Any] = {
    "family": "flux2",
    "text_family": "text_qwen3",
    "template": "klein",
    "files": DIFFUSERS_FILES,
    "max_references": 10,
    "mask": True,
}
BASE: dict[str, Any] = {"guidance_kind": "cfg", "guidance": 4.0, "steps": 50}
FOUR_B: dict[str, Any] = {
    **KLEIN,
    "transformer": KLEIN_4B,
    "text": QWEN3_4B,
    "licence": APACHE,
    "parameters": {"transformer": 3_875_544_576, "text_encoder": 3_114_088_192, "autoencoder": 84_046_372},
    "download_bytes": 15_980_000_000,
}
NINE_B: dict[str, Any] = {
    **KLEIN,
    "transformer": KLEIN_9B,
    "text": QWEN3_8B,
    "licence": FLUX_NC,
    "gated": True,
    "parameters": {"transformer": 9_078_581_248, "text_encoder": 5_831_883_520, "autoencoder": 84_046_372},
    "download_bytes": 34_900_000_000,
}

MINI = {
    "hidden_size": 192,
    "num_heads": 6,
    "depth": 2,
    "depth_single_blocks": 4,
    "context_in_dim": 384,
    "in_channels": 32,
    "axes_dim": (4, 12, 12, 4),
    "theta": 50.0,
}
MINI_TEXT = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "out_layers": (2, 3, 4),
    "vocab_size": 1024,
    "rope_theta": 1e4,
}
MINI_AUTOENCODER = {
    "ch": 8,
    "decoder_ch": 16,
    "ch_mult": (1, 2, 4, 6),
    "num_res_blocks": 1,
    "z_channels": 8,
    "groups": 4,
}

_ROWS = (
    ModelSpec(
        "mini",
        family="flux2",
        title="mini, the small built-in model",
        licence=APACHE,
        repo=None,
        transformer=MINI,
        text=MINI_TEXT,
        text_family="text_qwen3",
        template="klein",
        autoencoder=MINI_AUTOENCODER,
        max_tokens=48,
        max_references=3,
        mask=True,
        steps=16,
        mu=0.8,
        size=(128, 128),
        max_pixels=4 * 128 * 128,
        output_pixels=128 * 128,
        reference_pixels=(128 * 128, 128 * 128),
    ),
    ModelSpec(
        "flux2-dev",
        family="flux2",
        title="FLUX.2 dev",
        licence=FLUX_NC,
        repo="black-forest-labs/FLUX.2-dev",
        gated=True,
        transformer=DEV,
        text=MISTRAL_24B,
        text_family="text_mistral3",
        template="flux2-dev",
        files=DIFFUSERS_FILES,
        parameters={"transformer": 32_223_281_152, "text_encoder": 17_343_754_240, "autoencoder": 84_046_372},
        download_bytes=112_800_000_000,
        max_references=10,
        mask=True,
        guidance_kind="embedded",
        guidance=4.0,
        steps=50,
    ),
    ModelSpec("flux2-klein-4b", title="FLUX.2 klein 4B", repo="black-forest-labs/FLUX.2-klein-4B", **FOUR_B),
    ModelSpec(
        "flux2-klein-base-4b",
        title="FLUX.2 klein base 4B",
        repo="black-forest-labs/FLUX.2-klein-base-4B",
        **FOUR_B,
        **BASE,
    ),
    ModelSpec("flux2-klein-9b", title="FLUX.2 klein 9B", repo="black-forest-labs/FLUX.2-klein-9B", **NINE_B),
    ModelSpec(
        "flux2-klein-base-9b",
        title="FLUX.2 klein base 9B",
        repo="black-forest-labs/FLUX.2-klein-base-9B",
        **NINE_B,
        **BASE,
    ),
    ModelSpec(
        "flux2-klein-9b-kv",
        title="FLUX.2 klein 9B KV",
        repo="black-forest-labs/FLUX.2-klein-9b-kv",
        reference_bank=True,
        **NINE_B,
    ),
)
SPECS: dict[str, ModelSpec] = {row.name: row for row in _ROWS}
