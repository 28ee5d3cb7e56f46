"""What the weights of a network take in memory, by the headers of their files; no mlx.

A network consists of blocks, which work one after the other. Where memory is short they are also read one after the
other, see streamed.py: then only what lies outside of them stays.
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..foreign import parse_json
from ..geometry import Size
from ..memory import Streamed, image_tokens, shape_of
from ..request import Lora
from ..specs import ModelSpec

HEADER_LIMIT = 10**8  # bytes, of a shard; the safetensors library's own
# What networks call their blocks, and their table of tokens, which is one more.
BLOCK = re.compile(
    r"(?:(?:double_blocks|single_blocks|txt_mode_blocks|content_mode_blocks\.\w+|blocks|layers|encoder\.block)\.\d+"
    r"|embed_tokens|shared)(?=\.)"
)


# What a time does to a block, where each has it of its own.
STEERING = re.compile(r"(?:double_blocks|single_blocks)\.\d+\.(?:img_mod|txt_mod|modulation)\.lin(?:\.|$)")


def steers(name: str) -> bool:
    """Whether a tensor or layer is of a block's own modulation, which is needed before the steps alone."""
    return STEERING.match(name) is not None


def block_of(name: str, axes: int) -> str:
    """The block that the tensor `name`, with so many axes, comes and goes with.

    "" for what stays: all outside of blocks, and their norms and biases, which are small.
    """
    found = BLOCK.match(name)
    return found[0] if found and axes > 1 else ""


def add_up(counted: dict[str, int]) -> Streamed:
    """What count_blocks has counted, with the two largest blocks."""
    blocks = sorted(count for block, count in counted.items() if block)
    return Streamed(counted.get("", 0), sum(blocks[-2:]))


def count_blocks(files: Iterable[tuple[Path, str]], number_bytes: int) -> dict[str, int]:
    """Bytes in memory by block, "" for what stays, of shards that are given with their sha256.

    Packed codes as they are, every other number in `number_bytes`.
    """
    counted: dict[str, int] = {}
    for file, sha256 in files:
        for block, (count, _) in _count_file(file, sha256, number_bytes).items():
            counted[block] = counted.get(block, 0) + count
    return counted


def count_steering(files: Iterable[tuple[Path, str]], number_bytes: int) -> int:
    """Bytes in memory of what steers blocks, of files as count_blocks has them."""
    return sum(own for file, sha256 in files for _, own in _count_file(file, sha256, number_bytes).values())


@lru_cache(maxsize=256)
def _count_file(file: Path, sha256: str, number_bytes: int) -> dict[str, tuple[int, int]]:
    """By block, and how much of that steers it. A file whose header can't be read, which loading will refuse, counts
    as it lies."""
    try:
        with file.open("rb") as handle:
            size = int.from_bytes(handle.read(8), "little")
            if size > HEADER_LIMIT:
                raise ValueError("too large")
            entries = parse_json(handle.read(size).decode())
        counted: dict[str, tuple[int, int]] = {}
        for name, entry in entries.items():
            if name != "__metadata__":
                block, width = block_of(name, len(entry["shape"])), 4 if entry["dtype"] == "U32" else number_bytes
                count, (whole, own) = int(math.prod(entry["shape"]) * width), counted.get(block, (0, 0))
                counted[block] = whole + count, own + count * steers(name)
        return counted
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {"": (file.stat().st_size, 0)} if file.exists() else {}


def count_adapters(folder: Any, loras: Sequence[Lora], number_bytes: int) -> int:
    """Bytes in memory of adapters. A transformer's largest matrix is at most nine times as high as wide.

    Raises RequestError, LayoutError.
    """
    if not loras:
        return 0
    from .lora_names import count_bytes

    largest = 9 * int(folder.components["transformer"].params.get("hidden_size", 0)) ** 2
    try:
        return sum(count_bytes(Path(lora.path), number_bytes, largest) for lora in loras)
    except OSError as error:
        raise RequestError(f"A LoRA is no longer there: {error.filename}.", "Put it back, or take it off.") from error


def count_step_cache(spec: ModelSpec, size: Size, threshold: float | None, number_bytes: int) -> int:
    """Bytes in memory of a step cache: what is kept of each pass, and what that is compared with, (1, N, h) each."""
    passes = 2 if spec.guidance_kind == "cfg" else 1
    return 0 if threshold is None else 4 * passes * image_tokens(spec, size) * shape_of(spec)[0] * number_bytes
