"""Kills at each point where something is written and at random, errors of the disk at each, and disks that fill up."""

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.base import faults
from tests.hostile import faulty_os
from tests.hostile.faulty_os import Disk, in_child

from .writers import MODEL, WRITERS, Tell, Writer, write_board

Cases = Iterator[tuple[str, str]]  # what was tried, what was lost ("" for nothing)
QUICK = 3  # of the points of a writer
FULL = (errno.ENOSPC, errno.EDQUOT)
STRIDE, END = 60, 12  # a conversion writes many tensors in one way: some of its points, and the last ones, its renames
KILLS = 150  # at random
SIZES = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # kB of a disk that is full at once, or later


def choose(count: int, quick: bool, long: bool = False) -> list[int]:
    """The points from 1 on: all, or some from the first to the last."""
    if long:
        return sorted({*range(1, count + 1, STRIDE), *range(max(1, count - END), count + 1)})
    if not quick or count <= QUICK:
        return list(range(1, count + 1))
    return sorted({1 + round(n * (count - 1) / (QUICK - 1)) for n in range(QUICK)})


def count_points(writer: Writer, root: Path) -> int:
    """How often it changes the disk."""
    prepare(writer, place := _make(root, "counted"))

    def work(tell: Tell) -> None:
        disk = Disk(place).install()
        writer.work(place, lambda _: None)
        tell(disk.count)

    told, code = in_child(work)
    if code:
        raise RuntimeError(f"{writer.name} fails by itself: {told}")
    return int(told[-1])


def _make(root: Path, name: str) -> Path:
    shutil.rmtree(root / name, ignore_errors=True)
    (root / name).mkdir(parents=True)
    return root / name


def prepare(writer: Writer, place: Path) -> None:
    """What is there before, made once and copied.

    Made in a process of its own: threads of MLX don't live on in what is forked after they began.
    """
    ready = place.parent / f"ready-{writer.name.replace(' ', '-')}"
    if not ready.exists():
        ready.mkdir()
        told, code = in_child(lambda _: writer.prepare(ready))
        if code:
            raise RuntimeError(f"{writer.name} can't be prepared: {told}")
    shutil.copytree(ready, place, dirs_exist_ok=True)


def list_writers(quick: bool) -> tuple[Writer, ...]:
    """A conversion takes half a second, and has 600 points."""
    return WRITERS if quick else (*WRITERS, MODEL)


def try_kills(root: Path, quick: bool) -> Cases:
    """Each writer is killed (SIGKILL) at each of its points; then a board by somebody else, at any time."""
    for writer in list_writers(quick):
        for at in choose(count_points(writer, root), quick, writer is MODEL):
            place = _make(root, "place")
            prepare(writer, place)
            told, code = in_child(lambda tell, at=at, place=place, writer=writer: _work(writer, place, tell, at))
            died = "" if code == -signal.SIGKILL else f"it was not killed but ended with {code}: {told[-1:]}"
            yield f"{writer.name}, killed at its point {at}", died or writer.judge(place, told)
    yield from _try_random_kills(root, KILLS // 25 if quick else KILLS)


def _work(writer: Writer, place: Path, tell: Tell, at: int) -> None:
    Disk(place, at, faulty_os.kill).install()
    writer.work(place, tell)


def _try_random_kills(root: Path, count: int) -> Cases:
    chance = random.Random(11)
    board = WRITERS[0]
    for number in range(count):
        place = _make(root, "place")
        began, reading = time.monotonic(), chance.uniform(0, 0.08)
        told, _ = in_child(lambda tell, place=place, after=reading: _die_after(after, place, tell))
        yield f"board {number}, killed after {1000 * (time.monotonic() - began):.0f} ms", board.judge(place, told)


def _die_after(seconds: float, place: Path, tell: Tell) -> None:
    parent = os.getpid()
    if os.fork() == 0:
        time.sleep(seconds)
        os.kill(parent, signal.SIGKILL)
        os._exit(0)
    write_board(place, tell)
    time.sleep(10)


def try_disk_errors(root: Path, quick: bool) -> Cases:
    """At each point the disk refuses once, or from then on: told in words, nothing lost, and it works again after."""
    errors = dict(list(faulty_os.ERRORS.items())[:2]) if quick else faulty_os.ERRORS
    for writer in list_writers(quick):
        count = count_points(writer, root)
        for number, (name, code) in enumerate(list(errors.items())[: 2 if writer is MODEL else None]):
            points = choose(count, quick, writer is MODEL)
            for at in points if quick or writer is MODEL else points[number % 3 :: 3]:  # each by two of the six
                lasting = (at + number) % 2 == 0
                lost = _try_error(writer, _make(root, "place"), at, code, lasting)
                yield f"{writer.name}, {name} {'from' if lasting else 'at'} its point {at}", lost


def _try_error(writer: Writer, place: Path, at: int, code: int, lasting: bool) -> str:
    prepare(writer, place)

    def work(tell: Tell) -> None:
        Disk(place, at, faulty_os.failing(code), lasting, code in FULL).install()
        _try(writer, place, tell)

    told, ended = in_child(work)
    return _find_raw(told, ended) or writer.judge(place, _leave_raised_out(told))


def _try(writer: Writer, place: Path, tell: Tell) -> None:
    try:
        writer.work(place, tell)
    except Exception as error:
        known = faults.tell(error)  # as the command line and the window do
        if known is None:
            raise
        tell(["told", str(known)])


def _leave_raised_out(told: list[Any]) -> list[Any]:
    return [said for said in told if said[0] != "raised"]


def _find_raw(told: list[Any], ended: int) -> str:
    """An error that is not one for people, or a message with the words of a program."""
    raised = [said for said in told if said[0] == "raised"]
    if raised or ended:
        return f"no error for people: {(raised or told)[-1:]} ({ended})"
    odd = [said[1] for said in told if said[0] == "told" and ("Errno" in said[1] or "Traceback" in said[1])]
    return f"words of a program: {odd[0]}" if odd else ""


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[bool]:
    """A file system of that size at `place`; False where none can be mounted."""
    options = ["-o", f"size={kilobytes}k", "none", str(place)]
    mount = ["mount", "-t", "tmpfs", *options]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], capture_output=True, check=True)


def try_full_disks(root: Path, quick: bool) -> Cases:
    """A disk that is full after some kilobytes: a real one where one may be mounted, else a limit of each file."""
    for writer in WRITERS:
        for size in SIZES[:: 4 if quick else 1]:
            place = _make(root, "place")
            with small_disk(place, 4096) as mounted:
                prepare(writer, place)
                lost = _fill_and_try(writer, place, size, mounted)
                yield f"{writer.name}, {size} kB left{'' if mounted else ' for a file'}", lost


def _fill_and_try(writer: Writer, place: Path, size: int, mounted: bool) -> str:
    if mounted:
        _fill(place / ".ballast", place, size)

    def work(tell: Tell) -> None:
        if not mounted:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size * 128, size * 128))
        _try(writer, place, tell)

    told, ended = in_child(work)
    (place / ".ballast").unlink(missing_ok=True)
    return _find_raw(told, ended) or writer.judge(place, _leave_raised_out(told))


def _fill(ballast: Path, disk: Path, kilobytes: int) -> None:
    """Leave that much."""
    free = shutil.disk_usage(disk).free - 1024 * kilobytes
    with open(ballast, "wb") as handle:
        handle.write(bytes(max(0, free)))
