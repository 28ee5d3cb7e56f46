"""Networks on this disk that draw nothing of their own: one file each, put there once, used as it was published."""

import dataclasses
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mlx_model import files, memory
from mlx_model.errors import Advice, LayoutError, ModelError, NotFinite, NotInstalled
from mlx_model.events import Event, Stage
from mlx_model.geometry import Size
from mlx_model.helpers import DEPTH, HELPERS
from mlx_model.request import Request, check, demand
from mlx_model.spec_parts import BITS
from mlx_model.specs import ModelSpec

from ..base import paths
from . import library

FILE = "model.safetensors"
WORKS_IN = 2 * 2**30  # bytes beside the weights: a tile of Swin2SR, by area from the 392 MB that 64 x 64 took


def folder(row: ModelSpec) -> Path:
    """Where it is kept."""
    return paths.helpers() / row.name


def is_there(row: ModelSpec) -> bool:
    return (folder(row) / FILE).is_file()


def resolve(row: ModelSpec) -> Path:
    """Where it is. Raises NotInstalled."""
    if not is_there(row):
        raise NotInstalled(f"{row.title} is not installed.", Advice("add_model", {"name": row.name}))
    return folder(row)


def open_net(row: ModelSpec, file: Path | None = None) -> Any:
    """The network, from its place or another file. Raises NotInstalled, ModelError."""
    if file is None:
        with tell_damaged(row):
            return _open(row, resolve(row) / FILE)
    return _open(row, file)


def _open(row: ModelSpec, file: Path) -> Any:
    if row.family == DEPTH.family:
        from mlx_model.run.depth import open_depth

        return open_depth(file)
    from mlx_model.run.upscale import open_upscaler

    return open_upscaler(file, row.transformer)


@contextmanager
def tell_damaged(row: ModelSpec) -> Iterator[None]:
    """Raises ModelError, with its folder and what to do, where what is installed is cut off or makes no numbers."""
    try:
        yield
    except (LayoutError, NotFinite) as error:
        again = Advice("add_model_again", {"name": row.name, "path": str(folder(row))})
        raise ModelError(f"{row.title} in {folder(row)} is damaged: {error.message}", again) from error


def verify(row: ModelSpec) -> Path:
    """Where it is, once all its weights are the network's. Raises NotInstalled, ModelError."""
    open_net(row)
    return folder(row)


def install(row: ModelSpec, source: Path) -> None:
    """Take a checkpoint, or the one in a folder, whole or not at all. Raises LayoutError for another one, DiskFull."""
    file = source if source.is_file() else source / FILE
    if not file.is_file():
        raise LayoutError(f"There is no {FILE} in {source}.", f"Name the checkpoint of {row.title}.")
    open_net(row, file)
    files.make_folders(folder(row))
    with open(file, "rb") as given:
        files.write_new(folder(row) / FILE, lambda handle: shutil.copyfileobj(given, handle), force=True)


def remove(name: str) -> Path:
    """Move it to the Trash; where it was. Raises what library.throw_away does, NotInstalled."""
    return library.throw_away(resolve(HELPERS[name]))


def prepare(request: Request) -> Request:
    """The request for one of them, its picture opened, with the size of what is made. Raises RequestError."""
    row = HELPERS[request.model]
    if row.family != DEPTH.family:
        return check(request, row)
    width, height = Size.of(demand(request.references[0].pixels))
    return dataclasses.replace(request, width=width, height=height)


def apply(row: ModelSpec, pixels: np.ndarray) -> Generator[Event, None, np.ndarray]:
    """(H, W, 3) uint8 -> its depth map, or the enlarged picture. Raises NotInstalled, ModelError, SampleError."""
    yield Stage("load")
    net = open_net(row)
    with tell_damaged(row):
        if row.family == DEPTH.family:
            from mlx_model.run.depth import find_depth

            return (yield from find_depth(net, pixels))
        from mlx_model.run.upscale import upscale

        return (yield from upscale(net, pixels, row))


def catalogue(here: memory.Machine) -> list[dict[str, Any]]:
    """`facts` of all, as library.catalogue has models."""
    return [facts(row, here) for row in HELPERS.values()]


def facts(row: ModelSpec, here: memory.Machine) -> dict[str, Any]:
    """One of them as a row of library.catalogue, ready for JSON. It is the same at any number of bits."""
    needed = row.download_bytes + WORKS_IN
    same: dict[str, Any] = {
        "disk_bytes": row.download_bytes, "memory_bytes": needed, "streamed_bytes": needed,
        "fits": needed <= here.usable, "runs": needed <= here.usable,
    }  # fmt: skip
    does = dict.fromkeys(("generate", "edit", "mask", "negative"), False)
    return {
        **library.tell_row(row),
        **{name: {str(bits): value for bits in BITS} for name, value in same.items()},
        "family": row.family,
        "does": does | {"pictures": "", "references": 0, "classes": 0, "helps": _say_help(row)},
        "seconds_per_step": None,
        "basis": "predicted",
        "steps": 0,
        "size": [0, 0],
        "installed": [_describe(row)] if is_there(row) else [],
    }


def _say_help(row: ModelSpec) -> str:
    """What it makes, behind the word makes."""
    factor = row.transformer.get("upscale")
    return f"pictures {factor}× as wide and high" if factor else "depth maps of photos"


def _describe(row: ModelSpec) -> dict[str, Any]:
    size = (folder(row) / FILE).stat().st_size
    return {"path": str(folder(row)), "bytes": size, "plan": "32bit", "built_in": False, "problem": ""}
