"""Finds the components of a checkpoint: single files, shards with an index, diffusers folders, converted folders.

Components are told by their keys, wherever they lie. Nothing outside the given folders is read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mlx_model.errors import ConvertError, RequestError
from mlx_model.store.folder import MANIFEST, open_folder

from .formats.files import is_pickle, list_weight_files, read_json
from .parts import Part, open_components, open_converted, open_pairs, open_parts
from .tokenizers.files import Tokenizers, find_tokenizers
from .vocabularies import find_vocabulary

# Subfolders of a checkpoint and what may lie in them. FLUX.1 has its T5 in text_encoder_2.
FOLDERS: dict[str, tuple[str, ...]] = {
    "transformer": ("transformer",),
    "text_encoder_2": ("text_encoder",),
    "text_encoder": ("text_encoder", "pooled_encoder"),
    "pooled_encoder": ("pooled_encoder",),
    "vae": ("autoencoder", "tiny_autoencoder"),
    "autoencoder": ("autoencoder",),
    "image_encoder": ("image_encoder",),
    "image_embedder": ("image_embedder",),
    "tiny_autoencoder": ("tiny_autoencoder",),
    "taef1": ("tiny_autoencoder",),
    "taef2": ("tiny_autoencoder",),
}
Opened = TypeVar("Opened")
MAIN = ("transformer", "image_embedder")  # what makes a source a model; the second is one with another transformer


@dataclass(frozen=True)
class Source:
    """What was found: for each role the parts that may fill it, best first; tokenizers; model_index.json."""

    path: Path
    parts: dict[str, list[Part]]
    tokenizers: Tokenizers
    index: dict[str, Any] = field(default_factory=dict)


def find_source(path: Path, companions: Path | None = None) -> Source:
    """Look through a source. What a single file lacks comes from `companions`, else from the folder around it.

    Raises ConvertError (nothing usable, with what is missing), UnsafeFile (damaged or dangerous), RequestError (no
    such path).
    """
    path = Path(path).expanduser()
    for given in (path, companions):
        if given is not None and not given.exists():
            raise RequestError(f"{given} does not exist.")
        if given is not None and not (given.is_file() or given.is_dir()):
            raise RequestError(f"{given} is not a file but a pipe, socket or device.", "Give a file or a folder.")
    if (path / MANIFEST).is_file():
        raise RequestError(f"{path} is a converted model already.", "Give the checkpoint that it was made from.")
    found = _find_main_parts(path)
    if not found:
        raise ConvertError(f"{path} holds no tensors.", "Download it again.")
    main, *others = found
    parts = {main.layout.role: [main]}
    places = [place for place in (companions, path if path.is_dir() else path.parent) if place is not None]
    if main.layout.role in MAIN:
        for part in (*others, *(part for place in places for part in _list_parts(place))):
            if part.layout.role != main.layout.role:
                parts.setdefault(part.layout.role, []).append(part)
    index = _read_index(path) if path.is_dir() else {}
    return Source(path, parts, _find_tokenizers(places, parts), index)


def _find_tokenizers(places: list[Path], parts: dict[str, list[Part]]) -> Tokenizers:
    """Those that lie there as folders, else what the text encoder's file has inside."""
    found = find_tokenizers(places)
    if found.text:
        return found
    files = (file for part in parts.get("text_encoder", []) for file in part.files)
    return replace(found, text=next((file for file in files if find_vocabulary(file)), None))


def read_index(part: Part) -> dict[str, Any]:
    """What the checkpoint that a component's folder lies in says of itself, {} where it says nothing."""
    return _read_index(part.files[0].parent.parent)


def _read_index(folder: Path) -> dict[str, Any]:
    """model_index.json; and as `_name` the repository that mflux writes down beside what it saves."""
    upstream = read_json(folder / "mflux_model.json").get("upstream")
    said = upstream.get("repo_id") if isinstance(upstream, dict) else None
    return read_json(folder / "model_index.json") | ({"_name": said} if isinstance(said, str) else {})


def _find_main_parts(path: Path) -> list[Part]:
    """The file's parts, or the transformer of a folder, or the only one that lies in it; else a Redux embedder."""
    if path.is_file():
        return open_components(path)
    loose: list[Part] = []
    for role in MAIN:
        if (path / role).is_dir():
            return [_expect(open_parts(path / role), (role,), path / role)]
        loose = loose or list(_list_loose(path))
        found = [part for part in loose if part.layout.role == role]
        if len(found) == 1:
            return found
        if found:
            raise ConvertError(f"{path} holds {len(found)} transformers.", "Give the file that is meant.")
    for file in filter(is_pickle, sorted(path.iterdir())):
        return open_components(file)  # raises where it is dangerous or damaged, or is of no use here
    hint = "Give a .safetensors file, or a folder with transformer/, text_encoder/, tokenizer/ and vae/."
    raise ConvertError(f"{path} holds no FLUX transformer.", hint)


def _list_parts(place: Path) -> Iterator[Part]:
    """Components of a folder: those of its subfolders, then those that lie loose in it."""
    if place.is_file():
        yield from open_components(place)
        return
    if (place / MANIFEST).is_file():
        yield from open_converted(open_folder(place))
        return
    by_name = {child.name.lower(): child for child in sorted(place.iterdir()) if child.is_dir()}
    for name, wanted in FOLDERS.items():
        if name in by_name:
            yield _expect(open_parts(by_name[name]), wanted, by_name[name])
    yield from _list_loose(place)


def _list_loose(place: Path) -> Iterator[Part]:
    """What can be used of the files that lie in a folder; others there are none of our business."""
    joined = _try_to_open(partial(open_pairs, place)) or []
    used = {file for part in joined for file in part.files}
    files = [*list_weight_files(place), *(file for file in sorted(place.iterdir()) if is_pickle(file))]
    for file in files:
        if file not in used:
            yield from _try_to_open(partial(open_components, file)) or []
    yield from joined


def _try_to_open(opening: Callable[[], Opened]) -> Opened | None:
    try:
        return opening()
    except ConvertError:
        return None


def _expect(part: Part, wanted: tuple[str, ...], where: Path) -> Part:
    if part.layout.role not in wanted:
        raise ConvertError(f"{where} should hold the {wanted[0]}, but holds a {part.layout.role}.")
    return part
