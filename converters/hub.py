"""Hugging Face: what a repository promises, what its cache on this disk holds, what an answer or a silence means.

The only file that imports huggingface_hub, and only inside functions, so that nothing else waits for it.
"""

import fnmatch
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from mlx_model.errors import Advice, ConvertError, FluxLocalError, LicenceNotAccepted, Unreachable, UnsafeFile
from mlx_model.spec_parts import Download
from mlx_model.store.folder import sha256_of

KINDS = (".safetensors", ".json", ".txt", ".jinja", ".model")  # never code; a pickle only where a row names the file
HASHES = {"sha256": re.compile("[0-9a-f]{64}"), "git": re.compile("[0-9a-f]{40}")}
COMMIT = re.compile("[0-9a-f]{6,64}")
PAUSE, BUSY = 1.0, 2.0  # seconds before the next try: after a cut connection, after an error of the server


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

    @property
    def blob(self) -> str:
        """The name of its content, whatever the file is called."""
        return self.sha256 or self.git or ""

    def matches(self, file: Path) -> bool:
        """Whether `file` is there, whole and unaltered."""
        if not file.is_file() or file.stat().st_size != self.bytes:
            return False
        if self.sha256:
            return sha256_of(file) == self.sha256
        content = file.read_bytes()
        return self.git is None or hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == self.git


class Response(Protocol):
    """What is used of an answer while it arrives."""

    status_code: int
    headers: Mapping[str, str]
    url: Any

    def iter_bytes(self) -> Iterator[bytes]: ...


@dataclass
class Answer(Exception):
    """A server's answer that is not what was asked for. `ours`: it came from the hub, not from where it sent us."""

    status: int
    headers: Mapping[str, str]
    ours: bool = True


def _library() -> Any:
    """huggingface_hub, with what it would send of its own accord switched off."""
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors
    import huggingface_hub.utils

    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


def is_offline() -> bool:
    """Whether the person wants no connection."""
    return bool(_library().constants.HF_HUB_OFFLINE) or os.environ.get("HF_HUB_OFFLINE", "").lower() in (
        "1",
        "true",
        "yes",
        "on",
    )


def read_timeout() -> float:
    """Seconds that one request waits for the next sign of life: HF_HUB_DOWNLOAD_TIMEOUT, or 10."""
    return float(_library().constants.HF_HUB_DOWNLOAD_TIMEOUT)


def list_files(part: Download) -> list[Remote]:
    """The files that `part` asks for, with sizes and hashes. Raises Answer, ConvertError, what the network raises."""
    library = _library()
    api = library.HfApi(headers={"user-agent": "flux-local"})
    library.utils.get_session()  # what is wrong with a proxy's address shows here
    try:
        info = api.model_info(part.repo, files_metadata=True, timeout=read_timeout())
        siblings = list(info.siblings)
    except library.errors.HfHubHTTPError as error:
        raise Answer(error.response.status_code, error.response.headers) from error
    except UnicodeEncodeError:  # of the token
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        hint = "Does this network ask for a login in the browser? Then log in, and try again."
        raise Unreachable(f"{endpoint()} answers something else than a list of files.", hint) from error
    wanted = [sibling for sibling in siblings if _is_wanted(sibling.rfilename, part.files)]
    if not wanted:
        raise ConvertError(f"{part.repo} has none of the files that are needed.")
    return [_remote(sibling, part, str(info.sha)) for sibling in wanted]


def _is_wanted(name: str, patterns: tuple[str, ...]) -> bool:
    asked = any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    return asked and (name in patterns or name.lower().endswith(KINDS))


def _remote(sibling: Any, part: Download, commit: str) -> Remote:
    """Raises UnsafeFile for a name that leads out of the folder, ConvertError where nothing can be checked later."""
    name = PurePosixPath(sibling.rfilename)
    if name.is_absolute() or ".." in name.parts or "\\" in sibling.rfilename:
        raise UnsafeFile(f"The repository lists a file outside its folder: {sibling.rfilename!r}.")
    kind, value = ("sha256", sibling.lfs.sha256) if sibling.lfs else ("git", sibling.blob_id)
    sound = isinstance(sibling.size, int) and sibling.size >= 0 and COMMIT.fullmatch(commit)
    if not sound or not HASHES[kind].fullmatch(value or ""):
        raise ConvertError(f"The repository states no size or hash for {sibling.rfilename}, so it can't be checked.")
    hashes = {kind: value}
    return Remote(sibling.rfilename, sibling.size, **hashes, repo=part.repo, commit=commit, into=part.into)


@contextmanager
def open_file(file: Remote, headers: dict[str, str]) -> Iterator[Response]:
    """Ask for the content. The token goes to the hub alone: a redirect to another host leaves it out.

    Raises Answer for every status but 200, 206 and 416, and what the network raises.
    """
    library = _library()
    url = library.hf_hub_url(file.repo, file.name, revision=file.commit)
    asked = library.utils.build_hf_headers(headers={"user-agent": "flux-local", **headers})
    with library.utils.get_session().stream("GET", url, headers=asked, timeout=read_timeout()) as response:
        if response.status_code not in (200, 206, 416):
            ours = urlsplit(str(response.url)).netloc == urlsplit(endpoint()).netloc
            ours = ours or "x-error-code" in response.headers  # where a mirror sends us on to the hub itself
            raise Answer(response.status_code, response.headers, ours)
        yield cast(Response, response)


def find_cached(file: Remote) -> Path | None:
    """The content in the Hugging Face cache, by its hash, so of whatever commit; to be checked, and only read."""
    library = _library()
    folder = f"models--{file.repo.replace('/', '--')}"
    blob = Path(library.constants.HF_HUB_CACHE) / folder / "blobs" / file.blob
    copied = library.try_to_load_from_cache(file.repo, file.name, revision=file.commit)  # where links can't be made
    for place in (blob, Path(copied) if isinstance(copied, str) else None):
        if place and os.path.isfile(place) and os.access(place, os.R_OK) and os.path.getsize(place) == file.bytes:
            return Path(os.path.realpath(place))
    return None


def find_cache(repo: str) -> Path | None:
    """The folder of a repository in the Hugging Face cache."""
    folder = Path(_library().constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    return folder if folder.is_dir() else None


def list_cached(part: Download) -> dict[str, Path]:
    """Path in the download -> file in the cache, for what `part` asks for of the newest commit there; {} for none."""
    try:
        root = Path(_library().snapshot_download(part.repo, allow_patterns=list(part.files), local_files_only=True))
    except (OSError, ValueError):
        return {}
    names = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    wanted = [name for name in names if _is_wanted(name, part.files)]
    return {str(PurePosixPath(part.into) / name): Path(os.path.realpath(root / name)) for name in wanted}


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, or https://huggingface.co."""
    return str(_library().constants.ENDPOINT)


def pause_after(error: Exception) -> float | None:
    """Seconds after which another try makes sense; None: it makes none."""
    if isinstance(error, Answer):
        if error.status == 429:
            return _retry_after(error.headers, 2 * BUSY)
        passing = error.status in (408, 500, 502, 503, 504) or (not error.ours and error.status in (401, 403, 404))
        return _retry_after(error.headers, BUSY) if passing else None
    return PAUSE if _is_network(error) else None


def _retry_after(headers: Mapping[str, str], usual: float) -> float:
    """By the server's own clock, whatever this computer's says; at least a second."""
    text = headers.get("retry-after", "").strip()
    limit = re.search(r"\bt\s*=\s*(\d{1,9})", headers.get("ratelimit", ""))
    if re.fullmatch(r"\d{1,9}", text):
        return max(1.0, float(text))
    try:
        when, now = (parsedate_to_datetime(value) for value in (text, headers.get("date", "")))
        return max(1.0, (when - now).total_seconds())
    except (ValueError, TypeError):
        return max(1.0, float(limit[1])) if limit else usual


def _is_network(error: BaseException) -> bool:
    """The library's client is httpx in some versions and httpx2 in others."""
    known = type(error).__module__.startswith(("httpx", "httpcore"))
    return (known and not _is_bad_address(error)) or isinstance(error, ConnectionError | TimeoutError)


def _is_bad_address(error: BaseException) -> bool:
    return type(error).__name__ in ("InvalidURL", "UnsupportedProtocol")


def explain(error: Exception, repo: str) -> Exception:
    """The error to raise: what a person can do about it. Errors of the disk, and faults of ours, stay what they are."""
    if isinstance(error, FluxLocalError):
        return error
    if isinstance(error, Answer):
        return _explain_answer(error, repo)
    if _is_bad_address(error):
        hint = "Unset HF_ENDPOINT, or give it one such as https://huggingface.co"
        return ConvertError(f"{endpoint()!r} is no address of a hub.", hint)
    if isinstance(error, UnicodeEncodeError):
        text = "The token on this computer is not one that Hugging Face gives out."
        return ConvertError(text, Advice("look_at_token"))
    if "CERTIFICATE" in str(error).upper():
        hint = "Look at the date and the time of this computer, and at what filters its connection."
        return Unreachable(f"The certificate of {endpoint()} is not accepted.", hint)
    if _is_network(error):
        return Unreachable(f"{endpoint()} can't be reached.", "Check the connection and try again.")
    if isinstance(error, ImportError | ValueError) and "proxy" in str(error).lower():
        hint = "Look at HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, or unset them."
        return ConvertError("The proxy that this computer names can't be used.", hint)
    return error


def _explain_answer(answer: Answer, repo: str) -> FluxLocalError:
    page = f"{endpoint()}/{repo}"
    if answer.status == 429:
        wait = f"in {pause_after(answer) or 0:.0f} s" if "retry-after" in answer.headers else "later"
        hint = f"Try again {wait}. Who is logged in (hf auth login) may ask for more."
        return Unreachable(f"{endpoint()} takes no more requests from here for now.", hint)
    if answer.status in (401, 403) and answer.ours:
        return _explain_refusal(answer, repo, page)
    if answer.status in (404, 410) and answer.ours:
        hint = f"It may have been renamed or withdrawn: see {page}."
        return ConvertError(f"{repo}, or a file of it, is not at {endpoint()}.", hint)
    who = endpoint() if answer.ours else f"The server to which {endpoint()} sent us"
    return Unreachable(f"{who} answered with error {answer.status}.", "Wait a while and try again.")


def _explain_refusal(answer: Answer, repo: str, page: str) -> LicenceNotAccepted:
    """401: it does not know who asks, or by a token that is not valid; 403: it does, and they may not."""
    if answer.status == 401 and _library().get_token():
        hint = Advice("log_in_again", {"page": page})
        return LicenceNotAccepted(f"{endpoint()} does not let this account have {repo}.", hint)
    rights = Advice("log_in_with_rights", {"page": page})
    hint = rights if answer.status == 403 else Advice("log_in", {"page": page})
    return LicenceNotAccepted(f"{repo} is open only to accounts that accepted its licence.", hint)
