"""Prompt -> token ids: the `tokenizers` library plus each model's prompt template.

Sources of the templates: black-forest-labs/flux2 src/flux2/text_encoder.py (klein and dev),
black-forest-labs/flux src/flux/modules/conditioner.py (T5 and CLIP: the prompt itself).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import LayoutError
from ..foreign import parse_json
from ..vocabulary import contain_panics, open_tokenizer


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
        "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", marks=QWEN
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
            token = parse_json((self.folder / "tokenizer_config.json").read_text("utf-8")).get("pad_token")
            number = self.tokenizer.token_to_id(token["content"] if isinstance(token, dict) else token or "")
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            message = f"{self.folder / 'tokenizer_config.json'} is damaged: {error}."
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

    def _tokens(self, prompt: str) -> list[int]:
        for word in self.template.removed:
            prompt = prompt.replace(word, "")
        text = self.template.text.replace("{prompt}", prompt)
        try:
            with contain_panics():
                return self.tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:  # the library's own errors have no class
            message = f"The tokenizer in {self.folder} can't read the prompt: {str(error)[:200]}."
            raise LayoutError(message, "Convert the model again.") from error

    def _numbers(self, tokens: tuple[str, ...]) -> list[int]:
        numbers = [number for token in tokens if (number := self.tokenizer.token_to_id(token)) is not None]
        if len(numbers) < len(tokens):
            raise LayoutError(f"The tokenizer in {self.folder} lacks one of {tokens}.", "Convert the model again.")
        return numbers
