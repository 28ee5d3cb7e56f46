"""Whether the sizes of a network can be true, before it is built or its memory counted. Needs no mlx.

They come from files that people share: a depth of 10**9 would build for hours, a width of 2**62 leave MLX's range.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

LARGEST = 2**24  # of a width or vocabulary; the largest published one is Qwen3's vocabulary of 151,936
MOST = 1024  # blocks, or entries of a list; the deepest published network has 48 blocks
COUNTS = re.compile(r"depth|layers|blocks")
FREE = re.compile(r"theta")  # a number as large as it likes


def check_sizes(sizes: Mapping[str, Any]) -> None:
    """Raises ValueError that names the first size which no network can have; kinds are left to the Params."""
    for name, value in sizes.items():
        values = value if isinstance(value, tuple) else (value,)
        if len(values) > MOST or not all(_possible(name, number) for number in values):
            raise ValueError(f"{name} can't be {str(value)[:40]}")


def _possible(name: str, number: Any) -> bool:
    if not isinstance(number, int | float):
        return number is None
    if FREE.search(name):
        return math.isfinite(number) and number > 0
    largest = MOST if COUNTS.search(name) else LARGEST
    return math.isfinite(number) and abs(number) <= largest and not (isinstance(number, int) and number < 0)
