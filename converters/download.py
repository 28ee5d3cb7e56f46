"""Downloads a model's checkpoint from Hugging Face: resumable, and no file counts before size and hash are checked.

The only file that imports huggingface_hub, and only inside functions, so that nothing else waits for it.
"""

import fnmatch
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Collection, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mlx_model.errors import (
    Advice,
    ConvertError,
    DiskFull,
    FluxLocalError,
    LicenceNotAccepted,
    NotInstalled,
    UnsafeFile,
)
from mlx_model.events import Done, Event, Note, Stage, Step
from mlx_model.specs import Download, ModelSpec
from mlx_model.store.folder import sha256_of
from mlx_model.store.shards import disk_full

RECORD = ".flux-local-download.json"  # what was promised for each file, for later runs without a network
KINDS = (".safetensors", ".json", ".txt", ".jinja", ".model")  # never code; a pickle only where a row names the file
TRIES = 2
POLL = 0.5  # seconds between two progress events
MEGABYTE = 1_000_000
MARGIN = 64 * 2**20  # bytes left free on the disk


@dataclass(frozen=True)
class Remote:
    """A file as its repository promises it; `sha256` for large files, `git` (the blob's SHA-1) for small ones."""

    name: str
    bytes: int
    sha256: str | None = None
    git: str | None = None
    repo: str = ""
    commit: str = ""
    into: str = ""

    @property
    def path(self) -> str:
        """Where it lies in the folder of the download."""
        return str(PurePosixPath(self.into) / self.name)

    def matches(self, file: Path) -> bool:
        """Whether `file` is there, whole and unaltered."""
        if not file.is_file() or file.stat().st_size != self.bytes:
            return False
        if self.sha256:
            return sha256_of(file) == self.sha256
        content = file.read_bytes()
        return self.git is None or hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == self.git


def download(spec: ModelSpec, into: Path, consent: bool = False, without: Collection[str] = ()) -> Iterator[Event]:
    """Fetch the files of `spec` into the folder `into`: Stage, Step (megabytes), Note, Done with the folder to convert.

    What is there and whole is kept, what is half there is resumed; a closed generator stops the transfer. `without`:
    models that are installed, so that what the row shares with them is left out. Without a network (HF_HUB_OFFLINE=1)
    an earlier download or the Hugging Face cache serves.
    Raises LicenceNotAccepted (no consent, or a gated repository), NotInstalled (offline and not on the disk),
    ConvertError (no connection, a damaged transfer), DiskFull.
    """
    start, into = time.monotonic(), Path(into)
    if spec.repo is None:
        raise ConvertError(f"{spec.name} comes with the app; there is nothing to download.")
    if spec.licence.consent and not consent:
        hint = Advice("agree_to_licence", {"url": spec.licence.url})
        raise LicenceNotAccepted(f"{spec.name} is under the {spec.licence.name} licence: {spec.licence.summary}.", hint)
    if _offline():
        path = _on_disk(spec, into)
        yield Note(f"Offline: using {path}.")
        yield Done(time.monotonic() - start, str(path))
        return
    files = yield from _listings(spec, without)
    into.mkdir(parents=True, exist_ok=True)
    record = {"repo": spec.repo, "commit": files[0].commit, "files": [asdict(file) for file in files]}
    (into / RECORD).write_text(json.dumps(record))
    yield from _fetch_all(spec, files, into)
    yield Done(time.monotonic() - start, str(into))


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _on_disk(spec: ModelSpec, into: Path) -> Path:
    """An earlier download that is whole, or the Hugging Face cache. Raises NotInstalled."""
    try:
        files = [Remote(**file) for file in json.loads((into / RECORD).read_text())["files"]]
        broken = [file.path for file in files if not file.matches(into / file.path)]
    except (OSError, ValueError, KeyError, TypeError):
        files, broken = [], []
    if files and not broken:
        return into
    cached = _cached(spec)
    if cached is None:
        what = f"{', '.join(broken[:3])} of it" if broken else spec.repo
        raise NotInstalled(f"HF_HUB_OFFLINE is set, and {what} is not on this disk.", Advice("unset_offline"))
    return cached


def _cached(spec: ModelSpec) -> Path | None:
    from huggingface_hub import snapshot_download

    if any(not further.optional for further in spec.further):
        return None  # the cache keeps repositories apart
    try:
        return Path(snapshot_download(spec.repo, allow_patterns=list(spec.files), local_files_only=True))
    except (OSError, ValueError):
        return None


def _listings(spec: ModelSpec, without: Collection[str]) -> Generator[Note, None, list[Remote]]:
    """The files of all repositories that `spec` asks for; an optional one that can't be had is told of."""
    files = _listing(spec.repo or "", Download(spec.repo or "", spec.files))
    for part in spec.further:
        if part.model and part.model in without:
            continue
        try:
            more = _listing(part.repo, part)
        except (ConvertError, LicenceNotAccepted) as error:
            if not part.optional:
                raise
            yield Note(f"{part.repo} is left out, {spec.name} runs without it: {error.message}")
            continue
        known = {file.path for file in files}
        files += [file for file in more if file.path not in known]
    return files


def _listing(repo: str, part: Download) -> list[Remote]:
    """The files that `part` asks for, with sizes and hashes."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repo, files_metadata=True)
    except OSError as error:
        raise _explained(error, repo) from error
    wanted = [sibling for sibling in info.siblings if _is_wanted(sibling.rfilename, part.files)]
    if not wanted:
        raise ConvertError(f"{repo} has none of the files that are needed.")
    return [replace(_remote(sibling), repo=repo, commit=info.sha, into=part.into) for sibling in wanted]


def _is_wanted(name: str, patterns: tuple[str, ...]) -> bool:
    asked = any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    return asked and (name in patterns or name.lower().endswith(KINDS))


def _remote(sibling: Any) -> Remote:
    name = PurePosixPath(sibling.rfilename)
    if name.is_absolute() or ".." in name.parts or "\\" in sibling.rfilename:
        raise UnsafeFile(f"The repository lists a file outside its folder: {sibling.rfilename!r}.")
    lfs = sibling.lfs
    if sibling.size is None or (lfs is None and not sibling.blob_id):
        raise ConvertError(f"The repository states no size or hash for {sibling.rfilename}, so it can't be checked.")
    return Remote(sibling.rfilename, sibling.size, lfs and lfs.sha256, None if lfs else sibling.blob_id)


def _fetch_all(spec: ModelSpec, files: list[Remote], into: Path) -> Iterator[Event]:
    yield Stage("check", str(into), len(files))
    missing = [file for file in files if not file.matches(into / file.path)]
    total, free = sum(file.bytes for file in missing), shutil.disk_usage(into).free
    if total + MARGIN > free:
        message = f"The download needs {total / 1e9:.2f} GB, and {into} has {free / 1e9:.2f} GB free."
        raise DiskFull(message, "Free some space or choose another disk.")
    yield Stage("download", spec.repo or "", -(-total // MEGABYTE))
    start, before = time.monotonic(), 0
    for file in missing:
        for count in _fetch(file, into / file.into):
            done = min(total, before + count)
            yield _step(done, total, time.monotonic() - start)
        before += file.bytes
        yield _step(before, total, time.monotonic() - start)


def _step(done: int, total: int, seconds: float) -> Step:
    return Step(-(-done // MEGABYTE), -(-total // MEGABYTE), seconds, seconds * (total - done) / max(1, done))


def _fetch(file: Remote, into: Path) -> Iterator[int]:
    """Fetch one file, checked; yields the bytes so far. A damaged one is fetched afresh once."""
    for attempt in range(TRIES):
        yield from _transfer(file, into, fresh=attempt > 0)
        if file.matches(into / file.name):
            return
        (into / file.name).unlink(missing_ok=True)
    raise ConvertError(f"{file.name} arrived damaged {TRIES} times: its size or hash is wrong.", "Try again later.")


def _transfer(file: Remote, into: Path, fresh: bool) -> Iterator[int]:
    """Run the transfer on a thread of its own, so that progress can be told and closing can stop it."""
    from huggingface_hub import hf_hub_download

    count = _Count()
    errors: list[BaseException] = []
    options = {"revision": file.commit, "local_dir": into, "force_download": fresh, "tqdm_class": _counter(count)}

    def run() -> None:
        try:
            hf_hub_download(file.repo, file.name, **options)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL)
            yield min(count.bytes, file.bytes)
    finally:
        count.stopped = True
    if errors:
        with disk_full(into / file.name):
            raise _explained(errors[0], file.repo) from errors[0]


@dataclass
class _Count:
    bytes: int = 0
    stopped: bool = False


class _Stopped(Exception):
    pass


def _counter(count: _Count) -> type:
    """A progress bar that draws nothing, counts into `count`, and ends the transfer once that is stopped."""
    from huggingface_hub.utils import tqdm

    class Counter(tqdm):
        def __init__(self, *args, **kwargs):
            count.bytes = int(kwargs.get("initial") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n=1):
            if count.stopped:
                raise _Stopped
            count.bytes += int(n or 0)

    return Counter


def _explained(error: BaseException, repo: str) -> BaseException:
    """What a person can do about an error of the hub; errors of the disk stay what they are."""
    from huggingface_hub import errors

    if isinstance(error, FluxLocalError):
        return error
    page = f"https://huggingface.co/{repo}"
    if isinstance(error, (errors.GatedRepoError, errors.RepositoryNotFoundError)):
        hint = f"Open {page}, log in and accept the licence there; then run: hf auth login"
        return LicenceNotAccepted(f"{repo} is open only to accounts that accepted its licence.", hint)
    if isinstance(error, errors.HfHubHTTPError):
        return ConvertError(f"Hugging Face answered: {str(error).splitlines()[0]}", "Try again later.")
    network = type(error).__module__.startswith(("httpx", "httpcore", "requests"))
    if network or isinstance(error, (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError)):
        hint = "Check the connection and run it again: it goes on where it stopped."
        return ConvertError(f"{page} can't be reached.", hint)
    if isinstance(error, OSError) and error.errno is not None:
        return error
    return ConvertError(f"The download of {repo} failed: {error!r}.", "Run it again: it goes on where it stopped.")
