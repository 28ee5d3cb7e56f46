"""A language model on this disk writes prompts out: any folder that mlx-lm opens, such as Qwen3 or FLUX.3's own writer.

mlx-lm is an extra. Nothing is downloaded, and no code that a folder brings is run.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..errors import Advice, LayoutError, RequestError, say_reason
from ..events import Event, Stage, Step
from ..writing import MOST_TOKENS, accept, check_folder, compose_messages

WARMTH, NUCLEUS = 0.7, 0.8  # as Qwen3's card has it for answers without thinking


class Writer:
    """One language model, loaded. It lives on the thread that opened it."""

    def __init__(self, model: Any, tokenizer: Any):
        self.model, self.tokenizer = model, tokenizer

    @classmethod
    def open(cls, folder: Path, usable: int) -> Writer:
        """`usable`: bytes of memory. Raises RequestError without mlx-lm, LayoutError, WillNotFit."""
        check_folder(folder, usable)
        try:
            import mlx_lm
        except ImportError as error:
            raise RequestError(
                "Writing prompts out needs mlx-lm.", Advice("install_part", {"name": "writer"})
            ) from error
        try:
            # Left open, transformers asks on the terminal whether to run a tokenizer's own code.
            model, tokenizer, *_ = mlx_lm.load(str(folder), tokenizer_config={"trust_remote_code": False})
        except (ValueError, KeyError, TypeError, OSError, RuntimeError, AttributeError) as error:
            raise LayoutError(f"{folder} is no language model that mlx-lm opens: {say_reason(error)}.") from error
        return cls(model, tokenizer)

    def write(
        self, words: str, references: Sequence[str] = (), changes: bool = False, seed: int = 0
    ) -> Generator[Event, None, str]:
        """Yields Stage and a Step every token; returns the text. Closing it cancels within a token.

        `references`, `changes`: see writing.compose_messages. Raises RequestError where the answer can't be used.
        """
        from mlx_lm import stream_generate
        from mlx_lm.sample_utils import make_sampler

        messages = compose_messages(words, references, changes)
        prompt = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, enable_thinking=False)
        mx.random.seed(seed)
        sampler, said, ended = make_sampler(WARMTH, NUCLEUS), [], False
        yield Stage("write", total=MOST_TOKENS)
        for number, piece in enumerate(
            stream_generate(self.model, self.tokenizer, prompt, max_tokens=MOST_TOKENS, sampler=sampler), 1
        ):
            said.append(piece.text)
            ended = piece.finish_reason == "stop"
            yield Step(min(number, MOST_TOKENS), MOST_TOKENS, 0.0, 0.0)
        return accept(words, "".join(said), ended)
