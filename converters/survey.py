"""What of FLUX lies in a folder of another program: ComfyUI's, the Hugging Face cache, what mflux or diffusers saved.

Every file is told by its tensors, of which the header is read; links are followed, and nothing is written or unpickled.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import mlx.core as mx
import yaml  # type: ignore[import-untyped]  # it ships no types

from mlx_model.errors import ConvertError, FluxLocalError, RequestError, UnsafeFile
from mlx_model.specs import SPECS
from mlx_model.store import lora_names
from mlx_model.store.folder import MANIFEST, open_folder
from mlx_model.store.headers import Entry

from .formats import bitsandbytes, gguf_file, mflux, scaled
from .formats.files import is_pickle, list_weight_files, read_entries, read_json
from .identify import make_published
from .keys.families import SIZES
from .keys.rules import apply
from .parts import NoPart, Part, check_complete, open_components, open_converted, open_pairs, open_shards
from .prepare import read_params
from .tokenizers.files import is_complete
from .vocabularies import find_vocabulary

SKIPPED = {"node_modules", "venv", "__pycache__"}  # never looked into, as what begins with a dot
FOLDER_LIMIT = 20_000
DEPTH_LIMIT = 16
PATHS_FILES = ("extra_model_paths.yaml", "extra_model_paths.yml", "extra_models_config.yaml")  # the last: its desktop
YAML_LIMIT = 2**20  # bytes
# Where programs bring tokenizers, beside their folder of models: ComfyUI, Forge, SwarmUI (twice), Stability Matrix.
PROGRAMS = (
    ("comfy",), ("backend", "huggingface"), ("dlbackend", "comfy", "ComfyUI", "comfy"),
    ("dlbackend", "ComfyUI", "comfy"), ("Packages", "ComfyUI", "comfy"),
)  # fmt: skip
PIECE = re.compile(r".*-\d{5}-of-\d{5}", re.IGNORECASE)
TYPES = {"F32": mx.float32, "F16": mx.float16, "BF16": mx.bfloat16}
CODES = {"F8_E4M3": "fp8", "F8_E5M2": "fp8 (e5m2)", "I8": "int8", "U8": "nvfp4"}
PLAIN = {"F32": "32 bits", "F16": "16 bits (float16)", "BF16": "16 bits"}


@dataclass(frozen=True)
class Found:
    """A component that lies there. `shapes`: by our names; `bits`: a weight, as stored."""

    part: Part
    params: Any  # of its network; None for a language model, whose sizes depend on the transformer
    shapes: dict[str, tuple[int, ...]]
    form: str
    bits: float
    bytes: int

    @property
    def place(self) -> Path:
        """Its file, or the folder of its shards."""
        return self.part.files[0] if len(self.part.files) == 1 else self.part.files[0].parent


@dataclass
class Survey:
    """All of it. `problems`: which files of a model can't be used and why; `others`: how many are of other models."""

    places: tuple[Path, ...]
    parts: list[Found] = field(default_factory=list)
    tokenizers: list[Path] = field(default_factory=list)
    adapters: dict[Path, tuple[str, ...]] = field(default_factory=dict)  # LoRAs, and the models that they fit
    problems: list[str] = field(default_factory=list)
    others: int = 0


def survey(*places: Path) -> Survey:
    """Look through folders or files, and through what ComfyUI's own list of further folders names.

    Raises RequestError (no such place), ConvertError (too much to look through).
    """
    roots = [root for place in places for root in _list_roots(place.expanduser())]
    made = Survey(tuple(dict.fromkeys(roots)))
    seen: set[str] = set()
    for root in made.places:
        for folder in [root] if root.is_file() else _walk(root, seen):
            _look_into(folder, made, seen)
    return made


def _list_roots(place: Path) -> list[Path]:
    """The place itself, or of a program like ComfyUI its models, where else it keeps some, and its tokenizers."""
    if not place.exists():
        raise RequestError(f"{place} does not exist.")
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise RequestError(f"{place} is not a file but a pipe, socket or device.", "Give a file or a folder.")
    for home in (place, _find_child(place, "ComfyUI"), place.parent if place.name.lower() == "models" else None):
        models = _find_child(home, "models") if home else None
        lists = [home / name for name in PATHS_FILES if (home / name).is_file()] if home else []
        programs = [found for names in PROGRAMS if home and (found := _find_path(home, names))]
        if models and (lists or programs):
            return [models, *(more for file in lists for more in _read_paths(file)), *programs]
    return [place]


def _find_path(folder: Path, names: tuple[str, ...]) -> Path | None:
    found: Path | None = folder
    for name in names:
        found = _find_child(found, name) if found else None
    return found


def _find_child(folder: Path, name: str) -> Path | None:
    return next(
        (child for child in sorted(folder.iterdir()) if child.name.lower() == name.lower() and child.is_dir()), None
    )


def _read_paths(file: Path) -> Iterator[Path]:
    """The folders that exist of those in extra_model_paths.yaml. Raises ConvertError where it can't be read."""
    try:
        if file.stat().st_size > YAML_LIMIT:
            raise ValueError("too large")
        sections = yaml.safe_load(file.read_text("utf-8")) or {}
        if not isinstance(sections, dict):
            raise ValueError("it has no sections")
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f": line {mark.line + 1} is no YAML" if mark else ""
        raise ConvertError(f"{file} can't be read{where}.", "Mend it, or rename it until then.") from error
    for values in (section for section in sections.values() if isinstance(section, dict)):
        base = file.parent / _expand(values.get("base_path") or "")
        for name, lines in values.items():
            if name not in ("base_path", "is_default", "custom_nodes") and isinstance(lines, str):
                for line in filter(None, map(str.strip, lines.splitlines())):
                    if (base / _expand(line)).is_dir():
                        yield base / _expand(line)


def _expand(path: Any) -> str:
    return os.path.expandvars(os.path.expanduser(str(path)))


def _walk(root: Path, seen: set[str]) -> Iterator[Path]:
    """Folders under `root`, each once, whatever links lead to it."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        if len(seen) > FOLDER_LIMIT:
            raise ConvertError(f"{root} holds too many folders to look through.", "Give the folder with the models.")
        yield folder
        if depth < DEPTH_LIMIT and not (folder / MANIFEST).is_file():
            waiting += [(child, depth + 1) for child in reversed(_list_children(folder))]


def _list_children(folder: Path) -> list[Path]:
    try:
        children = sorted(child for child in folder.iterdir() if child.is_dir())
    except OSError:  # it may not be read: what lies there is not told of
        return []
    children.sort(key=lambda child: child.name != _find_newest(folder))
    return [child for child in children if child.name not in SKIPPED and not child.name.startswith(".")]


def _find_newest(folder: Path) -> str:
    """The snapshot of a repository in the Hugging Face cache that its branch main is at, "" elsewhere."""
    reference = folder.parent / "refs" / "main"
    if folder.name != "snapshots" or not reference.is_file():
        return ""
    return reference.read_bytes()[:64].decode("ascii", "replace").strip()


def _look_into(place: Path, made: Survey, seen: set[str]) -> None:
    """Add what lies loose in a folder, or one file."""
    inside = ("tokenizer", "pooled_tokenizer") if (place / MANIFEST).is_file() else ()  # which is not walked through
    folders = [place, *(place / name for name in inside)] if place.is_dir() else []
    made.tokenizers += [folder for folder in folders if is_complete(folder)]
    for files, opening in [((place,), partial(_open, place))] if place.is_file() else _list_openings(place):
        real = {os.path.realpath(file) for file in files}
        if real <= seen:
            continue
        seen |= real
        try:
            if fitting := _list_fitting(files[0]):
                made.adapters[files[0]] = fitting
                continue
            found = [describe(part) for part in opening()]
            made.parts += found
            made.tokenizers += _list_vocabularies(found)
        except (NoPart, FluxLocalError, OSError) as error:
            _note_failure(files[0], error, made)


def _list_vocabularies(found: list[Found]) -> list[Path]:
    """The files of text encoders that have one inside."""
    encoders = [one.part for one in found if one.part.layout.role == "text_encoder"]
    return [file for file in dict.fromkeys(file for part in encoders for file in part.files) if find_vocabulary(file)]


def _note_failure(file: Path, error: Exception, made: Survey) -> None:
    """A file of another model counts; one that is damaged or incomplete is named."""
    if isinstance(error, NoPart) or (is_pickle(file) and isinstance(error, UnsafeFile)):
        made.others += 1
        return
    words = error.message if isinstance(error, FluxLocalError) else f"{file} can't be read."
    made.problems.append(words if str(file) in words else f"{file}: {words}")


def _list_openings(folder: Path) -> Iterator[tuple[tuple[Path, ...], Callable[[], list[Part]]]]:
    """The files of a folder that belong together, and how to open them."""
    if (folder / MANIFEST).is_file():
        yield (folder / MANIFEST,), lambda: open_converted(open_folder(folder))
        return
    try:
        files = [*list_weight_files(folder), *(file for file in sorted(folder.iterdir()) if is_pickle(file))]
    except OSError:
        return
    used: set[Path] = set()
    for index in sorted(folder.glob("*.safetensors.index.json")):
        shards = _list_named(index)
        used |= set(shards)
        yield tuple(shards) or (index,), partial(_open_index, folder, index)
    try:
        pairs = open_pairs(folder)
    except FluxLocalError:
        pairs = []
    for pair in pairs:
        used |= set(pair.files)
        yield pair.files, partial(list, [pair])
    for file in files:
        if file not in used:
            yield (file,), partial(_open, file)


def _list_named(index: Path) -> list[Path]:
    """The shards that an index names, whether they are there or not; [] where it can't be read."""
    try:
        names = read_json(index).get("weight_map", {}).values()
        return [index.parent / name for name in sorted(set(names)) if isinstance(name, str)]
    except (ConvertError, AttributeError, TypeError, OSError):
        return []


def _open_index(folder: Path, index: Path) -> list[Part]:
    return [open_shards(folder, index)]


def _list_fitting(file: Path) -> tuple[str, ...]:
    """The models that a LoRA is for, () for what is none. Raises NoPart for one that fits no model here."""
    if is_pickle(file) or gguf_file.is_gguf(file) or not file.is_file() or file.name == MANIFEST:
        return ()
    shapes = {name: shape for name, (_, shape) in read_entries([file]).items()}
    if not lora_names.is_lora(shapes):
        return ()
    if fitting := lora_names.list_fitting(shapes):
        return tuple(row.name for row in fitting)
    raise NoPart(f"{file} is a LoRA of another model.")


def _open(file: Path) -> list[Part]:
    """The components of a file."""
    if PIECE.fullmatch(file.stem):
        hint = (
            "GGUF in pieces can't be read."
            if gguf_file.is_gguf(file)
            else "The index that names all of them is missing."
        )
        raise ConvertError(f"{file} is one piece of several. {hint}")
    return open_components(file)


def describe(part: Part) -> Found:
    """Sizes and form of a component; no tensor is read. Raises ConvertError, LayoutError."""
    shapes = {name: shape for name, (_, shape) in part.entries.items()}
    if part.pickled is not None:  # whose tensors would have to be unfolded to the disk
        arrays = {name: mx.zeros(shape, TYPES.get(kind, mx.float32)) for name, (kind, shape) in part.entries.items()}
    else:
        arrays = part.load_arrays(Path(os.devnull))
    targets = {name: tuple(array.shape) for name, array in apply(part.layout.rules(shapes), arrays).items()}
    stored, count = _count_stored(part), sum(_count_weights(name, arrays) for name in arrays)
    read = SIZES.get(part.layout.family)
    known = part.params is not None or read is not None
    params = read_params(part, lambda: read(targets, part.told) if read else {}) if known else None
    if part.layout.role == "transformer" and part.params is None:
        rows = {name: make_published(row) for name, row in SPECS.items() if row.family == part.layout.family}
        check_complete(part, params, targets, rows)
    return Found(part, params, targets, _name_form(part), 8 * stored / max(1, count), stored)


def _count_weights(name: str, arrays: dict[str, mx.array]) -> int:
    """Of a tensor; of one that is packed, as in a converted folder, by its scales."""
    scales = arrays.get(f"{name.removesuffix('weight')}scales") if arrays[name].dtype == mx.uint32 else None
    return arrays[name].size if scales is None else scales.size * mflux.GROUP_SIZE


def _count_stored(part: Part) -> int:
    """Bytes of its tensors on the disk."""
    if gguf_file.is_gguf(part.files[0]):
        tensors = [gguf_file.read_table(file).tensors for file in part.files]
        return sum(tensor.bytes for one in tensors for tensor in one.values())
    width = {"F32": 4, "I32": 4, "U32": 4, "I64": 8, "F16": 2, "BF16": 2}
    return sum(width.get(kind, 1) * prod(shape) for kind, shape in (part.stored or part.entries).values())


def _name_form(part: Part) -> str:
    """As a person would call how most of its weights are stored."""
    if part.params is not None:
        return "of an installed model"
    if part.stored is not None:
        bits = sorted(set(mflux.list_layers(part.stored).values()))
        return f"{' and '.join(map(str, bits))} bits of mflux" if bits else "16 bits of mflux"
    if gguf_file.is_gguf(part.files[0]):
        return _name_gguf(part.files[0])
    if bitsandbytes.list_packed(part.entries):
        return "4 bits of bitsandbytes"
    kinds = Counter[str]()
    for kind, shape in _list_matrices(part.entries):
        kinds[kind] += prod(shape)
    most = kinds.most_common(1)[0][0] if kinds else "F32"
    powers = (kind for name, (kind, _) in part.entries.items() if name.endswith(scaled.SCALES))
    if CODES.get(most) == "fp8" and any(kind in ("U8", "F8_E8M0") for kind in powers):
        return "mxfp8"
    return CODES.get(most) or PLAIN.get(most, most)


def _list_matrices(entries: dict[str, Entry]) -> list[Entry]:
    return [entry for name, entry in entries.items() if len(entry[1]) > 1 and not name.endswith(scaled.SCALES)]


def _name_gguf(file: Path) -> str:
    from gguf import GGMLQuantizationType as Kind

    counts = Counter[int]()
    for tensor in gguf_file.read_table(file).tensors.values():
        counts[tensor.form] += prod(tensor.shape)
    return f"GGUF {Kind(counts.most_common(1)[0][0]).name}"
