"""Which models there are: every known one as facts (what it does, who may use it, how large it is, whether it fits),
and which are installed, as converted folders in the models folder, and the built-in one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlx_model.errors import Advice, FluxLocalError, Hint, ModelError, NotInstalled, RequestError, say_reason
from mlx_model.foreign import parse_json, read_small
from mlx_model.specs import SPECS
from mlx_model.store.folder import MANIFEST

from ..base import paths

if TYPE_CHECKING:
    from mlx_model.languages import LanguageModel
    from mlx_model.store.folder import Folder
from typing import Any, Literal

from mlx_model import fitting, memory
from mlx_model.spec_parts import BITS
from mlx_model.specs import ModelSpec

BUILT_IN = "mini"
ADD_ONE = Advice("add_a_model", {"name": "flux2-klein-4b"})


class Model(NamedTuple):
    """One converted folder, opened, and what a request records as its model."""

    folder: Folder
    name: str


@dataclass(frozen=True)
class Installed:
    """One converted folder. `problem` says why it can't be opened; then only its name and path are certain."""

    name: str
    path: Path
    bytes: int = 0
    plan: str = ""
    weights: dict[str, int] | None = None  # component -> bytes on disk
    built_in: bool = False
    problem: str = ""


def list_installed() -> list[Installed]:
    """The models of the models folder by name, then the built-in one where it ships. Never raises for a bad folder."""
    return [inspect(path) for path in _folders()]


def _folders() -> list[Path]:
    """Of all that is installed, by their names, the built-in one last."""
    folder = paths.models()
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    there = [path for path in found if not path.name.startswith(".")] + [paths.mini()]
    return [path for path in there if (path / MANIFEST).is_file()]


def inspect(path: Path) -> Installed:
    """What the folder holds, its files checked for presence and size but not hashed."""
    from mlx_model.store.folder import open_folder

    built_in = path == paths.mini()
    try:
        folder = open_folder(path)
    except FluxLocalError as error:
        return Installed(_read_name(path), path, built_in=built_in, problem=error.message)
    weights = {role: part.bytes for role, part in folder.components.items()}
    return Installed(folder.spec.name, path, folder.bytes, folder.plan, weights, built_in)


def _read_name(path: Path) -> str:
    try:
        return str(parse_json(read_small(path / MANIFEST))["model"])[:200]
    except (OSError, ValueError, KeyError, TypeError):
        return path.name


def resolve(name_or_path: str | None = None) -> Path:
    """The converted folder of a model's name or of a path; None: the default model.

    Raises NotInstalled with how to add it, RequestError for a name that no model has.
    """
    if name_or_path is None:
        return default()
    path = Path(name_or_path).expanduser()
    if os.path.isfile(path / MANIFEST):  # Path.is_file raises for a name that is too long
        return path.absolute()
    if found := _search(name_or_path):
        return found
    if name_or_path in SPECS:
        raise NotInstalled(f"{SPECS[name_or_path].subject} is not installed.", how_to_add(name_or_path))
    if os.path.exists(path):
        return path.absolute()  # open_folder says what is wrong with it
    if os.sep in name_or_path:
        raise RequestError(f"There is no folder {path} with a model.", "Check the path, or give the name of a model.")
    raise RequestError(f"There is no model called {name_or_path}.", f"Known are {', '.join(SPECS)}.")


def find(name_or_path: str | None = None) -> Model:
    """The model of a name or of a path, opened; None: the default one. Raises what resolve and open_folder raise."""
    from mlx_model.store.folder import open_folder

    folder = open_folder(resolve(name_or_path))
    return Model(folder, name_of(folder))


def _search(name: str) -> Path | None:
    """The folder called `name`, else one that holds the model of that name; one that works before a damaged one.

    What is called so is opened first: mostly no other has to be.
    """
    folders = _folders()
    named = [path for path in folders if path.name == name]
    if working := next((path for path in named if not inspect(path).problem), None):
        return working
    matching = [model for model in map(inspect, folders) if name in (model.name, model.path.name)]
    return min(matching, key=lambda model: bool(model.problem)).path if matching else None


def name_of(folder: Folder) -> str:
    """What a request records as its model: the name where that finds this folder again, else the path."""
    if any(path.name == folder.spec.name != folder.path.name for path in _folders()):
        return str(folder.path.absolute())  # said without opening that one
    try:
        known = resolve(folder.spec.name) == folder.path
    except (RequestError, NotInstalled):
        known = False
    return folder.spec.name if known else str(folder.path.absolute())


def how_to_add(name: str) -> Hint:
    """What to do to get the model."""
    if SPECS[name].repo is None:
        return "It ships with Flux Local, so this installation is incomplete: install it again."
    return Advice("add_model", {"name": name})


def default() -> Path:
    """The first installed model that was added first and works, else the built-in one. Raises NotInstalled."""
    return _find_default().path


def _find_default() -> Installed:
    for path in sorted(_folders(), key=_rank):
        if not (found := inspect(path)).problem:
            return found
    raise NotInstalled("No model is installed.", ADD_ONE)


def name_default(chosen: str | None = None) -> str | None:
    """The name of the model for new pictures: the one that was chosen, else the default; None where none works."""
    if chosen:
        return chosen
    try:
        return _find_default().name
    except FluxLocalError:
        return None


def choose_aspect(chosen: str | None = None) -> tuple[int, int]:
    """The shape of a new board, for the model of name_default: the built-in one has only learned squares."""
    return (1, 1) if name_default(chosen) == BUILT_IN else (16, 9)


def _rank(path: Path) -> tuple[bool, float, str]:
    return path == paths.mini(), (path / MANIFEST).stat().st_mtime, path.name


def find_removable(name: str) -> Path:
    """The folder of an installed model that isn't part of the app. Raises NotInstalled, RequestError."""
    path = resolve(name)
    if path == paths.mini():
        raise RequestError("The built-in model can't be removed.", "It is part of the app.")
    return path


def remove(name: str) -> Path:
    """Move an installed model to the Trash; where it was.

    Raises NotInstalled, RequestError for the built-in model, ModelError where the Trash can't take it (nothing is
    deleted then).
    """
    return throw_away(find_removable(name))


def throw_away(path: Path) -> Path:
    """Move a folder of ours to the Trash; where it was. Raises ModelError where that can't take it."""
    from send2trash import send2trash  # type: ignore[import-untyped]  # it ships no types

    try:
        send2trash(str(path))
    except Exception as error:  # each system's trash has its own errors
        raise ModelError(
            f"{path} could not be moved to the Trash: {say_reason(error)}.", "Delete the folder yourself."
        ) from error
    return path


# What models do to which a picture is something special, by ModelSpec.pictures.
SPECIAL = {
    "erased": "fill in under a mask, extend a picture",
    "edges": "generate along the edges of a picture",
    "depth": "generate along a depth map",
    "features": "variations of a picture",
}


def catalogue(here: memory.Machine) -> list[dict[str, Any]]:
    """`facts` of all models, in the order of SPECS."""
    there = list_installed()
    return [facts(spec, here, [model for model in there if model.name == spec.name]) for spec in SPECS.values()]


def facts(spec: ModelSpec, here: memory.Machine, there: list[Installed]) -> dict[str, Any]:
    """A row of SPECS, ready for JSON. Memory and seconds are predicted for `here`, at the model's default size."""
    return {
        **tell_row(spec),
        "family": spec.family,
        "does": _does(spec),
        "disk_bytes": {str(bits): disk_bytes(spec, bits) for bits in BITS},
        **_predict(spec.name, here),
        "steps": spec.steps,
        "size": list(spec.size),
        "installed": [_describe(model) for model in there],
    }


@lru_cache(len(SPECS))
def _predict(name: str, here: memory.Machine) -> dict[str, Any]:
    """Of a row: most of the time that a list of models takes."""
    from mlx_model.speed import step_flops, step_seconds  # for lists of models, not for a run

    spec = SPECS[name]
    peaks = {bits: memory.forecast(spec, bits=bits, gpu=here.gpu) for bits in BITS}
    read = {bits: fitting.choose(fitting.Wanted(spec, spec.size, bits=bits, low=True), here) for bits in BITS}
    seconds = step_seconds(step_flops(spec, spec.size), here)
    return {
        "memory_bytes": {str(bits): peak.peak for bits, peak in peaks.items()},
        "fits": {str(bits): memory.fits(peak, here) for bits, peak in peaks.items()},
        "streamed_bytes": {str(bits): peak.peak for bits, peak in read.items()},
        "runs": {str(bits): memory.fits(peak, here) for bits, peak in read.items()},  # also where it doesn't fit whole
        "seconds_per_step": None if seconds is None else round(seconds, 3),
        "basis": "predicted",
    }


def tell_row(row: ModelSpec | LanguageModel) -> dict[str, Any]:
    """What it is, by its row alone."""
    licence = row.licence
    return {
        "name": row.name,
        "title": row.title,
        "advice": row.advice,
        "licence": {"name": licence.name, "url": licence.url, "summary": licence.summary, "consent": licence.consent}
        | {"gated": row.gated},
        "repo": row.repo,
        "download_bytes": row.download_bytes,
    }


def _does(spec: ModelSpec) -> dict[str, Any]:
    return {
        "generate": not spec.needs_picture,
        "edit": spec.max_references > 0,
        "pictures": spec.pictures,
        "references": spec.max_references,
        "mask": spec.mask,
        "negative": spec.takes_text and spec.guidance_kind == "cfg",
        "classes": spec.classes,
    }


def _describe(model: Installed) -> dict[str, Any]:
    return {
        "path": str(model.path),
        "bytes": model.bytes,
        "plan": model.plan,
        "built_in": model.built_in,
        "problem": model.problem,
    }


def disk_bytes(spec: ModelSpec, bits: int) -> int:
    """The converted folder."""
    return sum(memory.component_bytes(spec, bits, 2).values())


def best_bits(entry: dict[str, Any], how: Literal["fits", "runs"] = "fits") -> int | None:
    """The most bits, 16 at most, at which a model of `facts` fits this machine; None where none does.

    "fits": whole; "runs": it may be read from the disk as it runs.
    """
    return max((int(bits) for bits, fits in entry[how].items() if fits), default=None)


def does_line(does: dict[str, Any]) -> str:
    """generate, edit (10 pictures, mask), negative"""
    if does.get("writes"):
        return "write prompts out"
    parts = ["generate"] if does["generate"] else []
    if does["classes"]:
        parts = [f"generate ({does['classes']} classes, no words)"]
    if does["edit"]:
        pictures = "1 picture" if does["references"] == 1 else f"{does['references']} pictures"
        parts.append(SPECIAL.get(does["pictures"]) or f"edit ({pictures}{', mask' if does['mask'] else ''})")
    return ", ".join(parts + (["negative"] if does["negative"] else []))
