"""The library of LoRAs: adapter files in a folder of the app, and what lies beside them or in their headers.

Beside NAME.safetensors, as the field has it: a picture (NAME.png, NAME.preview.png, .webp, .jpg, .jpeg) and words
(NAME.civitai.info, NAME.json). In the header: modelspec.* of the Stability specification, kohya's ss_tag_frequency.
All of it comes from strangers: it is only read, up to a limit, and never believed to be anything but words.
"""

import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlx_model.errors import FluxLocalError, ModelError, RequestError
from mlx_model.files import check_writable, explain, make_folders, number_names, write_new
from mlx_model.foreign import parse_json
from mlx_model.store import lora_names
from mlx_model.store.folder import sha256_of

from ..base import paths

ENDINGS = (".safetensors", ".sft")
PICTURES = (".preview.png", ".png", ".webp", ".jpg", ".jpeg", ".preview.jpg", ".preview.jpeg", ".preview.webp")
WORDS = (".civitai.info", ".json")
WORDS_LIMIT, PICTURE_LIMIT = 4 * 2**20, 16 * 2**20  # bytes
MOST_WORDS, LONGEST_WORD, LONGEST_TEXT = 12, 120, 600
MOST_FILES = 2000
DIGESTS = ".sha256.json"


@dataclass(frozen=True)
class Entry:
    """One file of the library. `problem` says why it can't be used; then the rest is empty."""

    name: str  # what --lora and boards call it
    path: Path
    bytes: int = 0
    fits: tuple[str, ...] = ()  # titles of models; () where its header does not tell
    names: tuple[str, ...] = ()  # the same, as `-m` calls them
    encoder: bool = False  # it has parts for a text encoder too
    triggers: tuple[str, ...] = ()
    description: str = ""
    problem: str = ""


def list_loras() -> list[Entry]:
    """By name. Never raises for a bad file."""
    return [_inspect(path, *_stamp(path)) for path in _list_files()]


def _list_files() -> list[Path]:
    folder = paths.loras()
    found = folder.rglob("*") if folder.is_dir() else iter(())
    files = [path for path in found if path.suffix.lower() in ENDINGS and path.is_file()]
    return sorted(files[:MOST_FILES], key=lambda path: path.stem.casefold())


def _stamp(path: Path) -> tuple[float, ...]:
    """Of the file and what is beside it."""
    beside = [path, *(path.with_name(path.stem + end) for end in WORDS)]
    return tuple(one.stat().st_mtime_ns if one.is_file() else 0.0 for one in beside)


@lru_cache(maxsize=MOST_FILES)
def _inspect(path: Path, *stamp: float) -> Entry:
    try:
        size, header = path.stat().st_size, lora_names.read_header(path)
        if not lora_names.is_lora(header.shapes):
            return Entry(path.stem, path, size, problem="It does not look like a LoRA.")
        rows = lora_names.list_fitting(header.shapes)
        said = _read_beside(path)
        return Entry(
            path.stem, path, size, tuple(row.called for row in rows), tuple(row.name for row in rows),
            lora_names.adapts_encoder(header.shapes), _list_triggers(header.metadata, said),
            _clip(_first(said.get("description"), header.metadata.get("modelspec.description")), LONGEST_TEXT),
        )  # fmt: skip
    except FluxLocalError as error:
        return Entry(path.stem, path, problem=error.message)
    except OSError:
        return Entry(path.stem, path, problem="It can't be read.")


def find(name: str) -> Path | None:
    """The file of a name in the library, with or without its ending; None where there is none."""
    wanted = name.casefold()
    return next((path for path in _list_files() if wanted in (path.stem.casefold(), path.name.casefold())), None)


def add(path: Path) -> Path:
    """Copy a file and what lies beside it into the library; where it is now. A taken name gets a number.

    Raises RequestError (no LoRA, no such file), LayoutError (damaged), DiskFull.
    """
    path = Path(path)
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"There is no file {path}"
        raise RequestError(f"{what}.", "Give the .safetensors file of a LoRA.")
    try:
        header = lora_names.read_header(path)
        if not lora_names.is_lora(header.shapes):
            raise RequestError(f"{path.name} does not look like a LoRA.", "Models are added under Models.")
        folder = paths.loras()
        make_folders(folder)
        check_writable(folder / path.name)
        digest = sha256_of(path)
        if same := next((one for one in _list_files() if one.stat().st_size == path.stat().st_size
                         and digest_of(one) == digest), None):  # fmt: skip
            return same
        target = _copy(path, _choose_name(folder / path.name))
        for end in (*PICTURES, *WORDS):
            beside, place = path.with_name(path.stem + end), target.with_name(target.stem + end)
            if beside.is_file() and beside.stat().st_size <= PICTURE_LIMIT and not os.path.lexists(place):
                _copy(beside, place)
        digest_of(target)
        return target
    except OSError as error:
        raise explain(error, Path(error.filename or paths.loras())) from error


def _choose_name(path: Path) -> Path:
    """The first name that no other file's picture or words have: comic.sft would share those of comic.safetensors."""
    ends = (*ENDINGS, *PICTURES, *WORDS)
    return next(
        one for one in number_names(path) if not any(os.path.lexists(one.with_name(one.stem + end)) for end in ends)
    )


def _copy(path: Path, to: Path) -> Path:
    """See write_new."""
    with open(path, "rb") as source:
        return write_new(to, lambda handle: shutil.copyfileobj(source, handle, 1 << 20))


def remove(name: str) -> None:
    """Move a file of the library and what lies beside it to the Trash.

    Raises RequestError (no such name), ModelError where the Trash can't take it (nothing is deleted then).
    """
    path = find(name)
    if path is None:
        raise RequestError(f"There is no LoRA called {name} in the library.")
    from send2trash import send2trash  # type: ignore[import-untyped]  # it ships no types

    beside = [path.with_name(path.stem + end) for end in (*PICTURES, *WORDS)]
    try:
        for one in (path, *beside):
            if one.is_file():
                send2trash(str(one))
    except Exception as error:  # each system's trash has its own errors
        raise ModelError(f"{path} could not be moved to the Trash.", "Delete the file yourself.") from error


def read_picture(path: Path) -> bytes | None:
    """The bytes of a LoRA's picture, from beside it or out of its header; None where there is none."""
    for end in PICTURES:
        beside = path.with_name(path.stem + end)
        if beside.is_file() and beside.stat().st_size <= PICTURE_LIMIT:
            return beside.read_bytes()
    try:
        told = lora_names.read_header(path).metadata.get("modelspec.thumbnail", "")
        head, _, data = told.partition(",")
        if head.startswith("data:image/") and head.endswith(";base64") and len(data) <= PICTURE_LIMIT:
            return base64.b64decode(data, validate=True)
    except (FluxLocalError, OSError, ValueError):
        pass
    return None


def digest_of(path: Path) -> str:
    """The sha256 of a file of the library, kept as long as it stays the file that it was. Raises OSError."""
    kept_file = paths.loras() / DIGESTS
    state = path.stat()
    stamp = [state.st_size, state.st_mtime_ns, state.st_ino]
    kept = _read_json(kept_file)
    known = kept.get(str(path))
    if isinstance(known, list) and known[:-1] == stamp:
        return str(known[-1])
    kept[str(path)] = [*stamp, sha256_of(path)]
    text = json.dumps(kept).encode()
    with contextlib.suppress(FluxLocalError):  # it is only computed again
        write_new(kept_file, lambda handle: handle.write(text), force=True, lasting=False)
    return str(kept[str(path)][-1])


def _read_beside(path: Path) -> dict[str, Any]:
    """The words beside a file: Civitai's and A1111's, under Civitai's names."""
    said: dict[str, Any] = {}
    for end in reversed(WORDS):
        said |= _read_json(path.with_name(path.stem + end))
    return said


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file() or path.stat().st_size > WORDS_LIMIT:
            return {}
        values = parse_json(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _list_triggers(metadata: Mapping[str, str], said: Mapping[str, Any]) -> tuple[str, ...]:
    """Words to put into a prompt: what the makers say, else the tags that the training pictures had most."""
    told = said.get("trainedWords")
    words = [word for word in told if isinstance(word, str)] if isinstance(told, list) else []
    words += [said["activation text"]] if isinstance(said.get("activation text"), str) else []
    words += [metadata[key] for key in ("modelspec.trigger_phrase", "trigger_word") if metadata.get(key)]
    return _tidy(words or _count_tags(metadata.get("ss_tag_frequency", "")))


def _count_tags(text: str) -> list[str]:
    counts: dict[str, int] = {}
    try:
        folders = parse_json(text) if 0 < len(text) <= WORDS_LIMIT else {}
        for tags in folders.values():
            for tag, count in tags.items():
                counts[tag] = counts.get(tag, 0) + int(count)
    except (ValueError, AttributeError, TypeError, OverflowError):
        return []
    return sorted(counts, key=lambda tag: -counts[tag])


def _tidy(words: Iterable[str]) -> tuple[str, ...]:
    clean = dict.fromkeys(_clip(word.strip(" ,"), LONGEST_WORD) for word in words)
    return tuple(word for word in clean if word)[:MOST_WORDS]


def _first(*texts: object) -> str:
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _clip(text: str, length: int) -> str:
    """One line of plain words: no marks of HTML, which Civitai's descriptions have."""
    plain = " ".join(re.sub(r"<[^<>]{0,400}>", " ", text).split())
    return plain if len(plain) <= length else plain[: length - 1] + "…"
