"""What a conversion will write, checked before anything is written: every component of a model, tensor by tensor."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import Advice, ConvertError, LayoutError, say_reason
from mlx_model.foreign import check_params
from mlx_model.request import Lora
from mlx_model.specs import OPTIONAL, PACKED_ROLES, SPECS, ModelSpec
from mlx_model.store.folder import roles
from mlx_model.store.lora_files import ADAPTED, Network
from mlx_model.store.weights import build, fit

from .bake import adapts_encoder, bake, list_notes, widen
from .identify import identify, list_doubts, make_published
from .keys import text
from .keys.families import SIZES
from .keys.rules import apply
from .parts import Part, check_complete, check_layers, check_switches
from .quantize import PARTS, PLANS, PackedArray, encode, find_form
from .source import MAIN, Source

WHERE = {
    "transformer": "a folder transformer/, or a .safetensors file",
    "text_encoder": "a folder text_encoder/ (FLUX.1: text_encoder_2/) with its config.json and .safetensors files",
    "pooled_encoder": "a folder text_encoder/ with CLIP",
    "image_encoder": "a folder image_encoder/ with SigLIP",
    "image_embedder": "a folder image_embedder/",
    "autoencoder": "a folder vae/, or the file ae.safetensors",
    "tokenizer": "a folder tokenizer/ (FLUX.1: tokenizer_2/) with tokenizer.json and tokenizer_config.json, with "
    "Qwen's vocab.json and merges.txt, Mistral's tekken.json or T5's spiece.model, or a text encoder with one inside",
    "pooled tokenizer": "a folder tokenizer/ with CLIP's vocab.json and merges.txt beside tokenizer_2/",
}
TAKES = {"text_encoder": "context_in_dim", "pooled_encoder": "vec_in_dim", "image_embedder": "context_in_dim"}
UNPACKED = ("32bit", "16bit")  # plans of what is never packed
UNSURE = (
    "Nothing says how many blocks or layers these should have, so that a file which was cut off looks whole: {}. "
    "A config.json beside the file would say it."
)
GIVES = {"image_embedder": "txt_in_features"}  # else: width


@dataclass(frozen=True)
class Ready:
    """A component that is checked and waits to be written; `arrays`: unread, by our names, as the plan stores them."""

    role: str
    family: str
    params: Any
    arrays: dict[str, mx.array | PackedArray]
    files: tuple[Path, ...]  # that it comes from
    vocabularies: tuple[str, ...] = ()  # tensors of these files from which a tokenizer can be made
    vouched: bool = True  # for what was read from which tensors are there: see parts.py

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True)
class Settings:
    """How to convert; `scratch` is a folder for what has to be unfolded on the way.

    `networks` is filled with what LoRAs may change, role by role.
    """

    plan: str
    loras: Sequence[Lora]
    scratch: Path
    networks: dict[str, Network] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """The row, whether the sizes of the transformer are its published ones, the components, and what to tell."""

    spec: ModelSpec
    known: bool
    ready: list[Ready]
    notes: list[str]


def prepare(found: Source, model: str | None, settings: Settings) -> Prepared:
    """Everything that will be written, and checked that nothing of it is missing. Reads no tensor.

    Raises ConvertError, RequestError (a tie between models), LayoutError (tensors that don't fit).
    """
    if "transformer" not in found.parts:
        role = next(iter(found.parts))
        hint = Advice("put_on_base") if role in MAIN else "Give the file or folder with the transformer."
        article = "an" if role[0] in "aeiou" else "a"
        raise ConvertError(f"{found.path.name} is {article} {role.replace('_', ' ')}, not a whole model.", hint)
    part = found.parts["transformer"][0]
    targets = _read_targets(part, settings.scratch)
    control = widen(targets, settings.loras)
    params = read_params(part, lambda: SIZES[part.layout.family](list_shapes(targets), part.told))
    rows = {name: make_published(row) for name, row in SPECS.items() if row.family == part.layout.family}
    vouched = check_complete(part, params, list_shapes(targets), rows)
    # A control LoRA makes another model of it: its own name tells which, not the folder's index.
    path, index = (control, {}) if control else (found.path, found.index)
    spec, known = identify(path, part.layout.family, params, index, model, found.parts)
    notes = list_doubts(path, spec, params, part.told) if model is None else []
    _check_roles(found, spec)
    changed = bake(targets, "transformer", part.layout.family, params, settings.networks, settings.loras)
    ready = {"transformer": _make_ready("transformer", part, params, targets, settings.plan, vouched, changed)}
    for role, family in {**roles(spec), **OPTIONAL}.items():
        if role not in ready and role in found.parts:
            try:
                ready[role] = _choose_companion(role, family, found, spec, params, settings)
            except (ConvertError, LayoutError) as error:
                if role not in OPTIONAL:
                    raise
                notes.append(f"The {role.replace('_', ' ')} is left out. {error.message}")
    _check_pictures(ready)
    unsure = [role for role, made in ready.items() if not made.vouched]
    notes += list_notes(settings.networks, settings.loras) if settings.loras else []
    notes += [UNSURE.format(", ".join(unsure).replace("_", " "))] if unsure else []
    return Prepared(spec, known, list(ready.values()), notes)


def _check_roles(found: Source, spec: ModelSpec) -> None:
    missing = [role for role in roles(spec) if role not in found.parts]
    missing += ["tokenizer"] if spec.takes_text and not found.tokenizers.text else []
    missing += ["pooled tokenizer"] if "pooled_encoder" in spec.extras and not found.tokenizers.pooled else []
    if missing:
        places = "; ".join(f"{role}: {WHERE[role]}" for role in missing)
        hint = Advice("bring_companions", {"places": places})
        raise ConvertError(f"{found.path.name} comes without {' and '.join(missing)}.", hint)


def _choose_companion(
    role: str, family: str, found: Source, spec: ModelSpec, transformer: Any, settings: Settings
) -> Ready:
    """The first part that fits the transformer. Raises ConvertError."""
    refused: ConvertError | LayoutError | None = None
    for part in found.parts[role]:
        try:
            if part.layout.family != family:
                what = f"{spec.name} needs {family} as its {role}, and {part.files[0].parent} is {part.layout.family}."
                raise ConvertError(what)
            return _fit_part(role, part, spec, transformer, settings)
        except (ConvertError, LayoutError) as error:
            refused = refused or error
    assert refused  # each role has at least one part
    raise refused


def _fit_part(role: str, part: Part, spec: ModelSpec, transformer: Any, settings: Settings) -> Ready:
    targets = _read_targets(part, settings.scratch)
    params = read_params(part, lambda: read_sizes(part, list_shapes(targets), spec, transformer))
    check_width(role, params, transformer)
    vouched = part.params is not None or check_part(role, part, params, list_shapes(targets), spec)
    if part.params is None and hasattr(params, "out_layers"):
        targets = apply(text.keep_layers(max(params.out_layers)), targets)
    changed = set()
    if role in ADAPTED and any(adapts_encoder(lora) for lora in settings.loras):
        changed = bake(targets, role, part.layout.family, params, settings.networks, settings.loras)
    return _make_ready(role, part, params, targets, settings.plan, vouched, changed)


def check_part(role: str, part: Part, params: Any, shapes: dict[str, tuple[int, ...]], spec: ModelSpec) -> bool:
    """Whether something vouches for the part's sizes. Raises ConvertError: it is incomplete."""
    if hasattr(params, "out_layers"):
        check_layers(part, params, shapes)
        return params.hidden_size == spec.text["hidden_size"] or text.say_layers(part.told) is not None
    own = {
        "text_encoder": spec.text,
        "autoencoder": spec.autoencoder,
        **{k: sizes for k, (_, sizes) in spec.extras.items()},
    }
    row = import_module(f"mlx_model.nets.{part.layout.family}").Params(**own.get(role, {}))
    if role == "autoencoder":
        check_switches(part, params, row, spec.title)
    return check_complete(part, params, shapes, {spec.title: row})


def read_sizes(part: Part, shapes: dict[str, tuple[int, ...]], spec: ModelSpec, transformer: Any) -> dict[str, Any]:
    """The arguments of a companion's Params; what neither tensors nor config.json say is the row's."""
    if part.layout.family in SIZES:
        return SIZES[part.layout.family](shapes, part.told)
    usual, published = tuple(spec.text["out_layers"]), spec.text["hidden_size"]
    sizes = text.read_sizes(shapes, part.told, usual, transformer.context_in_dim, published)
    return {**{name: spec.text[name] for name in ("rope_theta",) if name in spec.text}, **sizes}


def check_width(role: str, params: Any, transformer: Any) -> None:
    """Raises ConvertError where a companion gives another width than the transformer takes."""
    if role in TAKES:
        gives, takes = getattr(params, GIVES.get(role, "width")), getattr(transformer, TAKES[role])
    elif hasattr(params, "z_channels"):  # of 2 x 2 latents, which are one token
        gives, takes = 4 * params.z_channels, getattr(transformer, "out_channels", transformer.in_channels)
    else:
        return
    if gives != takes:
        raise ConvertError(f"The {role} belongs to another model: it is {gives} wide, the transformer takes {takes}.")


def _check_pictures(ready: Mapping[str, Ready]) -> None:
    if "image_embedder" in ready:
        gives, takes = ready["image_encoder"].params.width, ready["image_embedder"].params.redux_dim
        if gives != takes:
            raise ConvertError(f"The image_encoder is {gives} wide, the image_embedder takes {takes}.")


def _read_targets(part: Part, scratch: Path) -> dict[str, mx.array]:
    shapes = {name: shape for name, (_, shape) in part.entries.items()}
    targets = apply(part.layout.rules(shapes), part.load_arrays(scratch))
    whole = [name for name, array in targets.items() if array.dtype in (mx.int32, mx.int64)]
    if whole:
        raise ConvertError(f"{part.files[0].name}: {whole[0]} holds whole numbers, which are no weights.")
    return targets


def list_shapes(arrays: dict[str, mx.array]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in arrays.items()}


def read_params(part: Part, read: Callable[[], dict[str, Any]]) -> Any:
    """The Params of a part's network. Raises ConvertError where the shapes make no sense."""
    try:
        kind = import_module(f"mlx_model.nets.{part.layout.family}").Params
        params = kind(**(read() if part.params is None else part.params))
        check_params(params)
        return params
    except (KeyError, ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:
        what = f"{part.files[0]} is incomplete or of an unknown shape"
        raise ConvertError(f"{what}: {say_reason(error)}.", "Is the download complete?") from error


def _make_ready(
    role: str,
    part: Part,
    params: Any,
    targets: dict[str, mx.array],
    plan: str,
    vouched: bool,
    changed: Collection[str] = (),
) -> Ready:
    try:
        fit(build(role, part.layout.family, params), list_shapes(targets))
    except LayoutError as error:
        where = f"The {role.replace('_', ' ')} in {part.files[0]} is incomplete or of another kind"
        raise LayoutError(f"{where}: {error.message}", error.hint or "Is the download complete?") from error
    plan = plan if role in PACKED_ROLES or plan == UNPACKED[0] else UNPACKED[1]
    if not any(name.endswith(".scales") for name in targets):
        kept = {name: parts for name, parts in _keep_packed(part, plan).items() if name not in changed}
        encoded = [kept.get(name) or encode(name, array, PLANS[plan]) for name, array in targets.items()]
        stored = {name: array for group in encoded for name, array in group.items()}
        return Ready(role, part.layout.family, params, stored, part.files, part.vocabularies, vouched)
    return Ready(role, part.layout.family, params, dict(targets), part.files, part.vocabularies, vouched)


def _keep_packed(part: Part, plan: str) -> dict[str, dict[str, mx.array]]:
    """Matrices that the source has packed just as the plan would: taken as they are. {weight's name: parts}"""
    packed, shapes = part.list_packed(), {name: shape for name, (_, shape) in part.entries.items()}
    targets = {
        name: apply(part.layout.rules(shapes), {key: matrix.parts[name] for key, matrix in packed.items()})
        for name in PARTS
    }
    bits = {matrix.bits for matrix in packed.values()}
    return {
        name: {name.removesuffix("weight") + kind: targets[kind][name] for kind in PARTS}
        for name, array in targets[PARTS[0]].items()
        if array.ndim == 2 and bits == {find_form(name, PLANS[plan]).bits} and not find_form(name, PLANS[plan]).rotated
    }
