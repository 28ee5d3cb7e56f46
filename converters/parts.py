"""One component of a checkpoint: opened, recognised by its keys, read one tensor at a time.

Whether it holds all that it should, its tensors alone can't say: what is cut off looks like less of it. So its own
config.json and the published sizes are asked too. Nothing is unpickled, and nothing outside the given folders is read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import ConvertError
from mlx_model.store.folder import Folder
from mlx_model.store.headers import Entry
from mlx_model.store.shards import load_lazily

from .formats import bitsandbytes, mflux, scaled
from .formats.files import (
    SAFETENSORS,
    check_alone,
    check_kind,
    is_pickle,
    list_shards,
    list_weight_files,
    load_file,
    read_config,
    read_entries,
    read_json,
    read_metadata,
)
from .formats.names import Names, cut_front, is_marked, list_components, list_told, strip_place
from .formats.pickle_free import read_tensors, write_safetensors
from .formats.pickle_machine import Stored
from .keys.families import INFERRED, LAYOUTS, is_about
from .keys.rules import Inferred, Layout, Shapes, list_numbers, rename

READABLE = ("F32", "F16", "BF16")
COUNTERS = ("I64", "I32")  # such as batches seen: dropped, never a weight


class NoPart(ConvertError):
    """A file is sound, but of no model that is known here."""

    @property
    def code(self) -> str:
        return "ConvertError"


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
    names: Names | None = None  # of `entries`, and what the files call them; None where they are the same
    scaled: bool = False  # whether a mark says that its matrices in 8 bits have scales
    vocabularies: tuple[str, ...] = ()  # tensors of the files from which a tokenizer can be made

    @property
    def told(self) -> dict[str, Any]:
        """Its config.json, or nothing where that is about another network."""
        return self.config if is_about(self.config, self.layout.family) else {}

    def load_arrays(self, scratch: Path) -> dict[str, mx.array]:
        """All tensors, unread; 8-bit floating-point ones decoded. Raises ConvertError for an unknown number format.

        `scratch`: a folder in which the tensors of a .pt file may lie until they are used.
        """
        self._check_kinds()
        if self.pickled is not None:
            return load_lazily(write_safetensors(self.pickled, scratch / f"{self.layout.role}.safetensors"))
        arrays = self._load_stored()
        if self.stored is not None:
            return mflux.unpack_arrays(arrays, self.stored)
        packed = bitsandbytes.take_packed(arrays, self.entries)
        return packed | scaled.decode(arrays, self.entries, self._read_headers(), self.scaled)

    def _read_headers(self) -> dict[str, dict[str, Any]]:
        """What the files say of their layers, by the layers' names here."""
        plain = {own.rpartition(".")[0]: name.rpartition(".")[0] for name, own in (self.names or {}).items()}
        told = [scaled.read_header(read_metadata(file)) for file in self.files]
        return {plain.get(name, strip_place(name)): said for one in told for name, said in one.items()}

    def _check_kinds(self) -> None:
        kinds = {kind for kind, _ in self.entries.values()}
        odd = sorted(kinds - {*READABLE, *COUNTERS, *scaled.CODES, "U32" if self.params else ""})
        if odd:
            what = f"{self.files[0].name} holds {', '.join(odd)} numbers, which can't be converted yet."
            raise ConvertError(what, scaled.HINT)

    def list_packed(self) -> dict[str, mflux.Packed]:
        """The matrices that mflux has packed, as they are, by the names in `entries`."""
        return mflux.list_packed(self._load_stored(), self.stored) if self.stored is not None else {}

    def _load_stored(self) -> dict[str, mx.array]:
        prefixes = self.prefixes if len(self.prefixes) > 1 else self.prefixes * len(self.files)
        both = zip(prefixes, self.files, strict=True)
        arrays = {prefix + name: array for prefix, file in both for name, array in load_file(file).items()}
        return arrays if self.names is None else {plain: arrays[name] for plain, name in self.names.items()}


def open_converted(folder: Folder) -> list[Part]:
    """The components of a converted folder as they are, packed layers included."""
    parts = []
    for role, component in folder.components.items():
        layout = Layout(role, component.family, "converted", "", lambda _: [rename("*", "*")])
        files = tuple(folder.files(role))
        parts.append(Part(layout, files, read_entries(files), params=component.params))
    return parts


def open_file(file: Path) -> Part:
    """A single file as a component, the main one if it holds several. Raises UnsafeFile, ConvertError."""
    return open_components(file)[0]


def open_components(file: Path) -> list[Part]:
    """All components of a single file, the transformer first. Raises UnsafeFile, ConvertError."""
    check_kind(file)
    check_alone(file)
    return _open_pickle(file) if is_pickle(file) else _open_parts((file,), read_config(file))


def open_parts(directory: Path) -> Part:
    """A component folder: shards with an index, one weight file, or a pair of them. Raises UnsafeFile, ConvertError."""
    indexes = sorted(directory.glob("*.safetensors.index.json"))
    if indexes:
        return open_shards(directory, indexes[0])
    files = _leave_variants_out(list_weight_files(directory))
    if not files:
        return _open_pickles(directory)
    if len(files) > 1:
        pair = open_pairs(directory)
        if len(pair) == 1:
            return pair[0]
        raise ConvertError(f"{directory} holds {len(files)} weight files and no index.", "Keep one, or the index.")
    return open_file(files[0])


def open_shards(directory: Path, index: Path) -> Part:
    """The component whose shards an index names. Raises UnsafeFile, ConvertError."""
    files = list_shards(directory, index)
    for file in files:
        check_kind(file)
    return _open_parts(tuple(files), read_config(files[0]))[0]


def _leave_variants_out(files: list[Path]) -> list[Path]:
    """Without variants such as model.fp16.safetensors or a GGUF file, where the plain one is there too."""
    files = [file for file in files if file.suffix.lower() in SAFETENSORS] or files
    plain = [file for file in files if len(file.name.split(".")) == 2]
    return plain if len(files) > 1 and len(plain) == 1 else files


def _open_pickles(directory: Path) -> Part:
    files = [file for file in sorted(directory.iterdir()) if is_pickle(file)]
    if not files:
        raise ConvertError(f"{directory} holds no .safetensors file.", "Is the download complete?")
    pair = open_pairs(directory)
    if len(pair) == 1:
        return pair[0]
    if len(files) > 1:
        raise ConvertError(f"{directory} holds {len(files)} pickles.", "Get the .safetensors form of the model.")
    return open_file(files[0])


def open_pairs(directory: Path) -> list[Part]:
    """Autoencoders that lie in two files, NAME_encoder and NAME_decoder, each joined into one part."""
    found = []
    for first in sorted(directory.iterdir()):
        stem, mark, _ = first.stem.rpartition("_encoder")
        second = first.with_name(f"{stem}_decoder{first.suffix}")
        if mark and second.is_file() and (is_pickle(first) or first.suffix.lower() in SAFETENSORS):
            found.append(_join(open_file(first), open_file(second)))
    return found


def _join(encoder: Part, decoder: Part) -> Part:
    """Both halves under the names `encoder.` and `decoder.`. Raises ConvertError where they are no such halves."""
    sides = {"encoder.": encoder, "decoder.": decoder}
    entries = {side + name: entry for side, part in sides.items() for name, entry in part.entries.items()}
    files = (*encoder.files, *decoder.files)
    layout = recognise(entries, files[0])
    if encoder.pickled is None or decoder.pickled is None:
        names = {
            side + name: side + (part.names or {}).get(name, name)
            for side, part in sides.items()
            for name in part.entries
        }
        return Part(layout, files, entries, encoder.config, prefixes=tuple(sides), names=names)
    pickled = {side + name: tensor for side, part in sides.items() for name, tensor in (part.pickled or {}).items()}
    return Part(layout, files, entries, encoder.config, pickled=pickled)


def _list_components(names: Iterable[str]) -> list[Names]:
    """The tensors of each component, by the names that its layout knows."""
    signatures = [layout.signature for layout in LAYOUTS]
    return [cut_front(one, signatures) for one in list_components(names)]


def _open_pickle(file: Path) -> list[Part]:
    stored, config = read_tensors(file), read_json(file.parent / "config.json")
    parts = []
    for names in _list_components(stored):
        found = {plain: stored[name] for plain, name in names.items()}
        entries = {name: (tensor.dtype, tensor.shape) for name, tensor in found.items()}
        parts.append(Part(recognise(entries, file), (file,), entries, config, pickled=found))
    return parts


def _open_parts(files: tuple[Path, ...], config: dict[str, Any]) -> list[Part]:
    entries = read_entries(files)
    saved_by = mflux.read_version(files[0])
    if saved_by:
        return [_open_mflux(files, entries, config, saved_by)]
    parts = []
    for names in _list_components(entries):
        found = {plain: entries[name] for plain, name in names.items()}
        told = tuple(list_told(entries))
        made = Part(recognise(found, files[0]), files, found, config, names=names, vocabularies=told)
        parts.append(replace(made, scaled=is_marked(names, entries)))
    return parts


def _open_mflux(files: tuple[Path, ...], entries: dict[str, Entry], config: dict[str, Any], saved_by: str) -> Part:
    plain = mflux.unpack_entries(entries)
    try:
        layout = recognise(plain, files[0])
    except ConvertError as error:
        message = f"{files[0].parent} was saved by mflux {saved_by} with names that can't be read."
        raise ConvertError(message, mflux.HINT) from error
    return Part(layout, files, plain, config, stored=entries)


# Other programs' packed matrices, by the ends of names. Of other models' files they say nothing worth telling.
UNREAD = {".qweight": "SVDQuant, AWQ or GPTQ", ".weight._data": "optimum-quanto", ".W_q": "HQQ"}
OURS = re.compile(r"(double|single|transformer|mode)_blocks\.")


def recognise(entries: dict[str, Entry], file: Path) -> Layout:
    """The layout whose signature is among the keys. Raises ConvertError."""
    packed = next((form for end, form in UNREAD.items() for name in entries if name.endswith(end)), None)
    if packed and any(OURS.search(name) for name in entries):
        raise ConvertError(f"{file} is packed by {packed}, which can't be converted.", scaled.HINT)
    for layout in LAYOUTS:
        if layout.signature in entries:
            return layout
    some = ", ".join(sorted(entries)[:3])
    raise NoPart(f"{file} is no part of a FLUX model that is known here; it holds {some} ...")


HINT = "The file is incomplete or was cut: download it again."
PRUNED = "Download it again; if it was made smaller on purpose, put the config.json that says so beside it."
CONFIG = "its config.json"
SHOWN = 4


def check_complete(part: Part, params: Any, shapes: Shapes, published: Mapping[str, Any]) -> bool:
    """Whether something vouches for the numbers that were read from the part's tensors.

    `shapes`: of its tensors by our names; `published`: Params by the names of the models that it could be of.
    Raises ConvertError: what is missing.
    """
    inferred = INFERRED.get(part.layout.family, ())
    for one in inferred:
        _check_holes(part, one, shapes)
    said = {one.field: value for one in inferred if (value := one.read(part.told)) is not None}
    _refuse(part, [_tell_lack(one, params, said[one.field], CONFIG) for one in inferred if one.field in said], HINT)
    rest = [one for one in inferred if one.field not in said]
    alike = {name: other for name, other in published.items() if _agree(params, other, inferred)}
    lacks = [
        [_tell_lack(one, params, getattr(other, one.field), name) for one in rest] for name, other in alike.items()
    ]
    _refuse(part, min(lacks, key=lambda told: sum(map(bool, told)), default=[]), PRUNED)
    return bool(alike) or not any(one.numbered for one in rest)


def check_switches(part: Part, params: Any, row: Any, model: str) -> None:
    """What the row of a model asks for, however large the network is. Raises ConvertError."""
    switches = [one for one in INFERRED.get(part.layout.family, ()) if isinstance(getattr(row, one.field), bool)]
    _refuse(part, [_tell_lack(one, params, getattr(row, one.field), model) for one in switches], HINT)


def check_layers(part: Part, params: Any, shapes: Shapes) -> None:
    """That a text encoder has the layers which are used; more may be there or not. Raises ConvertError."""
    needed, there = max(params.out_layers), list_numbers(shapes, "layers.")
    missing = [number for number in range(needed) if number not in there]
    _refuse(part, [f"{needed} of its layers are used, and {_name_numbers(missing)}" if missing else ""], HINT)


def _check_holes(part: Part, one: Inferred, shapes: Shapes) -> None:
    there = list_numbers(shapes, one.prefix) if one.numbered else []
    missing = sorted(set(range(max(there, default=-1) + 1)) - set(there))
    _refuse(part, [f"{_name_numbers(missing)} of {one.prefix}*" if missing else ""], HINT)


def _agree(ours: Any, theirs: Any, inferred: Iterable[Inferred]) -> bool:
    """The same in everything that neither tensors which may be cut off nor config.json alone decide."""
    ignored = {one.field for one in inferred} | FREE
    first, second = asdict(ours), asdict(theirs)
    return all(first[name] == value for name, value in second.items() if name not in ignored)


# Of Params: what only config.json says, the length of a vocabulary, and what follows from the layers that are used.
FREE = {
    "axes_dim", "theta", "rope_theta", "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "groups", "scale",
    "shift", "vocab_size", "eos_token_id", "relative_attention_max_distance", "decoder_ch", "image_size",
    "num_attention_heads", "num_heads",
}  # fmt: skip


def _tell_lack(one: Inferred, params: Any, wanted: Any, who: str) -> str:
    """ "" where nothing is missing."""
    ours, theirs = _count(getattr(params, one.field)), _count(wanted)
    if ours >= theirs:
        return ""
    if not one.numbered:
        return f"{one.prefix}* is missing, which {who} asks for"
    return f"{one.prefix}* has {ours} of the {theirs} that {who} asks for: {_name_numbers(range(ours, theirs))}"


def _count(value: Any) -> int:
    return len(value) if isinstance(value, tuple | list) else int(value)


def _name_numbers(numbers: Iterable[int]) -> str:
    listed = list(numbers)
    shown = ", ".join(map(str, listed[:SHOWN])) + (" ..." if len(listed) > SHOWN else "")
    return f"number {shown} is missing" if len(listed) == 1 else f"numbers {shown} are missing"


def _refuse(part: Part, lacks: list[str], hint: str) -> None:
    told = [lack for lack in lacks if lack]
    if told:
        role = part.layout.role.replace("_", " ")
        where = part.files[0] if len(part.files) == 1 else part.files[0].parent
        raise ConvertError(f"The {role} in {where} is incomplete: {'; '.join(told)}.", hint)
