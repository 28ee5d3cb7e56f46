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
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mlx_model.errors import ConvertError, DiskFull, FluxLocalError, LicenceNotAccepted, NotInstalled, UnsafeFile
from mlx_model.events import Done, Event, Note, Stage, Step
from mlx_model.folder import sha256_of
from mlx_model.shards import disk_full
from mlx_model.specs import ModelSpec

RECORD = ".flux-local-download.json"  # what was promised for each file, for later runs without a network
KINDS = (".safetensors", ".json", ".txt", ".jinja", ".model")  # never a pickle, never code
TRIES = 2
POLL = 0.5  # seconds between two progress events
MEGABYTE = 1_000_000
MARGIN = 64 * 2**20  # bytes left free on the disk


@dataclass(frozen=True)
class Remote:
    """A file as the repository promises it; `sha256` for large files, `git` (the blob's SHA-1) for small ones."""

    name: str
    bytes: int
    sha256: str | None = None
    git: str | None = None

    def matches(self, file: Path) -> bool:
        """Whether `file` is there, whole and unaltered."""
        if not file.is_file() or file.stat().st_size != self.bytes:
            return False
        if self.sha256:
            return sha256_of(file) == self.sha256
        content = file.read_bytes()
        return self.git is None or hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == self.git


def download(spec: ModelSpec, into: Path, consent: bool = False) -> Iterator[Event]:
    """Fetch the files of `spec` into the folder `into`: Stage, Step (megabytes), Note, Done with the folder to convert.

    What is there and whole is kept, what is half there is resumed; a closed generator stops the transfer. Without a
    network (HF_HUB_OFFLINE=1) an earlier download or the Hugging Face cache serves.
    Raises LicenceNotAccepted (no consent, or a gated repository), NotInstalled (offline and not on the disk),
    ConvertError (no connection, a damaged transfer), DiskFull.
    """
    start, into = time.monotonic(), Path(into)
    if spec.repo is None:
        raise ConvertError(f"{spec.name} comes with the app; there is nothing to download.")
    if spec.licence.consent and not consent:
        hint = f"Read {spec.licence.url} and agree with --accept-licence."
        raise LicenceNotAccepted(f"{spec.name} is under the {spec.licence.name} licence: {spec.licence.summary}.", hint)
    if _offline():
        path = _on_disk(spec, into)
        yield Note(f"Offline: using {path}.")
        yield Done(time.monotonic() - start, str(path))
        return
    commit, files = _listing(spec)
    into.mkdir(parents=True, exist_ok=True)
    (into / RECORD).write_text(json.dumps({"repo": spec.repo, "commit": commit, "files": [asdict(f) for f in files]}))
    yield from _fetch_all(spec, commit, files, into)
    yield Done(time.monotonic() - start, str(into))


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _on_disk(spec: ModelSpec, into: Path) -> Path:
    """An earlier download that is whole, or the Hugging Face cache. Raises NotInstalled."""
    try:
        files = [Remote(**file) for file in json.loads((into / RECORD).read_text())["files"]]
        broken = [file.name for file in files if not file.matches(into / file.name)]
    except (OSError, ValueError, KeyError, TypeError):
        files, broken = [], []
    if files and not broken:
        return into
    cached = _cached(spec)
    if cached is None:
        what = f"{', '.join(broken[:3])} of it" if broken else spec.repo
        hint = "Unset HF_HUB_OFFLINE, or give a folder that has the files with --from."
        raise NotInstalled(f"HF_HUB_OFFLINE is set, and {what} is not on this disk.", hint)
    return cached


def _cached(spec: ModelSpec) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(spec.repo, allow_patterns=list(spec.files), local_files_only=True))
    except (OSError, ValueError):
        return None


def _listing(spec: ModelSpec) -> tuple[str, list[Remote]]:
    """The commit and the files of the repository that `spec` asks for, with sizes and hashes."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(spec.repo, files_metadata=True)
    except OSError as error:
        raise _explained(error, spec) from error
    wanted = [
        sibling
        for sibling in info.siblings
        if any(fnmatch.fnmatchcase(sibling.rfilename, pattern) for pattern in spec.files)
        and sibling.rfilename.lower().endswith(KINDS)
    ]
    if not wanted:
        raise ConvertError(f"{spec.repo} has none of the files that {spec.name} needs.")
    return info.sha, [_remote(sibling) for sibling in wanted]


def _remote(sibling: Any) -> Remote:
    name = PurePosixPath(sibling.rfilename)
    if name.is_absolute() or ".." in name.parts or "\\" in sibling.rfilename:
        raise UnsafeFile(f"The repository lists a file outside its folder: {sibling.rfilename!r}.")
    lfs = sibling.lfs
    if sibling.size is None or (lfs is None and not sibling.blob_id):
        raise ConvertError(f"The repository states no size or hash for {sibling.rfilename}, so it can't be checked.")
    return Remote(sibling.rfilename, sibling.size, lfs and lfs.sha256, None if lfs else sibling.blob_id)


def _fetch_all(spec: ModelSpec, commit: str, files: list[Remote], into: Path) -> Iterator[Event]:
    yield Stage("check", str(into), len(files))
    missing = [file for file in files if not file.matches(into / file.name)]
    total, free = sum(file.bytes for file in missing), shutil.disk_usage(into).free
    if total + MARGIN > free:
        message = f"The download needs {total / 1e9:.2f} GB, and {into} has {free / 1e9:.2f} GB free."
        raise DiskFull(message, "Free some space or choose another disk.")
    yield Stage("download", spec.repo or "", -(-total // MEGABYTE))
    start, before = time.monotonic(), 0
    for file in missing:
        for count in _fetch(spec, commit, file, into):
            done = min(total, before + count)
            yield _step(done, total, time.monotonic() - start)
        before += file.bytes
        yield _step(before, total, time.monotonic() - start)


def _step(done: int, total: int, seconds: float) -> Step:
    return Step(-(-done // MEGABYTE), -(-total // MEGABYTE), seconds, seconds * (total - done) / max(1, done))


def _fetch(spec: ModelSpec, commit: str, file: Remote, into: Path) -> Iterator[int]:
    """Fetch one file, checked; yields the bytes so far. A damaged one is fetched afresh once."""
    for attempt in range(TRIES):
        yield from _transfer(spec, commit, file, into, fresh=attempt > 0)
        if file.matches(into / file.name):
            return
        (into / file.name).unlink(missing_ok=True)
    raise ConvertError(f"{file.name} arrived damaged {TRIES} times: its size or hash is wrong.", "Try again later.")


def _transfer(spec: ModelSpec, commit: str, file: Remote, into: Path, fresh: bool) -> Iterator[int]:
    """Run the transfer on a thread of its own, so that progress can be told and closing can stop it."""
    from huggingface_hub import hf_hub_download

    count = _Count()
    errors: list[BaseException] = []
    options = {"revision": commit, "local_dir": into, "force_download": fresh, "tqdm_class": _counter(count)}

    def run() -> None:
        try:
            hf_hub_download(spec.repo, file.name, **options)
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
            raise _explained(errors[0], spec) from errors[0]


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


def _explained(error: BaseException, spec: ModelSpec) -> BaseException:
    """What a person can do about an error of the hub; errors of the disk stay what they are."""
    from huggingface_hub import errors

    if isinstance(error, FluxLocalError):
        return error
    page = f"https://huggingface.co/{spec.repo}"
    if isinstance(error, (errors.GatedRepoError, errors.RepositoryNotFoundError)):
        hint = f"Open {page}, log in and accept the licence there; then run: hf auth login"
        return LicenceNotAccepted(f"{spec.repo} is open only to accounts that accepted its licence.", hint)
    if isinstance(error, errors.HfHubHTTPError):
        return ConvertError(f"Hugging Face answered: {str(error).splitlines()[0]}", "Try again later.")
    network = type(error).__module__.startswith(("httpx", "httpcore", "requests"))
    if network or isinstance(error, (ConnectionError, TimeoutError, errors.LocalEntryNotFoundError)):
        hint = "Check the connection and run it again: it goes on where it stopped."
        return ConvertError(f"{page} can't be reached.", hint)
    if isinstance(error, OSError) and error.errno is not None:
        return error
    return ConvertError(f"The download of {spec.repo} failed: {error!r}.", "Run it again: it goes on where it stopped.")
