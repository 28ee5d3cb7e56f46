"""Depth Anything V2 Small on this disk: put there once, and then depth maps of photos for the runs that need them."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mlx_model import files
from mlx_model.errors import Advice, LayoutError, NotInstalled
from mlx_model.request import Reference, Request, is_in_colour
from mlx_model.specs import DEPTH, ModelSpec

from ..base import paths

ROLE = "depth"  # of a reference that is given as a depth map
FILE = "model.safetensors"


def folder() -> Path:
    """Where it is kept."""
    return paths.home() / "helpers" / DEPTH.name


def is_there() -> bool:
    return (folder() / FILE).is_file()


def resolve() -> Path:
    """Where it is. Raises NotInstalled."""
    if not is_there():
        raise NotInstalled(f"{DEPTH.title} is not installed.", Advice("add_model", {"name": DEPTH.name}))
    return folder()


def verify() -> Path:
    """Where it is, once all its weights are the network's. Raises NotInstalled, LayoutError."""
    from mlx_model.run.depth import open_depth

    open_depth(resolve() / FILE)
    return folder()


def facts() -> dict[str, Any]:
    """For machines, as library.facts has them of a model that paints."""
    return {
        "name": DEPTH.name,
        "title": DEPTH.title,
        "makes": "depth maps of photos",
        "licence": dataclasses.asdict(DEPTH.licence),
        "download_bytes": DEPTH.download_bytes,
        "installed": [str(folder())] if is_there() else [],
    }


def install(source: Path) -> None:
    """Take a checkpoint, or the one in a folder, whole or not at all. Raises LayoutError for another one, DiskFull."""
    from mlx_model.run.depth import open_depth

    file = source if source.is_file() else source / FILE
    if not file.is_file():
        raise LayoutError(f"There is no {FILE} in {source}.", "Name the checkpoint of Depth Anything V2 Small.")
    open_depth(file)
    files.make_folders(folder())
    with open(file, "rb") as given:
        files.write_new(folder() / FILE, lambda handle: shutil.copyfileobj(given, handle), force=True)


def make_map(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of a photo -> its depth map, as large. Raises LayoutError, SampleError."""
    from mlx_model.run.depth import find_depth, open_depth

    return find_depth(open_depth(folder() / FILE), pixels)


def with_maps(request: Request, spec: ModelSpec, notes: list[str]) -> Request:
    """The request, its pictures opened, with a depth map in place of each photo that is to be followed as one.

    That is FLUX.1 Depth's picture, and references with the role "depth" of models that follow them. What was made, or
    could not be, is told in `notes`; a photo stays where nothing makes maps, or it is grey and may be one.
    """
    wanted = [_is_wanted(one, spec) for one in request.references]
    if not any(wanted):
        return request
    if not is_there():
        if spec.pictures != ROLE:
            notes.append("A reference has the role depth and is in colour: it is given as it is, nothing makes a map.")
        return request
    made = tuple(_with_map(one, notes) if yes else one for one, yes in zip(request.references, wanted, strict=True))
    return dataclasses.replace(request, references=made)


def _is_wanted(one: Reference, spec: ModelSpec) -> bool:
    followed = spec.pictures == ROLE or (spec.follows and one.role == ROLE)
    return followed and one.pixels is not None and is_in_colour(one.pixels)


def _with_map(one: Reference, notes: list[str]) -> Reference:
    assert one.pixels is not None
    notes.append(f"{Path(one.path).name or 'A picture'} is in colour: its depth map was made by {DEPTH.title}.")
    return dataclasses.replace(one, pixels=make_map(one.pixels))
