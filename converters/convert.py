"""A checkpoint becomes a converted folder: streamed tensor by tensor, whole or not at all.

The folder grows under a temporary name beside its place and is renamed once everything is on the disk.
"""

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import mlx.core as mx
import psutil

from mlx_model.errors import ConvertError, DiskFull, RequestError
from mlx_model.events import Done, Event, Note, Stage, Step
from mlx_model.folder import MANIFEST, roles, save_tokenizer, sha256_of, write_manifest
from mlx_model.request import Lora
from mlx_model.shards import disk_full
from mlx_model.specs import ModelSpec
from mlx_model.weights import build, fit, write_component

from . import keys_autoencoder, keys_flux2, keys_text
from .bake import bake, record
from .identify import identify
from .keys import apply
from .packing import PARTS
from .packing import Part as PackedPart
from .quantize import PLANS, encode, form_of, plan_name
from .source import Part, Source, find

MARGIN = 64 * 2**20  # bytes left free on the disk
WHERE = {
    "text_encoder": "a folder text_encoder/ with its config.json and .safetensors files",
    "autoencoder": "a folder vae/, or the file ae.safetensors",
    "tokenizer": "a folder tokenizer/ with tokenizer.json and tokenizer_config.json",
}


@dataclass(frozen=True)
class Ready:
    """A component that is checked and waits to be written; `arrays`: unread, by our names, as the plan stores them."""

    role: str
    family: str
    params: Any
    arrays: dict[str, mx.array | PackedPart]

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())


def convert(
    source: Path,
    out: Path,
    model: str | None = None,
    bits: int = 16,
    plan: str | None = None,
    companions: Path | None = None,
    force: bool = False,
    loras: Sequence[Lora] = (),
) -> Iterator[Event]:
    """Convert `source` into the folder `out`: Stage, Step per tensor, Notes, Done. Run it on one thread.

    source: a .safetensors file or a diffusers folder; model: settles ties; companions: a folder (diffusers or
    converted) with the text encoder, tokenizer and autoencoder that a single file lacks; force: replace `out` if it
    is a converted folder; loras: adapters that become part of the transformer.
    Closing the generator or an error leaves nothing behind.
    Raises RequestError, ConvertError (UnsafeFile), LayoutError (tensors that don't fit), DiskFull.
    """
    start, out = time.monotonic(), Path(out).expanduser().absolute()
    plan = plan_name(bits, plan)
    _check_out(out, force)
    yield Stage("read", str(source))
    found = find(source, companions)
    spec, known, ready = _prepare(found, model, plan, loras)
    if not known:
        yield Note(f"The sizes are of no published model; it will run as {spec.name}.")
    _check_space(out, sum(part.bytes for part in ready))
    partial = _partial(out)
    try:
        with disk_full(out):
            yield from _fill(partial, found, spec, known, ready, plan, loras)
            _move(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    yield Done(time.monotonic() - start, str(out))


def _check_out(out: Path, force: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not force:
        raise RequestError(f"{out} exists already.", "Choose another place, or replace it with --force.")
    if not (out / MANIFEST).is_file():
        raise RequestError(f"{out} is no converted model, so it is not replaced.", "Choose another place.")


def _check_space(out: Path, needed: int) -> None:
    place = next(parent for parent in out.parents if parent.exists())
    free = shutil.disk_usage(place).free
    if needed + MARGIN > free:
        message = f"The converted model needs {needed / 1e9:.2f} GB, and {place} has {free / 1e9:.2f} GB free."
        raise DiskFull(message, "Free some space, use fewer bits, or choose another disk.")


def _partial(out: Path) -> Path:
    """A new temporary folder beside `out`; removes those that killed processes have left."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for old in out.parent.glob(f".{out.name}.partial-*"):
        owner = re.fullmatch(r".*\.partial-(\d+)", old.name)
        if owner and (int(owner[1]) == os.getpid() or not psutil.pid_exists(int(owner[1]))):
            shutil.rmtree(old, ignore_errors=True)
    partial = out.parent / f".{out.name}.partial-{os.getpid()}"
    partial.mkdir()
    return partial


def _move(partial: Path, out: Path) -> None:
    """Put the finished folder in its place; an old one stays until the new one is there."""
    old = partial.with_name(partial.name.replace(".partial-", ".old-"))
    if out.exists():
        os.rename(out, old)
    os.rename(partial, out)
    shutil.rmtree(old, ignore_errors=True)


def _prepare(found: Source, model: str | None, plan: str, loras: Sequence[Lora]) -> tuple[ModelSpec, bool, list[Ready]]:
    """Recognise the model and check every tensor's name and shape, before anything is read or written."""
    if "transformer" not in found.parts:
        role = next(iter(found.parts))
        raise ConvertError(
            f"{found.path.name} is a {role.replace('_', ' ')}, not a whole model.", "Give the transformer."
        )
    part = found.parts["transformer"]
    targets = _targets(part)
    params = _params(part, lambda: keys_flux2.sizes(_shapes(targets), part.config))
    spec, known = identify(found.path, part.layout.family, params, found.index, model, found.parts)
    _check_complete(found, spec)
    changed = bake(targets, part.layout.family, params, loras)
    ready = [_ready("transformer", part, params, targets, plan, changed)]
    for role in roles(spec):
        if role != "transformer":
            ready.append(_companion(role, found.parts[role], spec, params, plan))
    return spec, known, ready


def _check_complete(found: Source, spec: ModelSpec) -> None:
    missing = [role for role in roles(spec) if role not in found.parts]
    missing += ["tokenizer"] if spec.takes_text and not found.tokenizer else []
    if missing:
        places = "; ".join(f"{role}: {WHERE[role]}" for role in missing)
        hint = f"Put beside it, or name a folder that holds them with --companions: {places}."
        raise ConvertError(f"{found.path.name} comes without {' and '.join(missing)}.", hint)


def _companion(role: str, part: Part, spec: ModelSpec, transformer: Any, plan: str) -> Ready:
    family = roles(spec)[role]
    if part.layout.family != family:
        raise ConvertError(
            f"{spec.name} needs {family} as its {role}, and {part.files[0].parent} is {part.layout.family}."
        )
    targets = _targets(part)
    if role == "autoencoder":
        params = _params(part, lambda: keys_autoencoder.sizes(_shapes(targets), part.config))
        _check_width(role, 4 * params.z_channels, transformer.in_channels)
        return _ready(role, part, params, targets, plan)
    usual, width = tuple(spec.text["out_layers"]), transformer.context_in_dim
    params = _params(part, lambda: keys_text.sizes(_shapes(targets), part.config, usual, width))
    _check_width(role, params.width, width)
    if part.params is None:
        targets = apply(keys_text.used_layers(max(params.out_layers)), targets)
    return _ready(role, part, params, targets, plan)


def _check_width(role: str, gives: int, takes: int) -> None:
    if gives != takes:
        raise ConvertError(f"The {role} belongs to another model: it is {gives} wide, the transformer takes {takes}.")


def _targets(part: Part) -> dict[str, mx.array]:
    shapes = {name: shape for name, (_, shape) in part.entries.items()}
    targets = apply(part.layout.rules(shapes), part.arrays())
    whole = [name for name, array in targets.items() if array.dtype in (mx.int32, mx.int64)]
    if whole:
        raise ConvertError(f"{part.files[0].name}: {whole[0]} holds whole numbers, which are no weights.")
    return targets


def _shapes(arrays: dict[str, mx.array]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(array.shape) for name, array in arrays.items()}


def _params(part: Part, sizes) -> Any:
    """The Params of a part's network. Raises ConvertError where the shapes make no sense."""
    try:
        kind = import_module(f"mlx_model.{part.layout.family}").Params
        return kind(**(sizes() if part.params is None else part.params))
    except (KeyError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        what = f"{part.files[0]} is incomplete or of an unknown shape"
        raise ConvertError(f"{what}: {error}.", "Is the download complete?") from error


def _ready(
    role: str, part: Part, params: Any, targets: dict[str, mx.array], plan: str, changed: Collection[str] = ()
) -> Ready:
    fit(build(role, part.layout.family, params), _shapes(targets))
    if not any(name.endswith(".scales") for name in targets):
        kept = {name: parts for name, parts in _kept(part, plan).items() if name not in changed}
        encoded = [kept.get(name) or encode(name, array, PLANS[plan]) for name, array in targets.items()]
        targets = {name: array for group in encoded for name, array in group.items()}
    return Ready(role, part.layout.family, params, targets)


def _kept(part: Part, plan: str) -> dict[str, dict[str, mx.array]]:
    """Matrices that the source has packed just as the plan would: taken as they are. {weight's name: parts}"""
    packed, shapes = part.packed(), {name: shape for name, (_, shape) in part.entries.items()}
    targets = {
        name: apply(part.layout.rules(shapes), {key: matrix.parts[name] for key, matrix in packed.items()})
        for name in PARTS
    }
    bits = {matrix.bits for matrix in packed.values()}
    return {
        name: {name.removesuffix("weight") + kind: targets[kind][name] for kind in PARTS}
        for name, array in targets[PARTS[0]].items()
        if array.ndim == 2 and bits == {form_of(name, PLANS[plan]).bits} and not form_of(name, PLANS[plan]).rotated
    }


def _fill(
    partial: Path,
    found: Source,
    spec: ModelSpec,
    known: bool,
    ready: list[Ready],
    plan: str,
    loras: Sequence[Lora],
) -> Iterator[Event]:
    dtypes = {array.dtype for array in ready[0].arrays.values()} - {mx.uint32}
    dtype = next(
        str(kind).removeprefix("mlx.core.") for kind in (mx.float16, mx.bfloat16, mx.float32) if kind in dtypes
    )
    components = {}
    for part in ready:
        yield Stage("write", part.role, len(part.arrays))
        components[part.role] = yield from _write(partial, part)
    tokenizer = save_tokenizer(partial, found.tokenizer) if spec.takes_text else {}
    yield Stage("check", found.path.name, len(found.files))
    source = {"name": found.path.name, "files": (yield from _source_hashes(found))}
    source |= {"loras": record(loras)} if loras else {}
    licence = spec.licence.name if known else "unknown"
    write_manifest(partial, spec.name, components, tokenizer, source=source, licence=licence, plan=plan, dtype=dtype)


def _write(partial: Path, part: Ready) -> Iterator[Event]:
    """Write one component with a Step per tensor; returns its entry of the manifest."""
    sizes = {name: array.nbytes for name, array in part.arrays.items()}
    total, done, start = sum(sizes.values()), 0, time.monotonic()
    steps = write_component(partial, part.role, part.family, part.params, part.arrays)
    for number in range(1, len(sizes) + 2):
        try:
            done += sizes[next(steps)]
        except StopIteration as end:
            return end.value
        seconds = time.monotonic() - start
        yield Step(number, len(sizes), seconds, seconds * (total - done) / max(1, done))


def _source_hashes(found: Source) -> Iterator[Event]:
    """sha256 of every source file; the name is that of the file and its folder, never the whole path."""
    hashes, start = {}, time.monotonic()
    for number, file in enumerate(found.files, 1):
        hashes[f"{file.parent.name}/{file.name}"] = sha256_of(file)
        seconds = time.monotonic() - start
        yield Step(number, len(found.files), seconds, seconds / number * (len(found.files) - number))
    return hashes
