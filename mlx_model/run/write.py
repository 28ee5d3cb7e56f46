"""A language model on this disk writes prompts out: any folder that mlx-lm opens, such as Qwen3 or FLUX.3's own writer.

mlx-lm is an extra. Nothing is downloaded, and no code that a folder brings is run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from ..errors import Advice, LayoutError, RequestError
from ..events import Event, Stage, Step
from ..store.writer_folder import check_writer, tell_unfit
from ..writing import MAKERS_TOKENS, MOST_TOKENS, accept, compose_messages, read_makers

PIECE = 2**28  # bytes that are read between two looks whether it was cancelled
PROMPT_PIECE = 256  # tokens of a prompt, likewise
WARMTH, NUCLEUS = 0.7, 0.8  # as Qwen3's card has it for answers without thinking
FAILS = (ValueError, KeyError, TypeError, OSError, RuntimeError, AttributeError, ImportError)  # of what mlx-lm opens


def require_library() -> None:
    """Raises RequestError without mlx-lm."""
    try:
        import mlx_lm  # noqa: F401
    except ImportError as error:
        raise RequestError("Writing prompts out needs mlx-lm.", Advice("install_part", {"name": "writer"})) from error


class Writer:
    """One language model, whose weights are read once it writes. It lives on the thread that opened it.

    `between` is called while it reads a long prompt, and may raise to end that.
    """

    def __init__(self, model: Any, tokenizer: Any, folder: Path):
        self.model, self.tokenizer, self.folder = model, tokenizer, folder
        self.between: Callable[[], None] = lambda: None
        self._loaded = False

    @classmethod
    def open(cls, folder: Path, usable: int) -> Writer:
        """`usable`: bytes of memory. Raises RequestError without mlx-lm, LayoutError, WillNotFit."""
        check_writer(folder, usable)
        require_library()
        import mlx_lm

        try:
            # Left open, transformers asks on the terminal whether to run a tokenizer's own code.
            model, tokenizer, *_ = mlx_lm.load(str(folder), tokenizer_config={"trust_remote_code": False}, lazy=True)
        except FAILS as error:
            raise tell_unfit(folder, error) from error
        return cls(model, tokenizer, folder)

    def load(self) -> Generator[Event, None, None]:
        """Read the weights, once: Stage and a Step after each piece. Closing it cancels. Raises LayoutError."""
        if self._loaded:
            return
        flat: Any = tree_flatten(self.model.parameters())
        weights: list[mx.array] = [array for _, array in flat]
        total, done, piece = max(1, sum(one.nbytes for one in weights)), 0, list[mx.array]()
        yield Stage("load", self.folder.name, total=100)
        for number, array in enumerate(weights, 1):
            piece.append(array)
            if sum(one.nbytes for one in piece) < PIECE and number < len(weights):
                continue
            try:
                mx.eval(piece)
            except FAILS as error:
                raise tell_unfit(self.folder, error) from error
            done, piece = done + sum(one.nbytes for one in piece), []
            yield Step(100 * done // total, 100, 0.0, 0.0)
        self._loaded = True

    def write(
        self,
        words: str,
        references: Sequence[str] = (),
        changes: bool = False,
        seed: int = 0,
        as_json: bool = False,
        scene: str = "",
    ) -> Generator[Event, None, str]:
        """Yields what load does, then Stage and a Step every token; returns the text. Closing it cancels within one.

        See writing.compose_messages; `as_json` is for a description alone. Raises RequestError where the answer
        can't be used, LayoutError where the model can't be asked.
        """
        from mlx_lm import stream_generate
        from mlx_lm.sample_utils import make_sampler

        as_json = as_json and not changes
        makers = "" if as_json else read_makers(self.folder, changes)
        prompt = self._make_prompt(compose_messages(words, references, changes, makers, as_json, scene))
        most = MAKERS_TOKENS if makers else MOST_TOKENS
        mx.random.seed(seed)
        # Its makers let it say the likeliest; another seed is asked for where that was not liked.
        sampler = make_sampler(WARMTH if seed or not makers else 0.0, NUCLEUS)
        said: list[str] = []
        ended = False
        yield from self.load()
        yield Stage("write", total=most)
        reading = {"prefill_step_size": PROMPT_PIECE, "prompt_progress_callback": lambda *_: self.between()}
        for number, piece in enumerate(
            stream_generate(self.model, self.tokenizer, prompt, max_tokens=most, sampler=sampler, **reading), 1
        ):
            said.append(piece.text)
            ended = piece.finish_reason == "stop"
            yield Step(min(number, most), most, 0.0, 0.0)
        return accept(words, "".join(said), ended, as_json)

    def write_scene(
        self, lines: Sequence[str], about: str, seed: int = 0
    ) -> Generator[Event, None, list[tuple[str, str]]]:
        """Each line of a scene by itself, `about` what they share: (the text, "" where it can't be used; why)."""
        written: list[tuple[str, str]] = []
        for line in lines:
            try:
                written.append(((yield from self.write(line, seed=seed, scene=about)), ""))
            except RequestError as error:  # the others are written all the same
                written.append(("", error.message))
        return written

    def _make_prompt(self, messages: list[dict[str, str]]) -> list[int]:
        """Tokens. Gemma's template and a few others refuse a system message: to them all is said by the user."""
        together = [{"role": "user", "content": "\n\n".join(message["content"] for message in messages)}]
        for form in (messages, together):
            try:
                tokens: list[int] = self.tokenizer.apply_chat_template(
                    form, add_generation_prompt=True, enable_thinking=False
                )
                return tokens
            except Exception as error:  # the folder's own program, which fails as it likes
                failed = error
        raise LayoutError(
            "The writer has no chat template that can be used.", "Take a model that was taught to follow instructions."
        ) from failed
