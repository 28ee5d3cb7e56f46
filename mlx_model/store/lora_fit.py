"""Which models a LoRA is for, from the names and shapes in its header alone. Loads no MLX: the window asks too."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from ..errors import LayoutError
from ..specs import SPECS, ModelSpec
from .lora_names import FAMILIES, TEXT_ENCODERS, bare, families_of, shape_of, split_name

Shapes = Mapping[str, tuple[int, ...]]  # by tensor

# Layers that take the hidden state, by their names with _ for dots and # for numbers.
_INNER = re.compile(
    r"double_blocks_#_(img|txt)_(attn_(qkv|proj)|mod_lin)"
    r"|transformer_blocks_#_(attn_.*|norm#(_context)?_linear|ff(_context)?_(linear_in|net_#_proj))"
    r"|single_blocks_#_(modulation_lin|[qkv]_proj|mlp_in|linear#_(qkv|mlp))"
    r"|single_transformer_blocks_#_(attn_to_([qkv]|qkv_mlp_proj)|proj_mlp|norm_linear)"
    r"|double_blocks_#_processor_.*_lora#"
    r"|(txt|content)?_?mode_blocks_.*([qkv]_proj|attn_to_[qkv]|mlp_in)"
)
_FIRST_OF_SINGLE = ("single_blocks_#_linear#", "single_transformer_blocks_#_attn_to_qkv_mlp_proj")
_JOINT = {"flux1": 7, "flux2": 9}  # rows of a single block's first layer, in hidden widths: q, k, v and the MLP


class _Facts(NamedTuple):
    """What the names and shapes tell: families, the widths of what takes the hidden state, the deepest blocks."""

    titles: set[str]
    widths: set[int]
    joint: set[int]  # rows of single blocks' first layers
    double: int
    single: int


class Header(NamedTuple):
    """The first lines of a file: the shapes of its tensors, and the words that its program wrote beside."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Remembered as long as the file stays as it is. Raises LayoutError, OSError."""
    state = path.stat()
    return _read_header(path, (state.st_size, state.st_mtime_ns, state.st_ino))


@lru_cache(maxsize=64)
def _read_header(path: Path, stamp: tuple[int, ...]) -> Header:
    try:
        with safe_open(str(path), "np") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in list(opened.keys())}
            return Header(shapes, dict(opened.metadata() or {}))
    except SafetensorError as error:
        raise LayoutError(f"{path.name} is not a sound safetensors file: {error}.") from error


def count_bytes(path: Path, number_bytes: int, largest: int) -> int:
    """What a file takes in memory at numbers of that size; `largest`: numbers of the model's largest matrix.

    Kinds that are multiplied out at each use need room for such a matrix three times, in float32. Raises LayoutError.
    """
    shapes = read_header(path).shapes
    parts = {split_name(name)[1] for name in shapes}
    numbers = sum(math.prod(shape) for shape in shapes.values())
    multiplied = any(part in parts for part in ("magnitude", "hada_w1_a", "a1", "on_input"))
    return numbers * number_bytes + (3 * 4 * largest if multiplied else 0)


def list_fitting(shapes: Shapes) -> list[ModelSpec]:
    """The rows of SPECS that every layer of the file fits, as far as names and shapes tell; [] where none does."""
    facts = _read_facts(shapes)
    return [row for row in SPECS.values() if _fits(facts, row)] if facts.titles else []


def say_fitting(shapes: Shapes) -> str:
    """Such as "FLUX.2 klein 4B and FLUX.2 klein base 4B", or the family alone where nothing fits; "" if unknown."""
    facts = _read_facts(shapes)
    rows = list_fitting(shapes) if facts.widths or facts.joint else []  # else the names alone would tell
    titles = [row.title for row in rows if row.repo] or [row.title for row in rows] or sorted(facts.titles)
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def adapts_encoder(shapes: Shapes) -> bool:
    """Whether it has parts for a text encoder."""
    return any(name.startswith(TEXT_ENCODERS) for name in shapes)


def is_lora(shapes: Shapes) -> bool:
    """Whether anything in it is part of an adapter."""
    return any(split_name(name)[1] for name in shapes)


def _read_facts(shapes: Shapes) -> _Facts:
    titles, widths, joint, double, single = None, set(), set(), -1, -1
    for name, size in shapes.items():
        stem, part = split_name(name)
        found = set(families_of(stem)) if stem else set()
        if not found:
            continue
        titles = found if titles is None else (titles & found or titles)
        shape = shape_of(stem)
        double, single = _deepen(stem, double, single)
        if part == "down" and len(size) >= 2 and _INNER.fullmatch(shape):
            widths.add(size[1])
        if part == "up" and shape in _FIRST_OF_SINGLE and not stem.endswith("linear2"):
            joint.add(size[0])
    return _Facts(titles or set(), widths, joint, double, single)


def _deepen(stem: str, double: int, single: int) -> tuple[int, int]:
    """The deepest blocks so far."""
    name = bare(stem)
    found = re.search(r"blocks\D*(\d+)", name)
    if not found:
        return double, single
    number = int(found[1])
    return (double, max(single, number)) if name.startswith("single") else (max(double, number), single)


def _fits(facts: _Facts, row: ModelSpec) -> bool:
    if row.family not in FAMILIES or FAMILIES[row.family].title not in facts.titles:
        return False
    sizes: dict[str, Any] = row.transformer
    width = sizes.get("hidden_size", 0)
    deep = facts.double < sizes.get("depth", 0) and facts.single < sizes.get("depth_single_blocks", 0)
    joint = {_JOINT[row.family] * width} if row.family in _JOINT else facts.joint
    return deep and facts.widths <= {width} and facts.joint <= joint
