"""Prompt -> token ids: the `tokenizers` library plus each model's prompt template.

Sources of the templates: black-forest-labs/flux2 src/flux2/text_encoder.py (klein and dev),
black-forest-labs/flux src/flux/modules/conditioner.py (T5 and CLIP: the prompt itself).
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tokenizers import Encoding, Tokenizer

from ..errors import LayoutError, say_reason
from ..foreign import LARGEST, MOST_TOKENS, check_charsmap, contain_panics, parse_json, read_small


@dataclass(frozen=True)
class Template:
    """How a prompt is wrapped, which side is filled up with padding, and what may not stand in it.

    `start` and `end` are tokens that stay where a long prompt is cut; `marks` are single tokens that stand in the text.
    """

    text: str
    padding: Literal["left", "right"] = "right"
    removed: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


# Byte for byte what the text encoder was given in training; the line break before "attribution" too.
MISTRAL_SYSTEM = (
    "You are an AI that reasons about image descriptions. You give structured responses focusing on object "
    "relationships, object\nattribution and actions without speculation."
)
QWEN, MISTRAL = ("<|im_start|>", "<|im_end|>"), ("<s>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]")
TEMPLATES = {
    "klein": Template(
        "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        marks=(*QWEN, "<think>", "</think>"),
    ),
    "flux3": Template("<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n", marks=QWEN),
    "flux2-dev": Template(
        f"<s>[SYSTEM_PROMPT]{MISTRAL_SYSTEM}[/SYSTEM_PROMPT][INST]{{prompt}}[/INST]",
        "left",
        removed=("[IMG]",),
        marks=MISTRAL,
    ),
    "t5": Template("{prompt}", end=("</s>",)),
    "clip": Template("{prompt}", start=("<|startoftext|>",), end=("<|endoftext|>",)),
}


class PromptTokenizer:
    """Tokenizer files of one model, opened once.

    Raises LayoutError where tokenizer.json or the padding token is missing.
    """

    def __init__(self, folder: Path, template: str, length: int):
        self.folder, self.template, self.length = folder, TEMPLATES[template], length
        self.tokenizer = open_tokenizer(folder / "tokenizer.json")
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    @cached_property
    def pad_id(self) -> int:
        try:
            token = parse_json(read_small(self.folder / "tokenizer_config.json")).get("pad_token")
            number = self.tokenizer.token_to_id(token["content"] if isinstance(token, dict) else token or "")
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            message = f"{self.folder / 'tokenizer_config.json'} is damaged: {say_reason(error)}."
            raise LayoutError(message, "Convert the model again.") from error
        if number is None:
            raise LayoutError(f"The tokenizer in {self.folder} names no padding token.", "Convert the model again.")
        return number

    def check(self, vocabulary: int) -> None:
        """Raises LayoutError where the tokenizer is not the one of an encoder with `vocabulary` tokens."""
        self._numbers((*self.template.start, *self.template.marks, *self.template.end))
        largest = max([self.pad_id, *self.tokenizer.get_vocab().values()])
        if largest >= vocabulary:
            message = f"The tokenizer in {self.folder} has a token {largest}, the text encoder {vocabulary} tokens"
            raise LayoutError(f"{message}: they are of different models.", "Give the tokenizer of this model.")

    def __call__(self, prompt: str) -> tuple[np.ndarray, np.ndarray]:
        """One prompt -> (ids (1, length) int32, padded and cut to length, real (1, length) bool)."""
        ids = self.ids(prompt)
        padding = [self.pad_id] * (self.length - len(ids))
        real = np.arange(self.length) < len(ids)
        if self.template.padding == "left":
            return np.array([padding + ids], np.int32), real[::-1].copy()[None]  # mlx takes no reversed views
        return np.array([ids + padding], np.int32), real[None]

    def ids(self, prompt: str) -> list[int]:
        """The tokens of the wrapped prompt, cut to length."""
        start, end = self._numbers(self.template.start), self._numbers(self.template.end)
        return [*start, *self._tokens(prompt)[: self.length - len(start) - len(end)], *end]

    def left_out(self, prompt: str) -> int:
        """How many tokens of the wrapped prompt are cut off."""
        ends = len(self.template.start) + len(self.template.end)
        return max(0, len(self._tokens(prompt)) + ends - self.length)

    def words_left_out(self, prompt: str) -> list[str]:
        """The words of the prompt that are cut off, the first of them perhaps in part; none where all is read."""
        count = self.left_out(prompt)
        if not count:
            return []
        text, encoding = self._encode(prompt)
        end = len(text) - len(self.template.text.partition("{prompt}")[2])
        begin = min(encoding.offsets[-count][0], end - 1)
        while begin > 0 and not text[begin - 1].isspace() and not text[begin].isspace():
            begin -= 1  # the whole of a word whose end is not read
        return text[begin:end].split()

    def _tokens(self, prompt: str) -> list[int]:
        ids: list[int] = self._encode(prompt)[1].ids
        return ids

    def _encode(self, prompt: str) -> tuple[str, Encoding]:
        """What the model reads of a prompt, and its tokens."""
        for word in self.template.removed:
            prompt = prompt.replace(word, "")
        text = self.template.text.replace("{prompt}", prompt)
        try:
            with contain_panics():
                return text, self.tokenizer.encode(text, add_special_tokens=False)
        except Exception as error:  # the library's own errors have no class
            message = f"The tokenizer in {self.folder} can't read the prompt: {str(error)[:200]}."
            raise LayoutError(message, "Convert the model again.") from error

    def _numbers(self, tokens: tuple[str, ...]) -> list[int]:
        numbers = [number for token in tokens if (number := self.tokenizer.token_to_id(token)) is not None]
        if len(numbers) < len(tokens):
            raise LayoutError(f"The tokenizer in {self.folder} lacks one of {tokens}.", "Convert the model again.")
        return numbers


# The library runs a file's regular expressions and normalisers in Rust: some of them never end, grow a prompt without
# bound, or abort the process. So the parts are of known kinds, expressions repeat single characters only, and what is
# not needed to turn a prompt into numbers is left out before the library sees the file.
MOST_MERGES, MOST_ADDED, MOST_PARTS = 4_000_000, 100_000, 16
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


def open_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer of a file. Raises LayoutError where it is missing, damaged or could break the library."""
    try:
        text = check_tokenizer(parse_json(read_small(file, LARGEST)))
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
    parts: list[dict[str, Any]] = []
    waiting = [root] if root is not None else []
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


def say_left_out(words: Sequence[str], model: str) -> str:
    """That `model` does not see these last words of a prompt."""
    many = len(words) > 1
    lost = f"{len(words)} words: the last, from “{words[0]}” on, are" if many else f"1 word: the last, “{words[0]}”, is"
    return f"The prompt is too long for {model} by {lost} not seen."
