"""A checkpoint becomes a converted folder: streamed tensor by tensor, whole or not at all.

The folder grows under a temporary name beside its place and is renamed once everything is on the disk.
"""

import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import Advice, ConvertError, DiskFull, LayoutError, ModelError, RequestError
from mlx_model.events import Done, Event, Note, Stage, Step
from mlx_model.files import FULL, begin, finish, lies_in, make_folders, say_why
from mlx_model.memory import say_bytes
from mlx_model.request import Lora
from mlx_model.run.tokenize import PromptTokenizer
from mlx_model.specs import ModelSpec
from mlx_model.store.folder import keep_others, list_others, save_tokenizer, sha256_of, write_manifest
from mlx_model.store.shards import disk_full
from mlx_model.store.weights import write_component
from mlx_model.unfinished import take_place

from .bake import record
from .prepare import Ready, Settings, prepare
from .quantize import choose_plan
from .source import Source, find_source
from .tokenizers.files import collect_tokenizer_files
from .vocabularies import find_vocabulary, lay_out

SCRATCH = "unfolded"
MARGIN = 64 * 2**20  # bytes left free on the disk


def convert(
    source: Path | Source,
    out: Path,
    model: str | None = None,
    bits: int = 16,
    plan: str | None = None,
    companions: Path | None = None,
    force: bool = False,
    loras: Sequence[Lora] = (),
) -> Generator[Event, None, None]:
    """Convert `source` into the folder `out`: Stage, Step per tensor, Notes, Done. Run it on one thread.

    source: a .safetensors, .gguf or .pt file, a diffusers folder or one that mflux saved, or what gather chose;
    model: settles ties; companions: a folder (diffusers or converted) with what a single file lacks; force: replace
    `out` if it is a converted folder; loras: adapters that become part of the weights.
    Closing the generator or an error leaves nothing behind.
    Raises RequestError, ConvertError (UnsafeFile), LayoutError (tensors that don't fit), DiskFull.
    """
    start, out = time.monotonic(), find_place(Path(out).expanduser().absolute())
    plan = choose_plan(bits, plan)
    check_out(out, force)
    _check_given(out, [source.path if isinstance(source, Source) else source, companions])
    _check_given(out, [lora.path for lora in loras])
    yield Stage("read", str(source.path if isinstance(source, Source) else source))
    found = source if isinstance(source, Source) else find_source(source, companions)
    partial = make_partial(out)
    settings = Settings(plan, loras, partial / SCRATCH)
    try:
        with disk_full(out):
            made = prepare(found, model, settings)
            spec, known, ready = made.spec, made.known, made.ready
            _check_given(out, [file for part in ready for file in part.files])
            if not known:
                yield Note(f"The sizes are of no published model; it will run as {spec.name}.")
            yield from map(Note, made.notes)
            yield from map(Note, _tell_vocabularies(found, ready))
            _check_space(out, sum(part.bytes for part in ready))
            yield from _fill(partial, found, spec, known, ready, settings)
            shutil.rmtree(settings.scratch, ignore_errors=True)
            check_out(out, force)  # another conversion may have finished there meanwhile
            for told in keep_others(out, partial) if _is_full(out) else ():
                yield Note(told)
            take_place(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        finish(partial)
    yield Done(time.monotonic() - start, str(out))


def find_place(out: Path) -> Path:
    """Where a link leads, which may be another disk."""
    if out.is_symlink():
        if not out.exists():
            raise RequestError(f"{out} is a link that leads nowhere.", "Choose another place.")
        out = out.resolve()
    return out


def _is_full(out: Path) -> bool:
    return os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir()))


def check_out(out: Path, force: bool) -> None:
    if not _is_full(out):
        return
    if not force:
        raise RequestError(f"{out} exists already.", Advice("replace_model"))
    try:
        list_others(out)
    except ModelError as error:
        message = f"{out} is no model that this version converted, so it is not replaced. {error.message}"
        raise RequestError(message, "Choose another place, or move it away.") from error


def _check_given(out: Path, given: Iterable[str | Path | None]) -> None:
    """Nothing that is read is replaced. Raises RequestError."""
    for path in given:
        if path and lies_in(Path(path).expanduser(), out):
            raise RequestError(f"{out} holds what you gave, {path}.", "Flux Local never overwrites an original.")


def _check_space(out: Path, needed: int) -> None:
    place = next(parent for parent in out.parents if parent.exists())
    free = shutil.disk_usage(place).free
    if needed + MARGIN > free:
        message = (
            f"The converted model needs {say_bytes(needed)} and some room, and {place} has {say_bytes(free)} free."
        )
        raise DiskFull(message, "Free some space, use fewer bits, or choose another disk.")


def make_partial(out: Path) -> Path:
    """A new temporary folder beside `out`."""
    partial = begin(out)
    try:
        make_folders(out.parent)
        partial.mkdir()
    except OSError as error:
        finish(partial)
        if error.errno in FULL:
            raise
        why = say_why(error, partial)
        raise RequestError(f"{out.parent} can't be written to: {why}.", "Choose another place.") from error
    return partial


def _fill(
    partial: Path, found: Source, spec: ModelSpec, known: bool, ready: list[Ready], settings: Settings
) -> Iterator[Event]:
    dtypes = {array.dtype for array in ready[0].arrays.values()} - {mx.uint32}
    dtype = next(
        str(kind).removeprefix("mlx.core.") for kind in (mx.float16, mx.bfloat16, mx.float32) if kind in dtypes
    )
    tokenizer = _save_tokenizers(partial, found, spec, ready, settings.scratch)
    components: dict[str, dict[str, Any]] = {}
    for part in ready:
        yield Stage("write", part.role, len(part.arrays))
        components[part.role] = yield from _write(partial, part)
    files = [file for part in ready for file in part.files]
    yield Stage("check", found.path.name, len(files))
    source: dict[str, Any] = {"name": found.path.name, "files": (yield from _hash_sources(files))}
    source |= {"loras": record(settings.loras)} if settings.loras else {}
    licence = spec.licence.name if known else "unknown"
    write_manifest(
        partial, spec.name, components, tokenizer, source=source, licence=licence, plan=settings.plan, dtype=dtype
    )


def _tell_vocabularies(found: Source, ready: list[Ready]) -> list[str]:
    """Which of the vocabularies inside the files is used."""
    inside = found.tokenizers.text if found.tokenizers.text and found.tokenizers.text.is_file() else None
    used = [f"The tokenizer is made of {find_vocabulary(inside)} in {inside.name}."] if inside else []
    names = {name for part in ready for name in part.vocabularies if inside not in part.files}
    return used + [f"{name} is left out: the tokenizer that lies beside the model is used." for name in sorted(names)]


def _save_tokenizers(
    partial: Path, found: Source, spec: ModelSpec, ready: list[Ready], scratch: Path
) -> dict[str, Any]:
    """Copy the tokenizers that the model needs; their part of the manifest. Raises ConvertError for another model's."""
    wanted = {"tokenizer": (found.tokenizers.text, "text_encoder", spec.template)} if spec.takes_text else {}
    if "pooled_encoder" in spec.extras:
        wanted["pooled_tokenizer"] = (found.tokenizers.pooled, "pooled_encoder", "clip")
    encoders = {part.role: part.params for part in ready}
    entries: dict[str, Any] = {}
    for name, (directory, role, template) in wanted.items():
        assert directory  # prepare refuses a source without
        files = collect_tokenizer_files(lay_out(directory, scratch / f"{name}-inside"), scratch / name)
        try:
            PromptTokenizer(files[0].parent, template, 0).check(encoders[role].vocab_size)
        except LayoutError as error:
            message = error.message.replace(str(files[0].parent), str(directory))
            raise ConvertError(message, "Give the tokenizer of this model, downloaded completely.") from error
        entries |= save_tokenizer(partial, files, name)
    return entries


def _write(partial: Path, part: Ready) -> Generator[Event, None, dict[str, Any]]:
    """Write one component with a Step per tensor; returns its entry of the manifest."""
    sizes = {name: array.nbytes for name, array in part.arrays.items()}
    total, done, start = sum(sizes.values()), 0, time.monotonic()
    steps = write_component(partial, part.role, part.family, part.params, part.arrays)
    number = 0
    while True:
        try:
            done += sizes[next(steps)]
        except StopIteration as end:
            entry: dict[str, Any] = end.value
            return entry
        number, seconds = number + 1, time.monotonic() - start
        yield Step(number, len(sizes), seconds, seconds * (total - done) / max(1, done))


def _hash_sources(files: list[Path]) -> Generator[Event, None, dict[str, str]]:
    """sha256 of every source file; the name is that of the file and its folder, never the whole path."""
    hashes, start = {}, time.monotonic()
    for number, file in enumerate(files, 1):
        hashes[f"{file.parent.name}/{file.name}"] = sha256_of(file)
        seconds = time.monotonic() - start
        yield Step(number, len(files), seconds, seconds / number * (len(files) - number))
    return hashes
