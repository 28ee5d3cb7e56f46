"""One file of a hub by range requests: what was cut off goes on where it stopped, also in another process.

huggingface-hub throws its partial files away (since version 2), so this is ours. What has come lies in `.partial/`
under the name of the content's hash, the server's tag for it beside it. Where that server has something else now,
ignores ranges or refuses one, the file starts anew. Every write is at its own place in the file, so that two processes
that do it at once write the same bytes; nothing is written through a link.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from mlx_model.errors import ConvertError, DiskFull
from mlx_model.events import Note
from mlx_model.files import FULL, begin, finish, make_folders, sync, sync_folder
from mlx_model.held import Strange, hold, is_single
from mlx_model.memory import say_bytes

from . import hub
from .hub import Remote, Response

FOLDER, TAG = ".partial", ".etag"
TRIES = 3  # without a new byte
PATIENCE = 5  # silence, in read timeouts, after which it is given up whatever the tries are doing
LONGEST_WAIT = 60.0  # seconds that a server may ask us to wait
POLL = 0.5  # seconds between two signs of progress
NAP = 3.0  # seconds without such a sign in which the computer slept, or this process was stopped
STRONG = re.compile(r'"[!\x23-\x7e]{1,200}"')  # an ETag that says the same bytes, not just the same meaning

Result = TypeVar("Result")
Progress = Generator[int | Note, None, Result]


class Damaged(ConvertError):
    """What came is not what was promised."""


class _Stopped(Exception):
    pass


@dataclass
class Hearing:
    """What a request on its thread has heard so far; once stopped it may not write any more."""

    heard: float
    bytes: int = 0
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stop(self) -> None:
        with self.lock:
            self.stopped = True

    def hear(self, count: int) -> None:
        self.heard, self.bytes = time.monotonic(), count

    def pass_over_sleep(self, seconds: float) -> None:
        """`seconds` went by between two looks: so many were no silence of the server but the computer's sleep."""
        if seconds > NAP:
            self.heard = min(self.heard + seconds, time.monotonic())


def fetch(file: Remote, into: Path) -> Progress[None]:
    """Bring `file` into the folder `into`, checked; yields its bytes so far, and Notes. A damaged one starts anew once.

    Closing it stops the transfer and keeps what has come. Raises ConvertError, DiskFull, OSError.
    """
    partial = Partial(into, file)
    for last in (False, True):
        try:
            yield from persist(lambda hearing: _receive(file, partial, hearing), file.repo)
            if file.matches(partial.path):
                partial.move(into, file.path)
                return
            raise Damaged(f"{file.name} arrived damaged: its size or hash is wrong.", "Try again later.")
        except Damaged:
            partial.remove()
            if last:
                raise


def persist(work: Callable[[Hearing], Result], repo: str) -> Progress[Result]:
    """Do `work`, again where that helps, until it succeeds or nothing was heard for some time. Raises what explains."""
    heard, best, failures = time.monotonic(), 0, 0
    while True:
        hearing = Hearing(heard, best)
        try:
            return (yield from _watch(work, hearing))
        except Exception as error:
            failures = 1 if hearing.bytes > best else failures + 1
            heard, best = hearing.heard, max(best, hearing.bytes)
            wait = hub.pause_after(error)
            if wait is None or failures >= TRIES or wait > LONGEST_WAIT or _is_silent(heard):
                raise hub.explain(error, repo) from error
            if isinstance(error, hub.Answer):
                yield Note(f"{hub.endpoint()} is busy (error {error.status}); the next try is in {wait:.0f} s.")
                heard += wait
        yield from _sleep(wait, best)


def _is_silent(heard: float) -> bool:
    return time.monotonic() - heard > PATIENCE * hub.read_timeout()


def _sleep(seconds: float, count: int) -> Progress[None]:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(POLL, left))
        yield count


def _watch(work: Callable[[Hearing], Result], hearing: Hearing) -> Progress[Result]:
    """Do `work` on a thread, so that progress can be told, and closing or silence end it, whatever it waits for."""
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work(hearing))
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    looked = time.monotonic()
    try:
        while thread.is_alive():
            thread.join(POLL)
            hearing.pass_over_sleep(time.monotonic() - looked)
            looked = time.monotonic()
            if thread.is_alive() and _is_silent(hearing.heard):
                raise TimeoutError("nothing was heard")
            yield hearing.bytes
    finally:
        hearing.stop()
    if errors:
        raise errors[0]
    return results[0]


class Partial:
    """What has come of a file."""

    def __init__(self, into: Path, file: Remote):
        self.path = into / FOLDER / file.blob
        self._tag = self.path.with_name(file.blob + TAG)

    @property
    def size(self) -> int:
        """Bytes that are there; 0 for what is no plain file of ours."""
        try:
            found = self.path.lstat()
        except OSError:
            return 0
        return found.st_size if is_single(found) else 0

    def open(self) -> int:
        """A descriptor to read and write. What lies there and is a link, or has a second name, is replaced."""
        make_folders(self.path.parent.parent)
        with hold(self.path.parent.parent) as into:
            into.make_folder(self.path.parent.name)
        return self._open(self.path.name)

    def _open(self, name: str) -> int:
        with hold(self.path.parent, self.path.parent.parent) as folder:
            return folder.open_single(name)

    def tag(self) -> str:
        """What the server called the content that is here, in quotes; "" where it gave no lasting name."""
        try:
            with hold(self.path.parent, self.path.parent.parent) as folder:
                descriptor = folder.open(self._tag.name)
        except OSError:
            return ""
        with open(descriptor, encoding="latin-1") as handle:
            text = handle.read(300)
        return text if STRONG.fullmatch(text) else ""

    def keep_tag(self, tag: str) -> None:
        descriptor = self._open(self._tag.name)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, tag.encode("latin-1", "replace")[:300], 0)
        finally:
            os.close(descriptor)

    def move(self, into: Path, path: str) -> None:
        """To its place in the folder, which it takes whole, whatever lay there."""
        folder = _make_folder(into, path)
        os.replace(self.path, into / path)
        sync_folder(folder)
        self.remove()

    def remove(self) -> None:
        for path in (self.path, self._tag):
            with suppress(FileNotFoundError, Strange), hold(path.parent, path.parent.parent) as folder:
                folder.remove(path.name)


def link(place: Path, into: Path, path: str) -> None:
    """Let `path` in the folder `into` lead to a file elsewhere, which is only read."""
    new = begin(_make_folder(into, path) / "link")
    new.symlink_to(place)
    os.replace(new, into / path)
    sync_folder((into / path).parent)
    finish(new)


def _make_folder(into: Path, path: str) -> Path:
    """The folder of `path` inside `into`; a link on the way is replaced, not followed."""
    folder = into
    make_folders(folder)
    for part in PurePosixPath(path).parts[:-1]:
        folder /= part
        if folder.is_symlink():
            folder.unlink()
        make_folders(folder)
    return folder


def _receive(file: Remote, partial: Partial, hearing: Hearing) -> None:
    """Ask for what `partial` lacks and write it. Raises Damaged, DiskFull, and what a request raises."""
    descriptor = partial.open()
    try:
        while not _request(file, partial, descriptor, hearing):
            os.ftruncate(descriptor, 0)  # it can't go on from there
        sync(descriptor)
    except OSError as error:
        if error.errno not in FULL:
            if not isinstance(error, ConnectionError | TimeoutError):
                error.filename = str(partial.path)
            raise
        here = f"{say_bytes(partial.size)} of {file.name}, of {say_bytes(file.bytes)}, are kept"
        hint = "Free some space and try again: it goes on where it stopped."
        raise DiskFull(f"The disk is full: {here}.", hint) from error
    finally:
        os.close(descriptor)


def _request(file: Remote, partial: Partial, descriptor: int, hearing: Hearing) -> bool:
    """One request. False: what is here is of no use, and it must start anew."""
    start = os.fstat(descriptor).st_size
    if start >= file.bytes:
        return start == file.bytes
    tag = partial.tag()
    with hub.open_file(file, _headers(start, tag)) as response:
        place = _place(response, file, start, tag)
        if place is None and start == 0:
            raise hub.Answer(response.status_code, response.headers)
        if place is None:
            return False
        if place == 0:
            os.ftruncate(descriptor, 0)
            partial.keep_tag(response.headers.get("etag", ""))
        _write(response, file, descriptor, place, hearing)
    return True


def _headers(start: int, tag: str) -> dict[str, str]:
    """A zipped answer has no ranges, so none is asked for."""
    ranged = {"Range": f"bytes={start}-"} if start else {}
    return {"Accept-Encoding": "identity", **ranged, **({"If-Range": tag} if start and tag else {})}


def _place(response: Response, file: Remote, start: int, tag: str) -> int | None:
    """Where in the file the answer begins; None where it does not go on from `start`. Raises Damaged."""
    headers = response.headers
    if response.status_code == 200:
        length = headers.get("content-length", "") if "content-encoding" not in headers else ""
        if length.isdecimal() and int(length) != file.bytes:
            raise Damaged(f"{file.name} is {length} bytes long, not {file.bytes} as promised.", "Try again later.")
        return 0
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("content-range", ""))
    same = not tag or headers.get("etag", tag) == tag
    goes_on = found and int(found[1]) == start and found[2] in ("*", str(file.bytes))
    return start if goes_on and same and "content-encoding" not in headers else None


def _write(response: Response, file: Remote, descriptor: int, place: int, hearing: Hearing) -> None:
    hearing.hear(place)
    for piece in response.iter_bytes():
        if place + len(piece) > file.bytes:
            raise Damaged(f"More came of {file.name} than was promised.", "Try again later.")
        with hearing.lock:
            if hearing.stopped:
                raise _Stopped
            rest = memoryview(piece)
            while rest:
                count = os.pwrite(descriptor, rest, place)
                place, rest = place + count, rest[count:]
        hearing.hear(place)
    if place < file.bytes:
        raise Unfinished


class Unfinished(ConnectionError):
    """The connection ended before the file did."""
