"""What the engine and the worker say to each other: one JSON line per message; pictures travel as files, to and from
another machine in pieces.

Both sides read strictly: an unknown message, field or type is a ProtocolError, and so is a line without end.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from mlx_model import events
from mlx_model.errors import SMALLER, tell_device
from mlx_model.events import Failed
from mlx_model.request import Request, from_json

from ..base import paths
from ..base.faults import say_plainly
from .jobs import Draft, Job, Lesson

LIMIT = 1_000_000  # bytes of log, then it becomes worker.1.log
TAIL = 20_000
DIED = "The process that runs the model died."
# What C++ says of an exception that nobody caught: libc++abi on macOS, libstdc++ on Linux.
CAUSE = re.compile(r"(?:uncaught exception of type [\w:]+: |what\(\):\s+)(.+)")
AGAIN = "A new one is started. If it happens again, look into the log: {log}"


def log_file() -> Path:
    return paths.home() / "logs" / "worker.log"


def open_log(log: Path) -> tuple[str, int]:
    """Where a new process's words go, and where in that file they will begin.

    Nowhere on a disk that is full or read-only, which is no reason not to paint.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LIMIT:
            log.replace(log.with_suffix(".1.log"))
        with open(log, "ab") as handle:
            return str(log), handle.tell()
    except OSError:
        return os.devnull, 0


def add_to_log(log: Path, text: str) -> None:
    """Add a line of our own, where there is room for it."""
    with contextlib.suppress(OSError), open(log, "a", encoding="utf-8") as handle:
        handle.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")


def read_tail(log: Path, start: int) -> str:
    """The last that was written since `start`."""
    try:
        with open(log, "rb") as handle:
            handle.seek(max(start, log.stat().st_size - TAIL))
            return handle.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return ""


def explain_death(reason: str, number: int | None, said: str) -> Failed:
    """What to tell. `reason`: why we ended it, or ""; `number`: the signal that ended it or None; `said`: its log."""
    cause = CAUSE.findall(said)
    told = tell_device(cause[-1]) if cause else None
    if told:
        told.message = f"{DIED} {told.message}"
        return Failed.of(told)
    if not reason and number == getattr(signal, "SIGKILL", None):
        return Failed("WorkerDied", f"{DIED} The system ended it, as it does when memory runs out.", SMALLER)
    what = reason or (f"It said: {_short(cause[-1])}" if cause else _exit(number) or _last_line(said))
    return Failed("WorkerDied", f"{DIED} {what}".strip(), AGAIN.format(log=log_file()))


def _exit(number: int | None) -> str:
    if number is None:
        return ""
    try:
        return f"It was ended by {signal.Signals(number).name}."
    except ValueError:
        return f"It was ended by signal {number}."


def _last_line(said: str) -> str:
    """Where Python itself ended it: the error of the traceback."""
    lines = [line for line in said.splitlines() if line.strip()]
    words = say_plainly(lines[-1]) if lines else ""
    return f"It said: {_short(words)}" if words else ""


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def command_line(*arguments: str) -> list[str]:
    """The command line of `flux-local ARGUMENTS`."""
    if getattr(sys, "frozen", False):  # the command line is a program of its own there, beside the window's
        return [str(Path(sys.executable).with_name("flux-local")), *arguments]
    # -P: a folder called app where the person happens to stand must not be taken for ours.
    return [sys.executable, "-P", "-m", "app", *arguments]


def environment() -> dict[str, str]:
    """The environment for it: this one, with the packages found where this process found them."""
    if getattr(sys, "frozen", False):
        return dict(os.environ)
    here, given = str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{given}" if given else here}


AHEAD = 32  # waiting requests that a job is told of
LINE_LIMIT = 4 * 2**20  # bytes; a request with the longest sensible prompt is far below


class ProtocolError(Exception):
    """The other side said something that can't be understood."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", tag=str.lower):
    """Root of all messages; "is" holds the class's name."""


class Run(Message, frozen=True):
    """Make a picture. `folder` exists and is the job's own: result and previews go there.

    `anyway`: without the question whether it fits the memory. `ahead`: requests that wait for the same model.
    `weights`: what another machine's model must be (Folder.identity); that one uses a folder of its own. `cache`,
    `low_memory`: see running.Output.
    """

    job: str
    model: str
    request: msgspec.Raw  # Request.to_json
    folder: str
    previews: bool = True
    anyway: bool = False
    ahead: tuple[msgspec.Raw, ...] = ()
    weights: str = ""
    cache: bool = True
    low_memory: bool = False

    def load_request(self) -> Request:
        """Raises RequestError."""
        return from_json(bytes(self.request).decode())

    def look_ahead(self) -> Iterator[Request]:
        """Those of `ahead`. Raises RequestError."""
        for text in self.ahead:
            yield from_json(bytes(text).decode())


PIECE = 2**20  # bytes of a file in one message


class Piece(Message, frozen=True):
    """The next bytes of a file that has this sha256 and name (without folders); the last one is said to be it."""

    sha256: str
    name: str
    data: bytes
    last: bool = False


def cut_file(path: Path, sha256: str) -> Iterator[Piece]:
    """A file in pieces. Raises OSError."""
    with open(path, "rb") as file:
        left = path.stat().st_size
        while True:
            data = file.read(PIECE)
            left -= len(data)
            last = not data or left <= 0
            yield Piece(sha256, path.name, data, last)
            if last:
                return


class Teach(Message, frozen=True):
    """Learn a character."""

    job: str
    model: str
    lesson: Lesson


class Write(Message, frozen=True):
    """Write words out; `folder` exists and gets the text."""

    job: str
    draft: Draft
    folder: str


def order(job: Job, folder: Path, alike: Iterable[Job]) -> Message:
    """What the worker is told of a job; `alike` wait for the same model."""
    if job.lesson:
        return Teach(job.id, job.model, job.lesson)
    if job.draft:
        return Write(job.id, job.draft, str(folder))
    ahead = tuple(raw(other.request.to_json()) for other in islice(alike, AHEAD))
    return Run(job.id, job.model, raw(job.request.to_json()), str(folder), job.previews, job.anyway, ahead)


class Cancel(Message, frozen=True):
    job: str
    reason: str = ""


class Unload(Message, frozen=True):
    """Give the memory of the loaded model back."""


class Quit(Message, frozen=True):
    """Stop within a step and end. The end of the pipe means the same."""


class Ready(Message, frozen=True):
    """The worker is up and MLX is loaded."""

    pid: int


class Beat(Message, frozen=True):
    """The worker is alive."""


class Happened(Message, frozen=True):
    """An event of a job."""

    job: str
    what: msgspec.Raw  # Event.to_json

    def event(self) -> events.Event:
        """Raises ProtocolError."""
        try:
            return events.from_json(bytes(self.what).decode())
        except ValueError as error:
            raise ProtocolError(bytes(self.what)[:200].decode("utf-8", "replace")) from error


_TO_WORKER = msgspec.json.Decoder(Run | Teach | Write | Piece | Cancel | Unload | Quit)
_FROM_WORKER = msgspec.json.Decoder(Ready | Beat | Piece | Happened)


def line(message: Message) -> bytes:
    """The message as one line."""
    return msgspec.json.encode(message) + b"\n"


def raw(text: str) -> msgspec.Raw:
    """JSON text as it goes into a message."""
    return msgspec.Raw(text.encode())


def to_worker(text: bytes) -> Message:
    """A message to the worker. Raises ProtocolError."""
    return _decode(_TO_WORKER, text)


def from_worker(text: bytes) -> Message:
    """A message from the worker. Raises ProtocolError."""
    return _decode(_FROM_WORKER, text)


def _decode(decoder: msgspec.json.Decoder, text: bytes) -> Message:
    try:
        message: Message = decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError(text[:200].decode("utf-8", "replace")) from error
    return message


class Lines:
    """Cuts what arrives into lines; what has no end yet waits for it."""

    def __init__(self, limit: int = LINE_LIMIT):
        self.limit, self._rest = limit, b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are whole now, without their ends. Raises ProtocolError for one beyond the limit."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        for text in (*whole, self._rest):
            if len(text) > self.limit:
                raise ProtocolError(f"a line of {len(text)} bytes")
        yield from whole
