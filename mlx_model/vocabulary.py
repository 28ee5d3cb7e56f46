"""tokenizer.json of a stranger, opened by the `tokenizers` library only where nothing in it can break that.

The library runs a file's regular expressions and normalisers in Rust: some of them never end, grow a prompt without
bound, or abort the process. So the parts are of known kinds, expressions repeat single characters only, and what is
not needed to turn a prompt into numbers is left out before the library sees the file.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import LayoutError
from .foreign import parse_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LARGEST, MOST_TOKENS, MOST_MERGES, MOST_ADDED, MOST_PARTS = 2**26, 2_000_000, 4_000_000, 100_000, 16
LONGEST_PATTERN, LONGEST_WORD, MOST_GROWTH = 2_000, 1_000, 64
NORMALIZERS = {
    "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Nmt", "BertNormalizer", "Replace", "Prepend",
    "Precompiled", "Sequence",
}  # fmt: skip
SPLITTERS = {
    "ByteLevel", "Split", "Metaspace", "WhitespaceSplit", "Whitespace", "BertPreTokenizer", "Punctuation", "Digits",
    "Sequence",
}  # fmt: skip
MODELS = {"BPE", "Unigram", "WordPiece", "WordLevel"}
NEEDED = ("version", "added_tokens", "normalizer", "pre_tokenizer", "model")
# A group that is repeated, what refers back or looks back, a flag that changes the syntax.
ENDLESS = re.compile(r"\)[*+{]|\)\?[+]|\\[1-9kg]|\(\?<|\(\?[a-z]*x|\}[*+{]|[*+?][*{]")
REPEATED = re.compile(r"\{(\d*),?(\d*)\}")


@contextmanager
def contain_panics() -> Iterator[None]:
    """A panic of a library in Rust is no Exception: here it is a ValueError."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the library that reads it broke off") from error


def open_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a file. Raises LayoutError where it is missing, damaged or could break the library."""
    from tokenizers import Tokenizer

    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        text = check_tokenizer(parse_json(file.read_text("utf-8")))
        with contain_panics():
            return Tokenizer.from_str(text)
    except OSError as error:
        raise LayoutError(f"{file} can't be read: {error.strerror}.", "Convert the model again.") from error
    except Exception as error:  # the library raises bare Exception for a broken file
        raise LayoutError(f"{file} can't be read: {str(error)[:200]}.", "Convert the model again.") from error


def check_tokenizer(values: Any) -> str:
    """What of a tokenizer.json the library gets. Raises ValueError where it could break that."""
    if not isinstance(values, dict) or not isinstance(values.get("model"), dict):
        raise ValueError("it holds no tokenizer")
    kept = {name: values.get(name) for name in NEEDED}
    kept["added_tokens"] = kept["added_tokens"] or []
    _check_model(values["model"])
    _check_added(kept["added_tokens"])
    growth = 1.0
    for part in _list_parts(kept["normalizer"], "normalizers", NORMALIZERS):
        growth *= _check_normalizer(part)
        if growth > MOST_GROWTH:
            raise ValueError("its normaliser makes a text longer without bound")
    for part in _list_parts(kept["pre_tokenizer"], "pretokenizers", SPLITTERS):
        _check_pattern(part.get("pattern"))
    return json.dumps(kept)  # the library may read two fields of one name otherwise than we do


def _list_parts(root: Any, inside: str, known: set[str]) -> list[dict[str, Any]]:
    """The parts of a normaliser or splitter; those of a sequence one by one."""
    parts, waiting = [], [root] if root is not None else []
    while waiting:
        part = waiting.pop(0)
        if not isinstance(part, dict) or part.get("type") not in known:
            kind = part.get("type") if isinstance(part, dict) else part
            raise ValueError(f"it has a part of the unknown kind {str(kind)[:40]!r}")
        inner = part.get(inside, []) if part["type"] == "Sequence" else []
        if not isinstance(inner, list) or len(parts) + len(waiting) + len(inner) > MOST_PARTS:
            raise ValueError(f"it has more than {MOST_PARTS} parts")
        parts.append(part)
        waiting += inner
    return parts


def _check_normalizer(part: dict[str, Any]) -> float:
    """How many times longer it can make a text."""
    if part["type"] == "Precompiled":
        table = part.get("precompiled_charsmap")
        check_charsmap(base64.b64decode(table if isinstance(table, str) else "", validate=True))
    if part["type"] == "Prepend":
        _check_word(part.get("prepend"), 16)
    if part["type"] != "Replace":
        return 1.0
    _check_word(part.get("content"), 16)
    _check_pattern(part.get("pattern"))
    pattern = part["pattern"].get("String") if isinstance(part.get("pattern"), dict) else None
    return max(1.0, len(part["content"]) / max(1, len(pattern) if isinstance(pattern, str) else 1))


def _check_pattern(pattern: Any) -> None:
    """A regular expression repeats single characters or classes of them, each not too often."""
    if not isinstance(pattern, dict) or not isinstance(regex := pattern.get("Regex"), str):
        if isinstance(pattern, dict):
            _check_word(pattern.get("String", "x"), LONGEST_WORD)
        return
    plain = re.sub(r"\\[pP]\{\^?\w{1,40}\}|\\[^1-9kg]", "c", regex)
    plain = re.sub(r"\[[^\]]*\]", "c", plain)  # a class is one character
    if len(regex) > LONGEST_PATTERN or ENDLESS.search(plain):
        raise ValueError("it has a regular expression that may never end")
    counts = [int(n) if len(n) < 9 else 10**9 for found in REPEATED.findall(plain) for n in found if n]
    if max(counts, default=0) > 100 or any(len(re.findall(r"[*+]", one)) > 4 for one in plain.split("|")):
        raise ValueError("it has a regular expression that may never end")


def check_charsmap(table: bytes) -> None:
    """The table of a Precompiled normaliser: a trie behind its size in bytes, then texts.

    Raises ValueError for a size that the library would abort the process for; an error inside the trie it survives, see
    contain_panics. Source: google/sentencepiece src/normalizer.cc.
    """
    size = int.from_bytes(table[:4], "little")
    if len(table) < 5 or size % 4 or not 0 < size <= len(table) - 4 or len(table) > 2**22:
        raise ValueError("its table of characters is damaged")


def _check_model(model: dict[str, Any]) -> None:
    if model.get("type", "BPE") not in MODELS:
        raise ValueError(f"it is of the unknown kind {str(model.get('type'))[:40]!r}")
    vocab, merges = model.get("vocab"), model.get("merges", [])
    if not isinstance(vocab, dict | list) or not isinstance(merges, list):
        raise ValueError("it has no vocabulary")
    if len(vocab) > MOST_TOKENS or len(merges) > MOST_MERGES:
        raise ValueError("its vocabulary has no end")
    numbers = vocab.values() if isinstance(vocab, dict) else ()
    if any(type(number) is not int or not 0 <= number < 2**31 for number in numbers):
        raise ValueError("its vocabulary has a number that is none")


def _check_added(added: Any) -> None:
    if not isinstance(added, list) or len(added) > MOST_ADDED:
        raise ValueError("its list of added tokens is damaged")
    for token in added:
        if not isinstance(token, dict):
            raise ValueError("its list of added tokens is damaged")
        _check_word(token.get("content"), LONGEST_WORD)


def _check_word(word: Any, longest: int) -> None:
    if not isinstance(word, str) or len(word) > longest:
        raise ValueError("it has a text without end")
