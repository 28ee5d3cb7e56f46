"""Reads LoRA and LoKr files in the forms people publish: BFL and ComfyUI, diffusers and PEFT, kohya, LyCORIS.

Strict: every tensor belongs to a layer of the model, or the file is refused with the names and the reason.
Axis letters: r rank, i inputs, o outputs of the layer.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..errors import LayoutError, RequestError
from .lora_names import FAMILIES, TEXT_ENCODERS, Place, families_of, places, resolve
from .shards import Entry, header, load_lazily, metadata, unbroken

SHOWN = 5
FLOATS = ("F32", "F16", "BF16")
WHOLE = ("I64", "I32")  # an alpha may be one
ENDINGS = {
    **{f".{name}{kind}": part for name, part in (("lora_A", "down"), ("lora_B", "up")) for kind in
       (".weight", ".default.weight", "")},
    **{f".lora{dot}{part}.weight": part for dot in "_." for part in ("down", "up")},
    **{f".lokr_{part}": part for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b")},
    ".alpha": "alpha",
}  # fmt: skip
REFUSED = {
    r"\.dora_scale$|\.lora_magnitude_vector": "DoRA",
    r"\.hada_": "LoHa",
    r"\.b?oft_": "OFT",
    r"\.lokr_t2$": "LoKr of convolutions",
    r"\.lora_mid": "LoCon of convolutions",
    r"\.lora_B\.(default\.)?bias$": "LoRA with biases",
    r"\.diff(_b)?$": "difference of whole weights",
}

Groups = dict[str, tuple[Place, dict[str, str]]]  # layer as the file calls it -> its place, {part: tensor}
Sizes = dict[str, tuple[int, int]]  # layer -> (outputs, inputs)
Parts = dict[str, mx.array]


@dataclass(frozen=True)
class Adapter:
    """An addition to the matrix of one layer: first @ second (low rank), or their Kronecker product."""

    place: Place
    first: mx.array  # float32; low rank: up (rows, r) with alpha in it; Kronecker: (a, b) with alpha in it
    second: mx.array  # float32; low rank: down (r, i); Kronecker: (c, d), rows = ac, i = bd
    kronecker: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, inputs)."""
        (a, b), (c, d) = self.first.shape, self.second.shape
        return (a * c, b * d) if self.kronecker else (a, d)


def read(path: Path, family: str, sizes: Sizes) -> list[Adapter]:
    """The adapters of a file for a model with layers of these sizes.

    Raises RequestError (no such file), LayoutError (damaged, another kind, not for this model, or only in part).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise RequestError(f"There is no LoRA at {path}.")
    entries = header(path)
    _refuse_kinds(path, entries)
    known = places(family, sizes)
    grouped, unknown = _group(entries, known)
    if unknown or not grouped:
        raise LayoutError(*_reason(path, family, unknown, bool(grouped)))
    arrays, config = load_lazily(path), _config(path)
    adapters = []
    for stem, (place, names) in grouped.items():
        parts = {part: arrays[name].astype(mx.float32) for part, name in names.items()}
        _check_parts(path, stem, parts, sizes[place.layer])
        with unbroken(path.name):
            adapter = _adapter(path, stem, place, parts, config)
            _check_size(path, stem, adapter, sizes)
            _check_numbers(path, stem, adapter)  # last: until here nothing of the file is in memory
        adapters.append(adapter)
    return adapters


def _refuse_kinds(path: Path, entries: dict[str, Entry]) -> None:
    for name, (kind, _) in entries.items():
        what = next((what for mark, what in REFUSED.items() if re.search(mark, name)), None)
        if what:
            raise LayoutError(f"{path.name} is a {what}, which can't be used: {name}.", "Use a plain LoRA or LoKr.")
        if kind not in (*FLOATS, *(WHOLE if name.endswith(".alpha") else ())):
            raise LayoutError(f"{path.name} holds {kind} numbers, which can't be used: {name}.")


def _group(entries: Iterable[str], known: dict[str, Place]) -> tuple[Groups, list[str]]:
    """The tensors by layer, and those that belong to none."""
    grouped: Groups = {}
    unknown = []
    for name in entries:
        ending = next((ending for ending in ENDINGS if name.endswith(ending)), None)
        stem = name.removesuffix(ending or "")
        place = None if ending is None else resolve(stem, known)
        if ending is None or place is None:
            unknown.append(name)
            continue
        parts = grouped.setdefault(stem, (place, {}))[1]
        if ENDINGS[ending] in parts:
            unknown.append(name)
        else:
            parts[ENDINGS[ending]] = name
    return grouped, unknown


def _reason(path: Path, family: str, unknown: list[str], some: bool) -> tuple[str, str]:
    """Message and hint for tensors without a layer."""
    if not unknown:
        return f"{path.name} is empty.", ""
    shown = ", ".join(unknown[:SHOWN]) + (f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else "")
    fits = "fits this model only in part" if some else "does not fit this model"
    return f"{path.name} {fits}; {len(unknown)} tensors belong nowhere: {shown}.", _hint(family, unknown)


def _hint(family: str, unknown: list[str]) -> str:
    stems = [name for name in unknown if any(name.endswith(ending) for ending in ENDINGS)]
    stems = [next(name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)) for name in stems]
    if not stems:
        return "It does not look like a LoRA."
    if any(stem.startswith(TEXT_ENCODERS) for stem in stems):
        return "It adapts a text encoder, which can't be done here."
    own = FAMILIES[family].title if family in FAMILIES else ""
    titles = [families_of(stem) for stem in stems]
    if own and all(own in found for found in titles):
        return f"It is for a larger {own} than this one, or for another model that shares some names."
    others = [title for found in titles for title in found if title != own]
    return f"It is for {max(others, key=others.count)}." if others else "It is for another kind of model."


def _config(path: Path) -> dict[str, Any]:
    """What PEFT says about ranks and alpha, from the file's metadata or adapter_config.json beside it; {} without."""
    text = metadata(path).get("lora_adapter_metadata", "")
    beside = path.with_name("adapter_config.json")
    try:
        if not text and path.name == "adapter_model.safetensors" and beside.is_file():
            text = beside.read_text("utf-8")
        values = json.loads(text or "{}")
        config = {key.removeprefix("transformer."): value for key, value in values.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise LayoutError(f"{path.name} comes with damaged settings: {error}.") from error
    if config.get("use_dora"):
        raise LayoutError(f"{path.name} is a DoRA, which can't be used.", "Use a plain LoRA or LoKr.")
    return config


def _adapter(path: Path, stem: str, place: Place, parts: Parts, config: dict[str, Any]) -> Adapter:
    """Raises LayoutError where parts are missing, don't fit each other or are no numbers."""
    damaged = LayoutError(f"{path.name} is damaged: the parts of {stem} are incomplete or don't fit.")
    alpha = _number(path, stem, parts.pop("alpha")) if "alpha" in parts else None
    try:
        low = "down" in parts
        first, second = _low_rank(stem, parts, alpha, config) if low else _kronecker(parts, alpha)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise damaged from error
    if parts or first.ndim != 2 or second.ndim != 2 or (low and first.shape[1] != second.shape[0]):
        raise damaged
    return Adapter(place, first, second, kronecker=not low)


def _check_parts(path: Path, stem: str, parts: Parts, size: tuple[int, int]) -> None:
    """No rank is above the layer's longer side: a larger one is a trap for the memory."""
    limit = max(size) ** 2
    if any(array.size > limit for array in parts.values()):
        raise LayoutError(f"{path.name} is too large for this model: {stem} adapts a layer of {size[0]} x {size[1]}.")


def _check_numbers(path: Path, stem: str, adapter: Adapter) -> None:
    if not (mx.isfinite(adapter.first).all() and mx.isfinite(adapter.second).all()):
        raise LayoutError(f"{path.name} is damaged: {stem} holds infinite or undefined numbers.")


def _low_rank(stem: str, parts: Parts, alpha: float | None, config: dict[str, Any]) -> tuple[mx.array, mx.array]:
    down, up = parts.pop("down"), parts.pop("up")
    rank = down.shape[0]
    return up * (_peft_scale(stem, rank, config) if alpha is None else alpha / rank), down


def _kronecker(parts: Parts, alpha: float | None) -> tuple[mx.array, mx.array]:
    """Alpha counts where a factor has a rank, as in LyCORIS."""
    (first, rank1), (second, rank2) = _factor("w1", parts), _factor("w2", parts)
    rank = rank2 or rank1
    return first * (1.0 if alpha is None or not rank else alpha / rank), second


def _number(path: Path, stem: str, array: mx.array) -> float:
    value = array.item() if array.size == 1 else math.nan
    value = math.nan if isinstance(value, complex) else value
    if not math.isfinite(value):
        raise LayoutError(f"{path.name} is damaged: the alpha of {stem} is not a number.")
    return value


def _peft_scale(stem: str, rank: int, config: dict[str, Any]) -> float:
    """alpha / rank from PEFT's settings, 1 without any. Patterns name whole layers or their ends."""
    alphas = {**config.get("alpha_pattern", {})}
    named = [value for key, value in alphas.items() if f".{stem}".endswith(f".{key}")]
    alpha = (named or [config.get("lora_alpha", rank)])[0]
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _factor(name: str, parts: Parts) -> tuple[mx.array, int]:
    """A factor of a LoKr and its rank; 0 where it is stored whole."""
    if name in parts:
        return parts.pop(name), 0
    a, b = parts.pop(f"{name}_a"), parts.pop(f"{name}_b")
    return a @ b, b.shape[0]


def _check_size(path: Path, stem: str, adapter: Adapter, sizes: Sizes) -> None:
    outputs, inputs = sizes[adapter.place.layer]
    start, stop = rows_of(adapter.place, outputs, inputs)
    if adapter.shape != (stop - start, inputs):
        found = f"{adapter.shape[1]} inputs and {adapter.shape[0]} outputs"
        message = f"{path.name} is for a model of another size: {stem} has {found}, here {inputs} and {stop - start}."
        others = [title for title in families_of(stem) if title]
        raise LayoutError(message, f"The layer's name is one of {' and '.join(others)}." if others else "")


def rows_of(place: Place, outputs: int, inputs: int) -> tuple[int, int]:
    """First and last output row (exclusive) of a place in a layer."""
    return place.start * inputs, outputs if place.stop is None else place.stop * inputs
