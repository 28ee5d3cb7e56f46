"""Downloads a model's checkpoint from Hugging Face, or takes it from its cache: no file counts before size and hash are
checked, and what was cut off goes on where it stopped.
"""

import json
import os
import shutil
import time
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from mlx_model.errors import Advice, ConvertError, DiskFull, LicenceNotAccepted, NotInstalled, Unreachable
from mlx_model.events import Done, Event, Note, Stage, Step
from mlx_model.files import make_folders, write_new
from mlx_model.foreign import JSON_LIMIT
from mlx_model.held import hold
from mlx_model.languages import LanguageModel
from mlx_model.memory import say_bytes
from mlx_model.spec_parts import Download
from mlx_model.specs import ModelSpec

from . import hub, transfer
from .hub import Remote

RECORD = ".flux-local-download.json"  # what was promised for each file, for later runs without a network
PART = ".flux-local-part.json"  # the same of a part of a model, which no later run takes for the whole
LOCK = ".flux-local-download.lock"
OLD = ".cache"  # where huggingface-hub kept its own partial files, which nothing can go on with
MEGABYTE = 1_000_000
MARGIN = 64 * 2**20  # bytes left free on the disk


@contextmanager
def claim(into: Path) -> Iterator[None]:
    """Hold the folder of a download against other processes; it is made. Raises ConvertError where another has it."""
    make_folders(into)
    with hold(into) as folder:
        descriptor = folder.open_single(LOCK)
    try:
        with suppress(OSError, ImportError):  # no locks here: two at once still write the same bytes
            _lock(descriptor, into)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, into: Path) -> None:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        hint = "Wait until that is done, or stop it there."
        raise ConvertError(f"{into.name} is being downloaded already, in another window or terminal.", hint) from error


def discard(into: Path) -> tuple[int, list[str]]:
    """Remove a download, whole or begun: the bytes that are free now, and the names of what else lies there and stays.

    Raises ConvertError where it is being fetched.
    """
    if into.is_symlink():
        into.unlink()
        return 0, []
    with claim(into):
        return remove_fetched(into)


def remove_fetched(into: Path) -> tuple[int, list[str]]:
    """As discard, for who has claimed the folder. Only what a download wrote goes: links, and what its record lists."""
    ours = {LOCK, RECORD, PART, *_read_names(into)}
    count = 0
    for path in sorted(into.rglob("*"), reverse=True):  # what is in a folder before the folder
        name = path.relative_to(into).as_posix()
        if path.is_dir() and not path.is_symlink():
            with suppress(OSError):  # it is not empty
                path.rmdir()
        elif path.is_symlink() or name in ours or name.split("/")[0] in (transfer.FOLDER, OLD):
            count += path.lstat().st_size
            path.unlink()
    rest = sorted(path.relative_to(into).as_posix() for path in into.rglob("*") if not path.is_dir())
    with suppress(OSError):
        into.rmdir()
    return count, rest


def _read_names(into: Path) -> list[str]:
    return [file.path for name in (RECORD, PART) for file in _read_record(into, name)]


def download(
    spec: ModelSpec | LanguageModel,
    into: Path,
    consent: bool = False,
    without: Collection[str] = (),
    beside: int = 0,
    only: Collection[Download] = (),
) -> Generator[Event, None, None]:
    """Fetch the files of `spec` into the folder `into`: Stage, Step (megabytes), Note, Done with the folder to convert.

    What is there and whole is kept, what is half there is gone on with, what the Hugging Face cache has is linked to; a
    closed generator stops the transfer. `without`: models that are installed, so that what the row shares with them is
    left out; `beside`: bytes that have to be free on that disk when all has come; `only`: these instead of all. Without
    a network, and with HF_HUB_OFFLINE=1 without asking it, an earlier download or the Hugging Face cache serves.
    Raises LicenceNotAccepted (no consent, or a gated repository), NotInstalled (offline and not on the disk),
    Unreachable, ConvertError (a damaged transfer), DiskFull.
    """
    start, into = time.monotonic(), Path(into)
    if spec.repo is None:
        raise ConvertError(f"{spec.name} comes with the app; there is nothing to download.")
    if spec.licence.consent and not consent:
        hint = Advice("agree_to_licence", {"url": spec.licence.url})
        raise LicenceNotAccepted(f"{spec.name} is under the {spec.licence.name} licence: {spec.licence.summary}.", hint)
    if hub.is_offline():
        yield from _take_from_disk(spec, into, tuple(only) or _parts(spec, without))
    elif only:
        yield from _take_some(spec, into, only, beside)
    else:
        try:
            yield from _take_from_hub(spec, into, without, beside)
        except Unreachable as error:
            if not _has_begun(into):
                raise
            raise Unreachable(error.message, f"{error.hint} It goes on where it stopped.") from error
    yield Done(time.monotonic() - start, str(into))


def _take_from_hub(
    spec: ModelSpec | LanguageModel, into: Path, without: Collection[str], beside: int
) -> Iterator[Event]:
    try:
        files = yield from _ask(spec, _parts(spec, without))
    except Unreachable as error:
        if _find_broken(into) != []:
            raise
        yield Note(f"{error.message} What was downloaded before is whole, and is used.")
        return
    make_folders(into)
    _write_record(into, spec, files)
    _tidy(into, files)
    missing = yield from _check(files, into)
    yield from _require_room(spec, into, missing, beside)
    yield from _fetch_all(spec, missing, into)


def _take_some(spec: ModelSpec | LanguageModel, into: Path, only: Collection[Download], beside: int) -> Iterator[Event]:
    """A part of the model."""
    files = yield from _ask(spec, only)
    make_folders(into)
    _write_record(into, spec, files, PART)
    missing = yield from _check(files, into)
    yield from _require_room(spec, into, missing, beside)
    yield from _fetch_all(spec, missing, into)


def _has_begun(into: Path) -> bool:
    """Whether there are bytes of a checkpoint to go on with."""
    ours = (RECORD, PART, LOCK)
    return any(path.is_file() and path.name not in ours and path.stat().st_size for path in into.rglob("*"))


def _take_from_disk(spec: ModelSpec | LanguageModel, into: Path, parts: Collection[Download]) -> Iterator[Event]:
    """An earlier download that is whole, or the Hugging Face cache. Raises NotInstalled."""
    broken = _find_broken(into)
    if broken == []:
        yield Note(f"Offline: using {into}.")
        return
    for part in parts:
        found = hub.list_cached(part)
        if not found and not part.optional:
            what = f"{', '.join(broken[:3])} of it" if broken else part.repo
            raise NotInstalled(f"HF_HUB_OFFLINE is set, and {what} is not on this disk.", Advice("unset_offline"))
        for path, place in found.items():
            transfer.link(place, into, path)
    yield Note("Offline: using the Hugging Face cache.")


def _find_broken(into: Path) -> list[str] | None:
    """What an earlier download promised and is not there, or altered; None where there was none."""
    files = _read_record(into)
    return [file.path for file in files if not file.matches(into / file.path)] if files else None


def _read_record(into: Path, name: str = RECORD) -> list[Remote]:
    try:
        with hold(into) as folder, open(folder.open(name), encoding="utf-8") as handle:
            return [Remote(**file) for file in json.loads(handle.read(JSON_LIMIT))["files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _parts(spec: ModelSpec | LanguageModel, without: Collection[str]) -> list[Download]:
    """What is asked of each repository."""
    further = [part for part in spec.further if not (part.model and part.model in without)]
    return [Download(spec.repo or "", spec.files), *further]


def _ask(spec: ModelSpec | LanguageModel, parts: Collection[Download]) -> Generator[Event, None, list[Remote]]:
    """The files of all repositories that are asked; an optional one that can't be had is told of."""
    files: list[Remote] = []
    for part in parts:
        yield Stage("ask", f"for {part.repo}")
        try:
            more = yield from _notes(transfer.persist(partial(_list, part), part.repo))
        except (ConvertError, LicenceNotAccepted) as error:
            if not part.optional or isinstance(error, Unreachable):
                raise
            yield Note(f"{part.repo} is left out, {spec.name} runs without it: {error.message}")
            continue
        known = {file.path for file in files}
        files += [file for file in more if file.path not in known]
    return files


def _list(part: Download, _: transfer.Hearing) -> list[Remote]:
    return hub.list_files(part)


def _notes(progress: transfer.Progress[list[Remote]]) -> Generator[Event, None, list[Remote]]:
    while True:
        try:
            said = next(progress)
        except StopIteration as end:
            return list(end.value)
        if isinstance(said, Note):
            yield said


def _write_record(into: Path, spec: ModelSpec | LanguageModel, files: list[Remote], name: str = RECORD) -> None:
    record = {"repo": spec.repo, "commit": files[0].commit if files else "", "files": [asdict(file) for file in files]}
    text = json.dumps(record).encode()
    write_new(into / name, lambda handle: handle.write(text), force=True)


def _tidy(into: Path, files: list[Remote]) -> None:
    """Remove partial files of what is not asked for any more, and those that nothing can go on with."""
    _remove(into / OLD)
    wanted, folder = {file.blob for file in files}, into / transfer.FOLDER
    if folder.is_symlink():
        folder.unlink()
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name.removesuffix(transfer.TAG) not in wanted:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _check(files: list[Remote], into: Path) -> Generator[Event, None, list[Remote]]:
    """The files that have to be fetched; what the Hugging Face cache has is linked to."""
    yield Stage("check", str(into), len(files))
    missing, taken = [file for file in files if not file.matches(into / file.path)], 0
    for file in tuple(missing):
        cached = hub.find_cached(file)
        if cached and file.matches(cached):
            transfer.link(cached, into, file.path)
            missing.remove(file)
            taken += file.bytes
    if taken:
        yield Note(f"{say_bytes(taken)} are in the Hugging Face cache already, and are used from there.")
    return missing


def _require_room(spec: ModelSpec | LanguageModel, into: Path, missing: list[Remote], beside: int) -> Iterator[Event]:
    """Say what is to come. Raises DiskFull."""
    fetched = sum(file.bytes - min(file.bytes, transfer.Partial(into, file).size) for file in missing)
    needed, free = fetched + beside, shutil.disk_usage(into).free
    yield Note(f"Download {say_bytes(fetched)}; needs {say_bytes(needed)} on disk, {say_bytes(free)} are free.")
    if needed + (MARGIN if needed else 0) > free:
        message = f"{spec.name} needs {say_bytes(needed)} on the disk of {into}, and {say_bytes(free)} are free."
        raise DiskFull(message, "Free some space, use fewer bits, or choose another disk.")


def _fetch_all(spec: ModelSpec | LanguageModel, missing: list[Remote], into: Path) -> Iterator[Event]:
    total, done = sum(file.bytes for file in missing), 0
    yield Stage("download", spec.repo or "", -(-total // MEGABYTE))
    clock = _Clock(total)
    for file in missing:
        here = min(file.bytes, transfer.Partial(into, file).size)
        clock.skip(here)
        for said in transfer.fetch(file, into):
            yield said if isinstance(said, Note) else clock.step(done + min(max(said, here), file.bytes))
        done += file.bytes
        yield clock.step(done)


class _Clock:
    """Steps in megabytes; the time left counts by what came now, not by what was there."""

    def __init__(self, total: int):
        self._start, self._total, self._skipped = time.monotonic(), total, 0

    def skip(self, count: int) -> None:
        self._skipped += count

    def step(self, done: int) -> Step:
        seconds, came = time.monotonic() - self._start, max(1, done - self._skipped)
        left = seconds * (self._total - done) / came
        return Step(-(-done // MEGABYTE), -(-self._total // MEGABYTE), seconds, left)
