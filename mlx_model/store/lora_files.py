"""Reads adapter files in the forms people publish, for the networks of one model.

BFL and ComfyUI, diffusers and PEFT, kohya, XLabs, OneTrainer, ai-toolkit, LyCORIS. What belongs to no layer is told;
a file is refused where nothing of it fits, where it is for another model, or where a part of it is damaged.
Axis letters: r rank, i inputs, o outputs of the layer.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..errors import Advice, LayoutError, RequestError
from . import lora_names
from .headers import Entry, header, metadata
from .lora_kinds import Change, Decomposed, Parts, Settings, Vector, make_change, read_settings
from .lora_names import FAMILIES, REFUSED, Place, families_of, split_name

SHOWN = 5
WHOLE = {"I64": "<i8", "I32": "<i4"}  # an alpha, or on_input, may be one
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1"}
SCALES = (".scale_weight", ".weight_scale", "_scale", ".scale")  # of 8-bit numbers, after a tensor's name
RANKED = ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b", "a2")  # parts whose first side is the rank
ADAPTED = ("transformer", "text_encoder", "pooled_encoder")  # roles
ENTRY = "img_in"  # the layer that takes the latents

Sizes = dict[str, tuple[int, int]]  # layer -> (outputs, inputs)


@dataclass(frozen=True)
class Network:
    """What a file may change of one network. `vectors`: parameters of one axis that are no biases, by layer."""

    family: str
    sizes: Sizes
    vectors: dict[str, tuple[str, int]] = field(default_factory=dict)  # layer -> (its parameter, how many numbers)

    def find(self, stem: str) -> Place | None:
        """Where a layer as a file calls it is."""
        if self.family in FAMILIES or not self.is_encoder:
            return lora_names.resolve(stem, self._places)
        return lora_names.resolve_encoder(stem, self._places)

    @property
    def is_encoder(self) -> bool:
        return self.family.startswith("text_")

    @cached_property
    def _places(self) -> dict[str, Place]:
        layers = [*self.sizes, *self.vectors]
        return lora_names.encoder_places(layers) if self.is_encoder else lora_names.places(self.family, layers)


Networks = Mapping[str, Network]  # by role


@dataclass(frozen=True)
class Adapter:
    """What a file does to one layer, or to a vector of one."""

    place: Place
    change: Change | Vector


class Group(NamedTuple):
    """The tensors of one layer as the file calls it."""

    role: str
    place: Place
    names: dict[str, str]  # part -> tensor


@dataclass
class Sorted:
    """The tensors of a file by layer, and those that have no place here."""

    groups: dict[str, Group] = field(default_factory=dict)
    encoder: list[str] = field(default_factory=list)  # of a text encoder that isn't here, or of layers it hasn't
    deeper: list[str] = field(default_factory=list)  # of layers that a larger model of the family has
    foreign: list[str] = field(default_factory=list)  # of another family
    unknown: list[str] = field(default_factory=list)


def read(path: Path, networks: Networks, notes: list[str], whole: bool = True) -> dict[str, list[Adapter]]:
    """The adapters of a file for a model with these networks, by role; what is left out is added to `notes`.

    `whole`: these are all that the model has, so that a file of which nothing fits is refused.

    Raises RequestError (no such file), LayoutError (damaged, of a kind that can't be read, not for this model).
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise RequestError(f"There is no LoRA at {path}.")
    entries = header(path)
    _refuse_kinds(path, entries)
    found = _sort(path, entries, networks)
    if whole:
        _refuse_strangers(path, networks, entries, found)
    tensors = _Tensors(path, entries)
    ranks = {
        stem: _read_rank(entries, group.names) for stem, group in found.groups.items() if "alpha" not in group.names
    }
    settings = read_settings(path, tensors.metadata, ranks)
    adapters: dict[str, list[Adapter]] = {}
    for stem, group in found.groups.items():
        network = networks[group.role]
        if adapter := _read_group(tensors, stem, group, network, settings):
            adapters.setdefault(group.role, []).append(adapter)
        else:
            found.encoder += group.names.values()
    notes += [*_tell(path, found), *([settings.note] if settings.note else []), *tensors.tell_scales()]
    return adapters


def _read_rank(entries: Mapping[str, Entry], names: Mapping[str, str]) -> int | None:
    """Of an adapter, by the shape of the part that has it as its first side; None where none does."""
    part = next((names[part] for part in RANKED if part in names), None)
    return entries[part][1][0] if part and entries[part][1] else None


def _refuse_kinds(path: Path, entries: dict[str, Entry]) -> None:
    for name, (kind, _) in entries.items():
        what = next((what for mark, what in REFUSED.items() if re.search(mark, name)), None)
        if what:
            hint = "LoRA, DoRA, LoHa, LoKr, LoCon, GLoRA and whole differences can be."
            raise LayoutError(f"{path.name} is of a kind that can't be read: {what} ({name}).", hint)
        if kind not in FLOATS and (kind not in WHOLE or split_name(name)[1] not in ("alpha", "on_input", "")):
            raise LayoutError(f"{path.name} holds {kind} numbers, which can't be used: {name}.")


def _sort(path: Path, entries: Mapping[str, Entry], networks: Networks) -> Sorted:
    """Raises LayoutError where two tensors claim to be the same part."""
    found = Sorted()
    for name in entries:
        stem, part = split_name(name)
        if not part and name.endswith((".weight", ".scale")):
            stem = name.rpartition(".")[0]
            part = "factors" if f"{stem}.on_input" in entries else "replacement"
        role, place = _find(stem, part, networks)
        parts = found.groups.setdefault(stem, Group(role, place, {})).names if place else {}
        if part in parts:
            raise LayoutError(f"{path.name} is damaged: {parts[part]} and {name} are the same part of one layer.")
        if place:
            parts[part] = name
        elif not _is_scale(name, entries):
            _list_for(found, name, stem, part, networks).append(name)
    return found


def _find(stem: str, part: str, networks: Networks) -> tuple[str, Place | None]:
    """The role and place of a layer; matrices and vectors take different parts."""
    if not part:
        return "", None
    for role, network in networks.items():
        for name in (stem, stem.removesuffix(".scale").removesuffix(".weight")):
            place = network.find(name)
            if place and (part in ("replacement", "diff") if place.layer in network.vectors else part != "replacement"):
                return role, place
    return "", None


def _list_for(found: Sorted, name: str, stem: str, part: str, networks: Networks) -> list[str]:
    if name.startswith(lora_names.TEXT_ENCODERS):
        return found.encoder
    titles = families_of(stem) if part and part != "replacement" else []
    own = [FAMILIES[network.family].title for network in networks.values() if network.family in FAMILIES]
    if not titles:
        return found.unknown
    return found.deeper if own and own[0] in titles else found.foreign


def _is_scale(name: str, entries: Mapping[str, Entry]) -> bool:
    """Of 8-bit numbers: no tensor of its own."""
    return any(other in entries for ending in SCALES if name.endswith(ending) for other in _name_scaled(name, ending))


def _name_scaled(name: str, ending: str) -> tuple[str, str]:
    stem = name.removesuffix(ending)
    return stem, f"{stem}.weight"


def _refuse_strangers(path: Path, networks: Networks, entries: Mapping[str, Entry], found: Sorted) -> None:
    """A file of which nothing fits, or of which more fits another model. Raises LayoutError."""
    real = [group for group in found.groups.values() if set(group.names) - {"replacement", "alpha"}]
    own = {group.place for group in real if not networks[group.role].is_encoder}
    missing = {split_name(name)[0] for name in found.deeper}
    alien = [name for name in found.unknown if split_name(name)[1]]
    if real and not found.foreign and len(missing) <= len(own) and (own or not (missing or alien)):
        return
    if not entries:
        raise LayoutError(f"{path.name} is empty.")
    left = [*found.foreign, *found.deeper, *found.unknown, *found.encoder] or list(entries)
    fits = "fits this model only in part" if own else "does not fit this model"
    raise LayoutError(f"{path.name} {fits}; {_count(left)} nowhere: {_name_some(left)}.", _hint(entries, found))


def _hint(entries: Mapping[str, Entry], found: Sorted) -> str:
    shapes = {name: shape for name, (_, shape) in entries.items()}
    if not lora_names.is_lora(shapes):
        return "It does not look like a LoRA."
    if titles := lora_names.say_fitting(shapes):
        return f"It is for {titles}."
    if found.encoder and not found.unknown:
        return "It adapts only a text encoder, and not one of this model."
    return "It is for another kind of model."


def _tell(path: Path, found: Sorted) -> list[str]:
    """What is left out, in words."""
    told = []
    if found.unknown:
        told.append(f"{path.name}: {_count(found.unknown)} to nothing that is known here: {_name_some(found.unknown)}.")
    if found.deeper:
        names = _name_some(found.deeper)
        told.append(f"{path.name}: {_count(found.deeper)} to layers that this model does not have: {names}.")
    if found.encoder:
        names = _name_some(found.encoder)
        told.append(f"{path.name}: {_count(found.encoder)} to a text encoder that is not used here: {names}.")
    return [f"{one} They are left out." for one in told]


def _count(names: list[str]) -> str:
    return "1 tensor belongs" if len(names) == 1 else f"{len(names)} tensors belong"


def _name_some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


class _Tensors:
    """The tensors of a file that was checked, read one at a time as float32."""

    def __init__(self, path: Path, entries: Mapping[str, Entry]):
        self.path, self.entries = path, entries
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            self.table: dict[str, Any] = json.loads(stream.read(length))
        self.start = 8 + length
        self.metadata = metadata(path)
        self.with_scale, self.without_scale = 0, 0

    def read(self, name: str) -> mx.array:
        array, scale = self._decode(name), self._find_scale(name)
        if scale is not None:
            array = array * (scale.reshape(-1, *[1] * (array.ndim - 1)) if scale.size > 1 else scale)
        return array

    def _decode(self, name: str) -> mx.array:
        kind, shape = self.entries[name]
        raw = np.frombuffer(self._read_bytes(*self.table[name]["data_offsets"]), (FLOATS | WHOLE)[kind]).reshape(shape)
        if kind == "F8_E4M3":
            return mx.from_fp8(mx.array(raw), mx.float32)
        if kind == "F8_E5M2":
            raw = (raw.astype(np.uint16) << 8).view(np.float16)
        elif kind == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # an infinite number is refused, with the layer's name
            return mx.array(raw.astype(np.float32))

    def _read_bytes(self, start: int, end: int) -> bytes:
        """Not mapped: a file that gets shorter meanwhile would end the process. Raises LayoutError for one that has."""
        with self.path.open("rb") as stream:
            stream.seek(self.start + start)
            data = stream.read(end - start)
        if len(data) != end - start:
            raise LayoutError(
                f"{self.path.name} could not be read to its end.", "It has changed meanwhile: put it back."
            )
        return data

    def _find_scale(self, name: str) -> mx.array | None:
        """What 8-bit numbers are to be multiplied by, where the file says so."""
        if not self.entries[name][0].startswith("F8"):
            return None
        stems = (name, name.removesuffix(".weight"))
        found = next((stem + end for end in SCALES for stem in stems if stem + end in self.entries), None)
        self.with_scale, self.without_scale = self.with_scale + bool(found), self.without_scale + (not found)
        return self._decode(found) if found else None

    def tell_scales(self) -> list[str]:
        if not (self.with_scale and self.without_scale):
            return []
        return [f"{self.path.name}: {self.without_scale} of its 8-bit tensors come without a scale; 1 is used."]


def _read_group(tensors: _Tensors, stem: str, group: Group, network: Network, settings: Settings) -> Adapter | None:
    """None: a text encoder's layer of another size, so not of this encoder. Raises LayoutError."""
    path, place = tensors.path, group.place
    if place.layer in network.vectors:
        return _read_vector(tensors, stem, group, network.vectors[place.layer][1])
    outputs, inputs = network.sizes[place.layer]
    start, stop = rows_of(place, outputs, inputs)
    limit = max(outputs, inputs) ** 2
    if any(math.prod(tensors.entries[name][1]) > limit for name in group.names.values()):
        raise LayoutError(f"{path.name} is too large for this model: {stem} adapts a layer of {outputs} x {inputs}.")
    parts = {part: tensors.read(name) for part, name in group.names.items()}
    alpha = _number(path, stem, parts.pop("alpha")) if "alpha" in parts else None

    def scale_of(rank: int | None) -> float:
        if alpha is not None:
            return alpha / rank if rank else 1.0
        return settings.scale(stem, rank)

    change = _make(path, stem, parts, scale_of, (stop - start, inputs))
    if settings.use_dora(stem) and not isinstance(change.addition, Decomposed):
        raise LayoutError(f"{path.name} is a DoRA, and {stem} comes without its lengths (lora_magnitude_vector).")
    if not _fits(change, stop - start, inputs):
        if network.is_encoder:
            return None
        raise _wrong_size(tensors, stem, place, change, (stop - start, inputs))
    if not all(mx.isfinite(array).all() for array in change.arrays):
        raise LayoutError(f"{path.name} is damaged: {stem} holds infinite or undefined numbers.")
    return Adapter(place, change)


def _make(path: Path, stem: str, parts: Parts, scale_of: Any, sizes: tuple[int, int]) -> Change:
    """Raises LayoutError where parts are missing, don't fit each other or are no numbers."""
    try:
        change = make_change(parts, scale_of, sizes)
        if parts or (change.addition is None and change.bias is None):
            raise ValueError("parts are left over")
        return change
    except LayoutError as error:
        raise LayoutError(f"{path.name}: {error.message}") from error
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise LayoutError(f"{path.name} is damaged: the parts of {stem} are incomplete or don't fit.") from error


def _read_vector(tensors: _Tensors, stem: str, group: Group, length: int) -> Adapter:
    if len(group.names) != 1:
        raise LayoutError(f"{tensors.path.name} is damaged: the parts of {stem} don't fit.")
    ((part, name),) = group.names.items()
    if math.prod(tensors.entries[name][1]) != length:
        raise LayoutError(f"{tensors.path.name} is for a model of another size: {stem} has not {length} numbers.")
    value = tensors.read(name).reshape(-1)
    if not mx.isfinite(value).all():
        raise LayoutError(f"{tensors.path.name} is damaged: {stem} holds infinite or undefined numbers.")
    return Adapter(group.place, Vector(value, replaces=part == "replacement"))


def _number(path: Path, stem: str, array: mx.array) -> float:
    value = float(np.array(array).reshape(())) if array.size == 1 else math.nan
    if not math.isfinite(value):
        raise LayoutError(f"{path.name} is damaged: the alpha of {stem} is not a number.")
    return value


def _fits(change: Change, rows: int, inputs: int) -> bool:
    whole = change.addition is None or change.addition.shape == (rows, inputs)
    return whole and (change.bias is None or change.bias.size == rows)


def _wrong_size(tensors: _Tensors, stem: str, place: Place, change: Change, wanted: tuple[int, int]) -> LayoutError:
    name, (rows, inputs) = tensors.path.name, change.addition.shape if change.addition else (change.bias_size, 0)
    if place.layer == ENTRY and rows == wanted[0] and inputs > wanted[1] and inputs % wanted[1] == 0:
        message = f"{name} is a control LoRA: it lets the model see a second picture, which {wanted[1]} inputs can't."
        return LayoutError(message, Advice("bake_control_lora"))
    if (rows, inputs) == wanted or change.addition is None:
        return LayoutError(f"{name} is damaged: the bias of {stem} has {change.bias_size} numbers, not {wanted[0]}.")
    message = f"{name} is for a model of another size: {stem} has {inputs} inputs and {rows} outputs, here "
    titles = lora_names.say_fitting({key: shape for key, (_, shape) in tensors.entries.items()})
    return LayoutError(f"{message}{wanted[1]} and {wanted[0]}.", f"It is for {titles}." if titles else "")


def rows_of(place: Place, outputs: int, inputs: int) -> tuple[int, int]:
    """First and last output row (exclusive) of a place in a layer."""
    return place.start * inputs, outputs if place.stop is None else place.stop * inputs


def count_inputs(path: Path) -> int:
    """How many channels a file wants a token of latents to have, by what it adds to their layer; 0: it doesn't say.

    Raises LayoutError.
    """
    found = [0]
    for name, (_, shape) in header(path).items():
        stem, part = split_name(name)
        if part in ("down", "diff") and lora_names.bare(stem) in (ENTRY, "x_embedder") and len(shape) >= 2:
            found.append(shape[1])
    return max(found)
