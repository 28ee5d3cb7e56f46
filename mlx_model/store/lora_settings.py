"""How strongly an adapter counts by itself: what PEFT, diffusers and trainers say of alpha and rank beside its tensors.

The order: an alpha tensor of the layer; PEFT's settings, in the header (`lora_adapter_metadata`, as diffusers writes
it) or in adapter_config.json beside the file; `lora_alpha` in the header; else 1. kohya's `ss_network_alpha` in a
header is not used: its own converter multiplies alpha into the weights and keeps the header.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import LayoutError
from .lora_names import bare

LIMIT = 2**20  # bytes of settings
PATIENCE = 1.0  # seconds for the patterns of one layer: one that takes longer is made to
HEADER_ALPHA = ("lora_alpha", "alpha")
COMPONENTS = ("transformer", "text_encoder_2", "text_encoder")
BESIDE = "adapter_config.json"


@dataclass(frozen=True)
class Settings:
    """Of one file; `configs` by component, "" for settings that name none."""

    configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    alpha: float | None = None  # of the whole file, from its header
    note: str = ""  # where the strength comes from, where that is not in the file

    def scale(self, stem: str, rank: int | None) -> float:
        """alpha / rank of a layer as the file calls it. Raises LayoutError for settings that make no sense."""
        config = self._choose(stem)
        name = bare(stem)
        try:
            rank = rank or find_pattern(config.get("rank_pattern"), name) or config.get("r")
            alpha = find_pattern(config.get("alpha_pattern"), name)
            alpha = config.get("lora_alpha", config.get("alpha", self.alpha)) if alpha is None else alpha
            if alpha is None or not rank:
                return 1.0
            scale = float(alpha) / (math.sqrt(float(rank)) if config.get("use_rslora") else float(rank))
        except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise LayoutError(f"It comes with damaged settings: {error}.") from error
        if not math.isfinite(scale):
            raise LayoutError(f"It comes with damaged settings: alpha is {alpha}.")
        return scale

    def use_dora(self, stem: str) -> bool:
        return bool(self._choose(stem).get("use_dora"))

    def _choose(self, stem: str) -> dict[str, Any]:
        found = next((name for name in COMPONENTS if stem.startswith(f"{name}.") and name in self.configs), None)
        return self.configs.get(found or "transformer") or self.configs.get("", {})


def find_pattern(patterns: Mapping[str, Any] | None, name: str) -> Any:
    """The value of the first pattern that fits a layer's name, as PEFT matches: `(.*\\.)?(PATTERN)$`.

    Raises ValueError for a pattern that is no regular expression, or one that takes too long.
    """
    if not patterns:
        return None
    # re can't be told to stop, and these patterns come with files of strangers
    import regex  # type: ignore[import-untyped]

    for pattern, value in patterns.items():
        try:
            if regex.match(rf"(.*\.)?({pattern})$", name, timeout=PATIENCE):
                return value
        except regex.error as error:
            raise ValueError(f"{pattern!r} is no pattern: {error}") from error
        except TimeoutError as error:
            raise ValueError(f"the pattern {pattern[:60]!r} takes too long") from error
    return None


def read_settings(path: Path, metadata: Mapping[str, str], ranks: Mapping[str, int | None]) -> Settings:
    """What is said of a file; `ranks`: by stem, of its layers that have no alpha of their own.

    Raises LayoutError for settings that are damaged.
    """
    try:
        if told := metadata.get("lora_adapter_metadata"):
            return Settings(_split(_parse(told)))
        alpha = _read_number(metadata, HEADER_ALPHA) if ranks else None
        if (beside := _find_beside(path)) and ranks:
            config = _parse(beside.read_text("utf-8"))
            if beside.name != BESIDE or path.name == "adapter_model.safetensors" or _agrees(config, ranks):
                return Settings({"": config}, note=f"{path.name}: its strength is read from {beside.name} beside it.")
        if alpha is None:
            return Settings()
        return Settings(alpha=alpha, note=f"{path.name}: alpha {alpha:g} is read from its header.")
    except (ValueError, AttributeError, RecursionError, OSError) as error:
        raise LayoutError(f"{path.name} comes with damaged settings: {error}.") from error


def _parse(text: str) -> dict[str, Any]:
    if len(text) > LIMIT:
        raise ValueError("they are too large")
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("they are no list of settings")
    return values


def _split(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`transformer.r` and the like by component; what names none is the transformer's."""
    configs: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        component = next((name for name in COMPONENTS if key.startswith(f"{name}.")), "")
        configs.setdefault(component or "transformer", {})[key.removeprefix(f"{component}.")] = value
    return configs


def _find_beside(path: Path) -> Path | None:
    """PEFT's settings: under the file's own name, or under PEFT's where they can be no other file's."""
    own = [path.with_name(f"{path.stem}{mark}{BESIDE}") for mark in "._"]
    shared = path.with_name(BESIDE)
    alone = path.name == "adapter_model.safetensors" or not path.with_name("adapter_model.safetensors").is_file()
    return next((file for file in (*own, *([shared] if alone else [])) if file.is_file()), None)


def _agrees(config: dict[str, Any], ranks: Mapping[str, int | None]) -> bool:
    """Whether settings in a folder can be those of a file of any name: every rank is the one they tell."""
    pattern, usual = config.get("rank_pattern"), config.get("r")
    known = {stem: rank for stem, rank in ranks.items() if rank}
    return bool(known) and all(rank == (find_pattern(pattern, bare(stem)) or usual) for stem, rank in known.items())


def _read_number(metadata: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    text = next((metadata[name] for name in names if name in metadata), None)
    return None if text is None else float(text)
