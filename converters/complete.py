"""Whether a part holds all that it should, which its tensors alone can't say: what is cut off looks like less.

A depth, guidance and statistics are read from which tensors are there. What they should be says the part's own
config.json, or else the published network that agrees with it in everything else, or the row that it is to run as.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from mlx_model.errors import ConvertError

from .keys.families import INFERRED
from .keys.rules import Inferred, Shapes
from .keys.shared import list_numbers
from .parts import Part

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
