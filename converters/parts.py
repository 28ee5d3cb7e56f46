"""One component of a checkpoint: opened, recognised by its keys, read one tensor at a time.

Nothing is unpickled, and nothing outside the given folders is read.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import ConvertError, LayoutError, UnsafeFile
from mlx_model.store.folder import Folder
from mlx_model.store.shards import Entry, header, load_lazily

from .formats import fp8, mflux
from .formats.pickle_free import tensors
from .formats.pickle_machine import Stored
from .formats.unpickle import to_safetensors
from .keys.families import LAYOUTS
from .keys.rules import Layout, rename

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")
READABLE = ("F32", "F16", "BF16")
COUNTERS = ("I64", "I32")  # such as batches seen: dropped, never a weight
JSON_LIMIT = 64 * 2**20  # bytes
_OTHER_FORM = "Get the model in bfloat16, float16, float32 or fp8 (e4m3)."


@dataclass(frozen=True)
class Part:
    """One component of a source. `params` is known where the part comes from a converted folder."""

    layout: Layout
    files: tuple[Path, ...]
    entries: dict[str, Entry]  # dtype and shape by key
    config: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] | None = None
    stored: dict[str, Entry] | None = None  # what mflux wrote, where `entries` say what it stands for
    pickled: dict[str, Stored] | None = None  # the tensors of .pt files, by the names of `entries`
    prefixes: tuple[str, ...] = ("",)  # what the names in each file get in front

    def arrays(self, scratch: Path) -> dict[str, mx.array]:
        """All tensors, unread; 8-bit floating-point ones decoded. Raises ConvertError for an unknown number format.

        `scratch`: a folder in which the tensors of a .pt file may lie until they are used.
        """
        kinds, where = {kind for kind, _ in self.entries.values()}, self.files[0].name
        if any(name.endswith(".weight_scale_2") for name in self.entries):
            raise ConvertError(f"{where} holds 4-bit numbers (nvfp4), which can't be converted.", _OTHER_FORM)
        odd = kinds - {*READABLE, *COUNTERS, fp8.KIND, "U32" if self.params else ""}
        if odd:
            names = ", ".join(sorted(odd))
            raise ConvertError(f"{where} holds {names} numbers, which can't be converted yet.", _OTHER_FORM)
        if self.pickled is not None:
            return load_lazily(to_safetensors(self.pickled, scratch / f"{self.layout.role}.safetensors"))
        arrays = self._stored_arrays()
        if self.stored is not None:
            return mflux.plain_arrays(arrays, self.stored)
        return fp8.decode(arrays, self.entries) if fp8.KIND in kinds else arrays

    def packed(self) -> dict[str, mflux.Packed]:
        """The matrices that mflux has packed, as they are, by the names in `entries`."""
        return mflux.packed_arrays(self._stored_arrays(), self.stored) if self.stored is not None else {}

    def _stored_arrays(self) -> dict[str, mx.array]:
        prefixes = self.prefixes if len(self.prefixes) > 1 else self.prefixes * len(self.files)
        both = zip(prefixes, self.files, strict=True)
        return {prefix + name: array for prefix, file in both for name, array in load_lazily(file).items()}


def from_folder(folder: Folder) -> list[Part]:
    """The components of a converted folder as they are, packed layers included."""
    parts = []
    for role, component in folder.components.items():
        layout = Layout(role, component.family, "converted", "", lambda _: [rename("*", "*")])
        files = tuple(folder.files(role))
        parts.append(Part(layout, files, _entries(files), params=component.params))
    return parts


def open_file(file: Path) -> Part:
    """A single file as a component. Raises UnsafeFile, ConvertError."""
    check_kind(file)
    return _pickle(file) if is_pickle(file) else _part((file,), read_json(file.parent / "config.json"))


def open_parts(directory: Path) -> Part:
    """A component folder: shards with an index, one weight file, or a pair of them. Raises UnsafeFile, ConvertError."""
    indexes = sorted(directory.glob("*.safetensors.index.json"))
    files = _indexed(directory, indexes[0]) if indexes else _plain(weight_files(directory))
    if not files:
        return _open_pickles(directory)
    if len(files) > 1 and not indexes:
        pair = pairs(directory)
        if len(pair) == 1:
            return pair[0]
        raise ConvertError(f"{directory} holds {len(files)} weight files and no index.", "Keep one, or the index.")
    for file in files:
        check_kind(file)
    return _part(tuple(files), read_json(directory / "config.json"))


def _plain(files: list[Path]) -> list[Path]:
    """Without variants such as model.fp16.safetensors, where the plain one is there too."""
    plain = [file for file in files if len(file.name.split(".")) == 2]
    return plain if len(files) > 1 and len(plain) == 1 else files


def _open_pickles(directory: Path) -> Part:
    files = [file for file in sorted(directory.iterdir()) if is_pickle(file)]
    if not files:
        raise ConvertError(f"{directory} holds no .safetensors file.", "Is the download complete?")
    pair = pairs(directory)
    if len(pair) == 1:
        return pair[0]
    if len(files) > 1:
        raise ConvertError(f"{directory} holds {len(files)} pickles.", "Get the .safetensors form of the model.")
    return open_file(files[0])


def pairs(directory: Path) -> list[Part]:
    """Autoencoders that lie in two files, NAME_encoder and NAME_decoder, each joined into one part."""
    found = []
    for first in sorted(directory.iterdir()):
        stem, mark, _ = first.stem.rpartition("_encoder")
        second = first.with_name(f"{stem}_decoder{first.suffix}")
        if mark and second.is_file() and (is_pickle(first) or first.suffix.lower() == ".safetensors"):
            found.append(_joined(open_file(first), open_file(second)))
    return found


def _joined(encoder: Part, decoder: Part) -> Part:
    """Both halves under the names `encoder.` and `decoder.`. Raises ConvertError where they are no such halves."""
    sides = {"encoder.": encoder, "decoder.": decoder}
    entries = {side + name: entry for side, part in sides.items() for name, entry in part.entries.items()}
    files = (*encoder.files, *decoder.files)
    layout = recognise(entries, files[0])
    if encoder.pickled is None or decoder.pickled is None:
        return Part(layout, files, entries, encoder.config, prefixes=tuple(sides))
    pickled = {side + name: tensor for side, part in sides.items() for name, tensor in (part.pickled or {}).items()}
    return Part(layout, files, entries, encoder.config, pickled=pickled)


def _pickle(file: Path) -> Part:
    found = tensors(file)
    entries = {name: (tensor.dtype, tensor.shape) for name, tensor in found.items()}
    config = read_json(file.parent / "config.json")
    return Part(recognise(entries, file), (file,), entries, config, pickled=found)


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a folder, whatever the case of their extension."""
    return sorted(file for file in directory.iterdir() if file.suffix.lower() == ".safetensors" and file.is_file())


def is_pickle(file: Path) -> bool:
    """By the extension, whatever its case."""
    return file.suffix.lower() in PICKLES and file.is_file()


def _indexed(directory: Path, index: Path) -> list[Path]:
    """The shards that an index names, checked against what they hold."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConvertError(f"{index} lists no weights.", "Download it again.")
    for name in weight_map.values():
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
    """Refuse by extension and first bytes what is no checkpoint. Raises UnsafeFile, ConvertError."""
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise ConvertError(f"{file} is only a Git LFS pointer, not the weights.", "Run: git lfs pull")
    if is_pickle(file):
        return
    header = start[8:9] == b"{"  # of a safetensors file; its length in front may begin as a pickle does: 640 is 80 02
    if not header and start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x04", b"\x80\x05")):
        raise UnsafeFile(f"{file} is a PyTorch pickle by another name, which can run code.", _NO_PICKLE)
    if file.suffix.lower() != ".safetensors":
        raise ConvertError(f"{file} is not a .safetensors file.", "Other formats can't be converted.")


_NO_PICKLE = "Get the .safetensors form of the model."


def read_json(file: Path) -> dict[str, Any]:
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
