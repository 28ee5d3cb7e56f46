"""What the engine and the worker say to each other: one JSON line per message; pictures travel as files.

Both sides read strictly: an unknown message, field or type is a ProtocolError, and so is a line without end.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mlx_model import events
from mlx_model.request import Request, from_json

from .jobs import Lesson

LINE_LIMIT = 4 * 2**20  # bytes; a request with the longest sensible prompt is far below


class ProtocolError(Exception):
    """The other side said something that can't be understood."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", tag=str.lower):
    """Root of all messages; "is" holds the class's name."""


class Run(Message, frozen=True):
    """Make a picture. `folder` exists and is the job's own: result and previews go there.

    `anyway`: without the question whether it fits the memory.
    """

    job: str
    model: str
    request: msgspec.Raw  # Request.to_json
    folder: str
    previews: bool = True
    anyway: bool = False

    def load_request(self) -> Request:
        """Raises RequestError."""
        return from_json(bytes(self.request).decode())


class Teach(Message, frozen=True):
    """Learn a character."""

    job: str
    model: str
    lesson: Lesson


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
            raise ProtocolError(str(error)) from error


_TO_WORKER = msgspec.json.Decoder(Run | Teach | Cancel | Unload | Quit)
_FROM_WORKER = msgspec.json.Decoder(Ready | Beat | Happened)


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
        raise ProtocolError(f"{error}: {text[:200]!r}") from error
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
                raise ProtocolError(f"a line of {len(text)} bytes: {text[:200]!r}")
        yield from whole
