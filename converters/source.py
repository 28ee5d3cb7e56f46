"""Finds what a checkpoint consists of and opens it lazily: single files, shards with an index, diffusers folders.

Nothing is unpickled, and nothing outside the given folders is read. Components are recognised by their keys.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import ConvertError, LayoutError, RequestError, UnsafeFile
from mlx_model.folder import MANIFEST, Folder, open_folder
from mlx_model.shards import Entry, header, load_lazily

from . import fp8, keys_autoencoder, keys_flux2, keys_text, mflux
from .keys import Layout, rename

LAYOUTS: tuple[Layout, ...] = (*keys_flux2.LAYOUTS, *keys_text.LAYOUTS, *keys_autoencoder.LAYOUTS)
PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
READABLE = ("F32", "F16", "BF16")
COUNTERS = ("I64", "I32")  # such as batches seen: dropped, never a weight
JSON_LIMIT = 64 * 2**20  # bytes
# Where a component may lie in a folder: its subfolder, or a single file beside the transformer.
PLACES = {
    "transformer": ("transformer",),
    "text_encoder": ("text_encoder",),
    "autoencoder": ("vae", "autoencoder", "ae.safetensors"),
}
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


@dataclass(frozen=True)
class Part:
    """One component of a source. `params` is known where the part comes from a converted folder."""

    layout: Layout
    files: tuple[Path, ...]
    entries: dict[str, Entry]  # dtype and shape by key
    config: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] | None = None
    stored: dict[str, Entry] | None = None  # what mflux wrote, where `entries` say what it stands for

    def arrays(self) -> dict[str, mx.array]:
        """All tensors, unread; 8-bit floating-point ones decoded. Raises ConvertError for an unknown number format."""
        kinds, where = {kind for kind, _ in self.entries.values()}, self.files[0].name
        if any(name.endswith(".weight_scale_2") for name in self.entries):
            raise ConvertError(f"{where} holds 4-bit numbers (nvfp4), which can't be converted.", _OTHER_FORM)
        odd = kinds - {*READABLE, *COUNTERS, fp8.KIND, "U32" if self.params else ""}
        if odd:
            names = ", ".join(sorted(odd))
            raise ConvertError(f"{where} holds {names} numbers, which can't be converted yet.", _OTHER_FORM)
        arrays = self._stored_arrays()
        if self.stored is not None:
            return mflux.plain_arrays(arrays, self.stored)
        return fp8.decode(arrays, self.entries) if fp8.KIND in kinds else arrays

    def packed(self) -> dict[str, mflux.Packed]:
        """The matrices that mflux has packed, as they are, by the names in `entries`."""
        return mflux.packed_arrays(self._stored_arrays(), self.stored) if self.stored is not None else {}

    def _stored_arrays(self) -> dict[str, mx.array]:
        return {name: array for file in self.files for name, array in load_lazily(file).items()}


_OTHER_FORM = "Get the model in bfloat16, float16, float32 or fp8 (e4m3)."


@dataclass(frozen=True)
class Source:
    """What was found: parts by role, tokenizer files, and model_index.json."""

    path: Path
    parts: dict[str, Part]
    tokenizer: tuple[Path, ...]
    index: dict[str, Any] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        return [file for part in self.parts.values() for file in part.files]


def find(path: Path, companions: Path | None = None) -> Source:
    """Look through a source. What a single file lacks comes from `companions`, else from the folder around it.

    Raises ConvertError (nothing usable, with what is missing), UnsafeFile (pickles), RequestError (no such path).
    """
    path = Path(path).expanduser()
    for given in (path, companions):
        if given is not None and not given.exists():
            raise RequestError(f"{given} does not exist.")
    if (path / MANIFEST).is_file():
        raise RequestError(f"{path} is a converted model already.", "Give the checkpoint that it was made from.")
    parts = _main_parts(path)
    places = [place for place in (companions, path if path.is_dir() else path.parent) if place is not None]
    parts = {**_companions(places), **parts} if "transformer" in parts else parts
    return Source(path, parts, _tokenizer(places), _json(path / "model_index.json") if path.is_dir() else {})


def _main_parts(path: Path) -> dict[str, Part]:
    if path.is_file():
        part = open_file(path)
        return {part.layout.role: part}
    if (path / "transformer").is_dir():
        return {"transformer": _expect(open_parts(path / "transformer"), "transformer")}
    found = [part for part in map(_try_file, weight_files(path)) if part and part.layout.role == "transformer"]
    if len(found) == 1:
        return {"transformer": found[0]}
    what = f"{len(found)} transformers" if found else "no FLUX transformer"
    refuse_pickles(path)
    hint = "Give a .safetensors file, or a folder with transformer/, text_encoder/, tokenizer/ and vae/."
    raise ConvertError(f"{path} holds {what}.", hint)


def _try_file(file: Path) -> Part | None:
    try:
        return open_file(file)
    except ConvertError:
        return None


def _companions(places: list[Path]) -> dict[str, Part]:
    """The text encoder and the autoencoder from the first place that has them."""
    parts: dict[str, Part] = {}
    for place in places:
        for role in ("text_encoder", "autoencoder"):
            part = None if role in parts else _companion(place, role)
            if part:
                parts[role] = part
    return parts


def _companion(place: Path, role: str) -> Part | None:
    if place.is_file():
        part = open_file(place)
        return part if part.layout.role == role else None
    if (place / MANIFEST).is_file():
        return from_folder(open_folder(place), role)
    by_name = {child.name.lower(): child for child in sorted(place.iterdir())}
    for name in PLACES[role]:
        child = by_name.get(name)
        if child:
            return _expect(open_file(child) if child.is_file() else open_parts(child), role)
    return None


def from_folder(folder: Folder, role: str) -> Part | None:
    """A component of a converted folder as it is, packed layers included."""
    if role not in folder.components:
        return None
    component = folder.components[role]
    layout = Layout(role, component.family, "converted", "", lambda _: [rename("*", "*")])
    files = tuple(folder.files(role))
    return Part(layout, files, _entries(files), params=component.params)


def _expect(part: Part, role: str) -> Part:
    if part.layout.role != role:
        raise ConvertError(f"{part.files[0].parent} should hold the {role}, but holds a {part.layout.role}.")
    return part


def open_file(file: Path) -> Part:
    """A single safetensors file as a component. Raises UnsafeFile, ConvertError."""
    check_kind(file)
    return _part((file,), _config(file.parent))


def open_parts(directory: Path) -> Part:
    """A component folder: shards with an index, or one safetensors file. Raises UnsafeFile, ConvertError."""
    indexes = sorted(directory.glob("*.safetensors.index.json"))
    files = _indexed(directory, indexes[0]) if indexes else weight_files(directory)
    if not files:
        refuse_pickles(directory)
        raise ConvertError(f"{directory} holds no .safetensors file.", "Is the download complete?")
    if len(files) > 1 and not indexes:
        plain = [file for file in files if len(file.name.split(".")) == 2]  # not model.fp16.safetensors
        if len(plain) != 1:
            raise ConvertError(f"{directory} holds {len(files)} weight files and no index.", "Keep one, or the index.")
        files = plain
    for file in files:
        check_kind(file)
    return _part(tuple(files), _config(directory))


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a folder, whatever the case of their extension."""
    return sorted(file for file in directory.iterdir() if file.suffix.lower() == ".safetensors")


def _indexed(directory: Path, index: Path) -> list[Path]:
    """The shards that an index names, checked against what they hold."""
    weight_map = _json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConvertError(f"{index} lists no weights.", "Download it again.")
    for name in set(weight_map.values()):
        if not isinstance(name, str) or re.fullmatch(r"[\w.\-]+", name) is None or name.startswith("."):
            raise UnsafeFile(f"{index} points outside its folder: {name!r}.")
        if not (directory / name).is_file():
            raise ConvertError(f"{directory / name} is missing.", "Is the download complete?")
    files = [directory / name for name in sorted(set(weight_map.values()))]
    missing = sorted(set(weight_map) - set(_entries(files)))
    if missing:
        raise ConvertError(f"{index.name} lists {missing[0]}, which its file does not hold.", "Download it again.")
    return files


def _entries(files) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for file in files:
        found = _header(file)
        twice = sorted(set(found) & set(entries))
        if twice:
            raise ConvertError(f"{twice[0]} is in two files: {file.name} is one of them.")
        entries |= found
    return entries


def _header(file: Path) -> dict[str, Entry]:
    try:
        return header(file)
    except LayoutError as error:
        raise UnsafeFile(error.message, "It is damaged or not what its name says: download it again.") from error


def _part(files: tuple[Path, ...], config: dict[str, Any]) -> Part:
    entries = _entries(files)
    saved_by = mflux.version(files[0])
    if not saved_by:
        return Part(recognise(entries, files[0]), files, entries, config)
    plain = mflux.plain_entries(entries)
    try:
        layout = recognise(plain, files[0])
    except ConvertError as error:
        message = f"{files[0].parent} was saved by mflux {saved_by} with names that can't be read."
        raise ConvertError(message, mflux.HINT) from error
    return Part(layout, files, plain, config, stored=entries)


def recognise(entries: dict[str, Entry], file: Path) -> Layout:
    """The layout whose signature is among the keys. Raises ConvertError."""
    for layout in LAYOUTS:
        if layout.signature in entries:
            return layout
    some = ", ".join(sorted(entries)[:3])
    raise ConvertError(f"{file} is no part of a FLUX model that is known here; it holds {some} ...")


def check_kind(file: Path) -> None:
    """Refuse by extension and first bytes what is not safetensors. Raises UnsafeFile, ConvertError."""
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise ConvertError(f"{file} is only a Git LFS pointer, not the weights.", "Run: git lfs pull")
    if file.suffix.lower() in PICKLES or start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")):
        raise UnsafeFile(f"{file} is a PyTorch pickle, which can run code when it is opened.", _NO_PICKLE)
    if file.suffix.lower() != ".safetensors":
        raise ConvertError(f"{file} is not a .safetensors file.", "Other formats can't be converted.")


_NO_PICKLE = "Get the .safetensors form of the model."


def refuse_pickles(directory: Path) -> None:
    """Raises UnsafeFile where a folder holds pickles (and, so the caller found, nothing better)."""
    for file in sorted(directory.iterdir()):
        if file.suffix.lower() in PICKLES:
            raise UnsafeFile(f"{file} is a PyTorch pickle, which can run code when it is opened.", _NO_PICKLE)


def _tokenizer(places: list[Path]) -> tuple[Path, ...]:
    for place in places:
        for directory in (place / "tokenizer", place / "text_encoder", place):
            if all((directory / name).is_file() for name in TOKENIZER_FILES[:2]):
                return tuple(directory / name for name in TOKENIZER_FILES if (directory / name).is_file())
    return ()


def _config(directory: Path) -> dict[str, Any]:
    return _json(directory / "config.json")


def _json(file: Path) -> dict[str, Any]:
    """A JSON object, or {} where there is no such file. Raises ConvertError."""
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > JSON_LIMIT:
            raise ValueError("too large")
        values = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConvertError(f"{file} is damaged: {error}.", "Download it again.") from error
    if not isinstance(values, dict):
        raise ConvertError(f"{file} is damaged: it holds no object.", "Download it again.")
    return values
