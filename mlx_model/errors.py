"""What can go wrong, drawn as a tree. Every error has a message (what is wrong) and a hint (what to do).

FluxLocalError
+-- RequestError          2  the request or an input can't be used
+-- BoardError            2  a board can't be read, saved or changed
|   +-- Refused           2  what a command of the board won't do, as it stands
|   +-- BoardLocked       2  another window or program has it open
|       +-- BoardElsewhere 2 on another machine, which may have forgotten it: can be opened anyway
+-- ModelError            3  the model is missing or unusable
|   +-- NotInstalled      3
|   +-- LayoutError       3  tensors missing, left over or of another shape; names them
|   +-- FolderVersionError 3 written by a newer Flux Local
+-- ConvertError          3  the source can't be converted
|   +-- UnsafeFile        3  would run code, or lies about its contents
|   +-- LicenceNotAccepted 3
|   +-- Unreachable       3  a server is silent, busy or in trouble: may work later
+-- WillNotFit            4  memory or disk, said before starting
|   +-- DiskFull          4
+-- SampleError           5  the run failed
    +-- OutOfMemory       5
    +-- GpuFailed         5
    +-- NotFinite         5
    +-- WorkerDied        5

The number is the exit code of the command line.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

AdviceCode = Literal[
    "add_a_model", "add_depth", "add_model", "add_model_again", "agree_to_licence", "bake_control_lora",
    "bring_companions", "bring_missing", "choose_class", "choose_model_for_edits",
    "choose_model_for_masks", "choose_size", "choose_smaller_model", "convert_it",
    "draw_edges_yourself", "give_member_a_picture", "give_picture", "import_zip", "install_part", "leave_out",
    "make_board", "make_scene", "name_class", "name_model", "name_other_model", "put_on_base", "replace_model",
    "save_with_request",
    "log_in", "log_in_again", "log_in_with_rights",
    "look_at_token", "stay_under_size", "try_other_numbers", "unset_offline", "where_to_paint", "write_again",
]  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """What to do, where the command line and the window have different words for it: app/cli/say.py and
    app/gui/kit/words.py word it, with `values` in the places that they name.
    """

    code: AdviceCode
    values: dict[str, str] = field(default_factory=dict)


Hint = str | Advice  # words that are the same everywhere, or what is worded where it is shown


# What only who writes Python would understand, wherever it stands.
PYTHON = r"\w+(?:Error|Exception)\b|Traceback|Errno|0x[0-9a-f]{4,}|\bobject at\b|<class|NoneType|argument"
# How libraries speak of their own insides, which helps nobody who gave a wrong file.
INSIDES = re.compile(
    PYTHON + r"|invalid literal|could not convert|unpack|\bobjects?\b.* (has no|have no|is not|at 0x)|subscriptable|"
    r"\bmust be\b.*\bnot\b|indices|not supported between|division|modulo|out of range|recursion|"
    r"hashable|std::|codec can't|byte strings?|string conversion|struct|::\w|"
    r"Error while|json\.exception|^\[\w+\]|usize|dtype|Expecting|\bEOF\b|decompress|incorrect|No such file|"
    r"\bb['\"]",
    re.IGNORECASE,
)
SENSELESS = "what it holds makes no sense"
LONGEST = 300  # characters of a reason: libraries put whole files into theirs


def say_reason(error: BaseException) -> str:
    """Why something failed, for the middle of a sentence: never in Python's words, without addresses or numbers of
    the system's errors.
    """
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON (line {error.lineno}, column {error.colno})"
    if isinstance(error, UnicodeError):
        return "it is no text in UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested without end"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0][:LONGEST]}" if error.args and isinstance(error.args[0], str) else SENSELESS
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    text = str(error).strip().rstrip(".")
    return SENSELESS if not text or INSIDES.search(text) else text[:LONGEST]


class FluxLocalError(Exception):
    """Root of all errors that are told to a person; `code` is a stable name for scripts."""

    exit_code = 5

    def __init__(self, message: str, hint: Hint = ""):
        super().__init__(message)
        self.message, self.hint = message, hint

    @property
    def code(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        """The message, and the hint where it is in words."""
        return f"{self.message} {self.hint}".strip() if isinstance(self.hint, str) else self.message


class RequestError(FluxLocalError):
    exit_code = 2


class BoardError(FluxLocalError):
    exit_code = 2


class Refused(BoardError):
    """What a command of the board won't do: no fault of the program, and told as a plain sentence."""


class BoardLocked(BoardError):
    pass


class BoardElsewhere(BoardLocked):
    """Locked by another machine, which may have forgotten it: can be opened anyway."""


class ModelError(FluxLocalError):
    exit_code = 3


class NotInstalled(ModelError):
    pass


class LayoutError(ModelError):
    pass


class FolderVersionError(ModelError):
    pass


class ConvertError(FluxLocalError):
    exit_code = 3


class UnsafeFile(ConvertError):
    pass


class LicenceNotAccepted(ConvertError):
    pass


class Unreachable(ConvertError):
    pass


class WillNotFit(FluxLocalError):
    exit_code = 4


class DiskFull(WillNotFit):
    pass


class SampleError(FluxLocalError):
    exit_code = 5


class OutOfMemory(SampleError):
    pass


class GpuFailed(SampleError):
    pass


class NotFinite(SampleError):
    pass


class WorkerDied(SampleError):
    pass


SMALLER = "Use a smaller size, fewer references or a model at fewer bits."
RESTART = "Try again. If it happens again, close other programs that use the graphics chip, or restart the computer."
MEMORY = re.compile(r"alloc|memory", re.IGNORECASE)
# What Metal calls the errors of a command buffer, in the words of its messages and by the names behind them.
GPU = (
    (r"timeout", "The graphics chip took too long over one piece of work, and the system stopped it.", SMALLER),
    (r"interactivity", "The system stopped the graphics chip's work since it held up the screen.", SMALLER),
    (
        r"victim|ignored|submissions|causing prior|excessive",
        "The graphics chip's work was stopped after a fault.",
        RESTART,
    ),
    (r"illegal|misaligned|launch", "The graphics chip's work was stopped after a fault.", RESTART),  # of CUDA
    (r"\[metal\]|command buffer|cuda|cublas|cudnn", "The graphics chip reported a fault.", RESTART),
)


def tell_device(text: str) -> SampleError | None:
    """What an error of MLX says about memory or the graphics chip, in words; None where it is about neither."""
    short = text if len(text) <= 200 else f"{text[:200]}…"
    known = re.search(r"CallbackError(\w+)", text)  # kIOGPUCommandBufferCallbackErrorTimeout: the surest word
    for pattern, message, hint in GPU[:-1]:
        if re.search(pattern, known[1] if known else text, re.IGNORECASE):
            return GpuFailed(f"{message} ({short})", hint)
    if MEMORY.search(text):
        return OutOfMemory(f"The machine ran out of memory: {short}", SMALLER)
    pattern, message, hint = GPU[-1]
    return GpuFailed(f"{message} ({short})", hint) if re.search(pattern, text, re.IGNORECASE) else None


LOST = re.compile(r"connection to a peer was lost|peer closed|\[(?:ring|jaccl|nccl)\]", re.IGNORECASE)


@contextmanager
def tell_lost(hint: str) -> Iterator[None]:
    """Raises SampleError where another process of the group has ended: MLX says so to all within a second or two."""
    try:
        yield
    except RuntimeError as error:
        if LOST.search(str(error)):
            raise SampleError("Another process of this run has ended, so this one ends too.", hint) from error
        raise
