"""Whether what a stranger's file says can be true, before anything is built of it: JSON, sizes of networks, tables.

Files that people share hold a depth of 10**9, which would build for hours, a width of 2**62 beyond MLX's range, numbers
without end, and what breaks the libraries that read them. Needs no mlx.
"""

import json
import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

JSON_LIMIT = 64 * 2**20  # bytes of what is read whole
DEEPEST, MOST_DIGITS = 100, 40  # levels of nesting; digits of a whole number: transformers writes int(1e30)
LARGEST, MOST_TOKENS = 2**26, 2_000_000  # bytes of a tokenizer's file; tokens of it
WIDEST = 2**24  # of a width or vocabulary; the largest published one is Qwen3's vocabulary of 151,936
MOST = 1024  # blocks, or entries of a list; the deepest published network has 48 blocks
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]|[0-9]{300,}', re.DOTALL)
COUNTS = re.compile(r"depth|layers|blocks")
FREE = re.compile(r"theta")  # a number as large as it likes
MOST_TENSORS = 20_000  # of a LoRA; six parts for each layer of the deepest model are 3,000
MOST_NUMBERS = 2**30  # of a tensor; the largest published matrix, Mistral's vocabulary, has 0.63 * 2**30
PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|script)\b", re.IGNORECASE)
SMALL = re.compile(r"eps")  # what keeps a division from one by zero
LISTS = re.compile(r"axes_dim|ch_mult|out_layers")
FRACTIONS = re.compile(r"theta|ratio|eps|scale|shift")
MAY_BE_ZERO = re.compile(r"depth|layers|blocks|axes|eos_token_id|shift")


def read_small(file: Path, largest: int = JSON_LIMIT) -> bytes:
    """The whole of a file. Raises ValueError for a pipe, which would be waited for, and more than `largest` bytes."""
    with open(file, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as handle:
        status = os.fstat(handle.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > largest:
            raise ValueError("it is too large")
        return handle.read(largest)


def find_page(file: Path) -> tuple[str, str] | None:
    """What a download left in the place of weights, a site's page or a pointer of Git LFS, and what to do. OSError."""
    with file.open("rb") as stream:
        start = stream.read(256)
    if start.startswith(b"version https://git-lfs"):
        return f"{file} is only a Git LFS pointer, not the weights.", "Run: git lfs pull"
    if PAGE.match(start):
        what = f"{file} is a web page, not the weights: the site wanted a login, or the address was that of a page."
        return what, "Log in there, and download the file itself."
    return None


def find_excess(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What no LoRA has, by its header alone: a name costs a millisecond, ten gigabytes a minute. "" for nothing."""
    if len(shapes) > MOST_TENSORS:
        return f"it has {len(shapes):,} tensors"
    name = next((name for name, shape in shapes.items() if math.prod(shape) > MOST_NUMBERS), None)
    return "" if name is None else f"{name[:80]} has {math.prod(shapes[name]):,} numbers"


def parse_json(text: str | bytes, absurd: float | None = None) -> Any:
    """The value; `absurd` stands in it for whole numbers without end.

    Raises ValueError, in words for people: no JSON, too deep, or such a number where there is no `absurd`.
    """

    def parse_whole(digits: str) -> int | float:
        if len(digits) <= MOST_DIGITS:
            return int(digits)
        if absurd is None:
            raise ValueError("it has a number of too many digits")
        return absurd

    try:
        value = json.loads(text, parse_int=parse_whole)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON at line {error.lineno}, column {error.colno}") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is no text in UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if measure_depth(value) > DEEPEST:
        raise ValueError("it is nested too deeply")
    return value


def check_nesting(text: str) -> None:
    """For a reader of JSON that recurses, or that breaks off at numbers without end: `text` is not parsed.

    Raises ValueError, in words for people.
    """
    depth = 0
    for match in TOKENS.finditer(text):
        token = match[0]
        if token.isdecimal():
            raise ValueError("it has a number of too many digits")
        depth = max(0, depth + (token in "[{") - (token in "]}"))
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")


def measure_depth(tree: object) -> int:
    """Levels of lists and objects; of deeper trees than DEEPEST only that they are."""
    level, depth = [tree], 0
    while level and depth <= DEEPEST:
        inner = [list(v.values()) if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level, depth = [item for items in inner for item in items], depth + 1
    return depth


@contextmanager
def contain_panics() -> Iterator[None]:
    """A panic of a library in Rust is no Exception: here it is a ValueError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the library that reads it broke off") from error


def check_charsmap(table: bytes) -> None:
    """The table of a Precompiled normaliser: a trie behind its size in bytes, then texts.

    Raises ValueError for a size that the library would abort the process for; an error inside the trie it survives, see
    contain_panics. Source: google/sentencepiece src/normalizer.cc.
    """
    size = int.from_bytes(table[:4], "little")
    if len(table) < 5 or size % 4 or not 0 < size <= len(table) - 4 or len(table) > 2**22:
        raise ValueError("its table of characters is damaged")


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
    largest, least = MOST if COUNTS.search(name) else WIDEST, 0 if MAY_BE_ZERO.search(name) else 1
    counts = isinstance(number, int) and not isinstance(number, bool)
    return math.isfinite(number) and abs(number) <= largest and (not counts or number >= least)


def check_heads(width: int, heads: int, axes: tuple[int, ...] | None = None) -> None:
    """Raises ValueError where `heads` don't share `width` channels, or `axes`, in pairs of channels, don't fill one."""
    if heads < 1 or width % heads:
        raise ValueError(f"{heads} heads can't share {width} channels")
    if axes is not None and (sum(axes) != width // heads or any(axis < 0 or axis % 2 for axis in axes)):
        raise ValueError(f"axes {axes} do not fill a head of {width}/{heads} channels")
