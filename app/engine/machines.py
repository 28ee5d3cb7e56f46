"""Other machines that make pictures: each is a worker reached through ssh, asked for one picture at a time.

What a job needs (its pictures, masks and LoRAs) goes there once, in pieces; models stay where they are and must be the
same. Nothing here knows of Qt: what machines say waits in one queue, for who hands out the work.
"""

import collections
import contextlib
import dataclasses
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import structs

from mlx_model.errors import RequestError
from mlx_model.events import Done, Event
from mlx_model.files import make_scratch_folder, remove_scratch_folder
from mlx_model.geometry import Size
from mlx_model.request import Request
from mlx_model.store.folder import sha256_of

from ..base.faults import say_plainly
from ..pictures import images
from ..pictures.metadata import hide_paths
from . import protocol

HERE = "this machine"
SSH = ("ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "--")
PLACE = re.compile(r"(?P<host>(?:[\w.-]+@)?(?:[\w.-]+|\[[0-9a-fA-F:]+\]))(?::(?P<program>[^\s'\"\\;|&<>$`]+))?")
READY, BEAT = 60.0, 30.0  # seconds: until it is up, between two words while it works
QUIT, HARDLY = 5.0, 1.0  # seconds to end, and for one that never began
WORDS = 20  # last lines of what it says besides, for when it is lost


@dataclasses.dataclass(frozen=True)
class Lost:
    """A machine is gone, in words; `refused`: it never began to work."""

    reason: str
    refused: bool


def command_for(place: str) -> list[str]:
    """The command line of the worker on [USER@]HOST[:PROGRAM], PROGRAM being where flux-local is there.

    Raises RequestError for what is no such place, or where there is no ssh.
    """
    found = PLACE.fullmatch(place)
    if found is None or place.startswith("-"):
        raise RequestError(
            f"{place!r} is no machine that ssh can reach.", "Say HOST, USER@HOST or HOST:/path/to/flux-local."
        )
    if not shutil.which(SSH[0]):
        raise RequestError("Other machines are reached through ssh, which is not installed here.", "Install OpenSSH.")
    return [*SSH, found["host"], found["program"] or "flux-local", "worker", "--far"]


class Machine:
    """One of them. What it says comes into `heard` as (machine, Ready, an event of its job or Lost)."""

    def __init__(self, name: str, words: Sequence[str], heard: "queue.SimpleQueue[Heard]"):
        self.name, self.heard = name, heard
        self.ready = self.lost = False
        self.picture: Path | None = None  # that has come whole
        self._asked: Size | None = None  # of the picture
        self._folder = make_scratch_folder()
        self._sent: set[str] = set()
        self._greeting = self._reason = ""  # why we ended it
        self._said: collections.deque[str] = collections.deque(maxlen=WORDS)
        self._outbox: queue.SimpleQueue[Iterable[protocol.Message] | None] = queue.SimpleQueue()
        self._last, self._patience = time.monotonic(), READY
        pipe = subprocess.PIPE
        # A group of its own: Ctrl-C in the terminal is ours to pass on.
        self._process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=pipe, env=protocol.environment(), start_new_session=True
        )
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._listen, self._read, self._write)
        ]
        for thread in self._threads:
            thread.start()

    def render(self, run: protocol.Run, request: Request) -> None:
        """Ask for a picture as `run` says, whose request this is; its files go first.

        Raises RequestError for a LoRA that can't be read.
        """
        loras = tuple(dataclasses.replace(one, sha256=one.sha256 or digest_of(one.path)) for one in request.loras)
        request = dataclasses.replace(request, loras=loras)
        for file in (*request.references, *((request.mask,) if request.mask else ()), *loras):
            if file.sha256 not in self._sent:
                self._sent.add(file.sha256)
                self._outbox.put(protocol.cut_file(Path(file.path), file.sha256))
        self._outbox.put((structs.replace(run, request=protocol.raw(hide_paths(request.to_json()))),))
        self._patience, self._last, self.picture, self._asked = BEAT, time.monotonic(), None, request.size

    def rest(self) -> None:
        """It has nothing to do, and may be silent."""
        self._patience = float("inf")

    def is_silent(self) -> bool:
        return time.monotonic() - self._last > self._patience

    def drop(self, reason: str) -> None:
        """End it at once; `heard` gets Lost with this reason."""
        self._reason = self._reason or reason
        self._kill()

    def ask_to_end(self) -> None:
        """It stops within a step."""
        self._outbox.put((protocol.Quit(),))
        self._outbox.put(None)

    def end(self, until: float) -> None:
        """Wait for it until then (time.monotonic) at most, hardly where it never began, else end it."""
        patience = min(until - time.monotonic(), QUIT if self.ready else HARDLY)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(patience, 0))
        self._kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(1.0)
        remove_scratch_folder(self._folder)

    def _kill(self) -> None:
        """It and what it has started: ssh may be a script, or have a program between it and the host."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody of them is left
            os.killpg(self._process.pid, signal.SIGKILL)

    # its three threads

    def _write(self) -> None:
        assert self._process.stdin
        try:
            while (messages := self._outbox.get()) is not None:
                for message in messages:
                    self._process.stdin.write(protocol.line(message))
                    self._last = time.monotonic()
                self._process.stdin.flush()
        except BrokenPipeError:  # it is gone, and others say why
            pass
        except OSError as error:
            self.drop(f"A file for it can't be read: {error.strerror}.")
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout
        lines = protocol.Lines()
        try:
            while data := os.read(self._process.stdout.fileno(), 65536):
                self._last = time.monotonic()
                for text in lines.feed(data):
                    self._hear(text)
        except protocol.ProtocolError as error:
            self.drop(f"It said something that can't be understood: {error}"[:200])
        except OSError as error:
            self.drop(f"Its picture can't be stored here: {error.strerror}.")
        self._process.stdout.close()
        self._process.wait()
        self._threads[0].join(1.0)  # it may still have the reason; who holds the pipe longer is not waited for
        self.heard.put((self, Lost(self._explain(), not self.ready)))

    def _listen(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                if text := line.decode("utf-8", "replace").strip():
                    self._said.append(text)

    def _hear(self, text: bytes) -> None:
        """A message; or, before the first one, a greeting that a shell prints there, told where there is no reason."""
        if self.ready or text.startswith(b"{"):
            self._receive(protocol.from_worker(text))
        elif greeting := text.decode("utf-8", "replace").strip():
            self._greeting = greeting[:200]

    def _receive(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.Piece):
            self._add(message)
        elif isinstance(message, protocol.Happened):
            event = message.event()
            if isinstance(event, Done):
                self._require_picture()
            self.heard.put((self, event))
        elif isinstance(message, protocol.Ready):
            self.ready = True
            self.heard.put((self, message))

    def _add(self, piece: protocol.Piece) -> None:
        part = self._folder / "coming"
        with open(part, "ab") as out:
            out.write(piece.data)
        if piece.last:
            if sha256_of(part) != piece.sha256:
                raise protocol.ProtocolError("a picture that did not arrive as it was sent")
            self.picture = part.replace(self._folder / "picture")

    def _require_picture(self) -> None:
        """Raises ProtocolError where what came is not the picture that was asked for."""
        if self.picture is None:
            raise protocol.ProtocolError("it is done, and there is no picture")
        try:
            size = images.inspect(self.picture, least=1).size
        except RequestError as error:
            raise protocol.ProtocolError("what it sent as a picture is none") from error
        if size != self._asked:
            raise protocol.ProtocolError(f"a picture of {size}, {self._asked} was asked for")

    def _explain(self) -> str:
        said = say_plainly(self._said[-1] if self._said else self._greeting)
        return self._reason or said or f"It ended ({self._process.returncode})."


Heard = tuple[Machine, protocol.Ready | Event | Lost]


def digest_of(path: str) -> str:
    """Raises RequestError."""
    try:
        return sha256_of(Path(path))
    except OSError as error:
        raise RequestError(f"{path} can't be read: {error.strerror}.") from error
