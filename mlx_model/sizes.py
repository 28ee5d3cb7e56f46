"""Whether the sizes of a network can be true, before it is built or its memory counted. Needs no mlx.

They come from files that people share: a depth of 10**9 would build for hours, a width of 2**62 leave MLX's range.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

LARGEST = 2**24  # of a width or vocabulary; the largest published one is Qwen3's vocabulary of 151,936
MOST = 1024  # blocks, or entries of a list; the deepest published network has 48 blocks
COUNTS = re.compile(r"depth|layers|blocks")
FREE = re.compile(r"theta")  # a number as large as it likes
SMALL = re.compile(r"eps")  # what keeps a division from one by zero
LISTS = re.compile(r"axes_dim|ch_mult|out_layers")
FRACTIONS = re.compile(r"theta|ratio|eps|scale|shift")
MAY_BE_ZERO = re.compile(r"depth|layers|blocks|axes|eos_token_id|shift")


def check_params(params: Any) -> None:
    """The same of the Params of a network, and whole numbers where they count something. Raises ValueError."""
    for field in fields(params):
        value = getattr(params, field.name)
        if field.type is int and type(value) is not int:
            raise ValueError(f"{field.name} can't be {str(value)[:40]}")
    check_sizes(asdict(params))


def check_sizes(sizes: Mapping[str, Any]) -> None:
    """Raises ValueError that names the first size which no network can have, or of another kind."""
    for name, value in sizes.items():
        values = value if isinstance(value, tuple) else (value,)
        odd = isinstance(value, tuple) != bool(LISTS.fullmatch(name))
        odd |= not FRACTIONS.search(name) and any(isinstance(number, float) for number in values)
        if odd or len(values) > MOST or not all(_possible(name, number) for number in values):
            raise ValueError(f"{name} can't be {str(value)[:40]}")


def _possible(name: str, number: Any) -> bool:
    if not isinstance(number, int | float):
        return number is None
    if FREE.search(name):
        return math.isfinite(number) and number > 0
    if SMALL.search(name):
        return 0 < number < 1
    largest, least = MOST if COUNTS.search(name) else LARGEST, 0 if MAY_BE_ZERO.search(name) else 1
    counts = isinstance(number, int) and not isinstance(number, bool)
    return math.isfinite(number) and abs(number) <= largest and (not counts or number >= least)


def check_heads(width: int, heads: int, axes: tuple[int, ...] | None = None) -> None:
    """Raises ValueError where `heads` don't share `width` channels, or `axes`, in pairs of channels, don't fill one."""
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads can't share {width} channels")
    if axes is not None and (sum(axes) != width // heads or any(axis < 0 or axis % 2 for axis in axes)):
        raise ValueError(f"axes {axes} do not fill a head of {width}/{heads} channels")
