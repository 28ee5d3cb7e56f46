"""One run, for the command line and the worker alike: open the model, say whether it fits, sample, save."""

import contextlib
import dataclasses
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlx_model import files
from mlx_model.events import Done, Event, Note, Preview
from mlx_model.geometry import Size
from mlx_model.request import Lora, Request, demand
from mlx_model.specs import ModelSpec

from ..base import blas, paths
from ..pictures import images, metadata

if TYPE_CHECKING:
    from mlx_model.memory import Forecast
    from mlx_model.run.pipeline import Pipeline
    from mlx_model.store.cache import Cache
    from mlx_model.store.folder import Folder

CAFFEINATE = "/usr/bin/caffeinate"
CACHE = 2**30  # bytes of freed buffers that MLX may keep for reuse: the forecast of memory does not count them


@dataclass(frozen=True)
class Output:
    """Where the pictures of a run go. Without `force` a name that is taken gets a number."""

    picture: Path
    previews: Path | None = None  # folder
    latents: Path | None = None
    preview_time: float = math.inf  # see Pipeline.run; inf is a picture after every step
    cache: bool = True  # whether what is computed may be kept on the disk, where the settings allow it too
    metadata: bool = True
    paths: bool = True  # whether the request in the picture may say where this machine keeps what
    force: bool = False
    low_memory: bool = False  # whether weights are read from the disk as they are used, also where the model fits
    given: tuple[str, ...] = ()  # files that this run was given, none of which it overwrites


def open_pipeline(folder: Path, dtype: str | None) -> "Pipeline":
    """The pipeline, with a fast BLAS where one is installed: that must be loaded before mlx."""
    blas.preload()
    blas.keep_freed()
    import mlx.core as mx

    from mlx_model.run.pipeline import Pipeline

    mx.set_cache_limit(CACHE)
    pipeline = Pipeline.open(folder, dtype)
    if pipeline.folder.packages and sys.platform == "darwin":
        from converters.coreml import open_decoder

        pipeline.draw_beside = open_decoder(pipeline.folder)
    return pipeline


def is_launched() -> bool:
    """Whether mlx.launch has started this process: it tells each its rank, whatever carries their words."""
    return "MLX_RANK" in os.environ


def load_mlx() -> None:
    """Load MLX now rather than with the first picture."""
    blas.preload()
    import mlx.core  # noqa: F401


def clear_cache() -> None:
    """Give memory that is held for reuse back to the system."""
    import mlx.core as mx

    mx.clear_cache()
    blas.give_back()


def require_memory(folder: "Folder", request: Request, low: bool = False, machines: int = 1) -> None:
    """require_room for a checked and loaded request. What is enlarged needs the room of one tile."""
    if request.enlarge:
        from mlx_model import enlarging

        own = Size(*(side // request.enlarge for side in request.size))
        if enlarging.find_limit(folder.spec, own):
            return
        size = enlarging.plan_tiles(request.size, folder.spec).size
        sizes = [size, own][: 1 + enlarging.sees_whole(folder.spec)]
        require_room(folder, size, sizes, request.dtype, request.loras, low)
        return
    sizes = [Size.of(demand(reference.pixels)) for reference in request.references]
    given = request.dtype, request.loras, low, request.reference_size, request.step_cache, machines
    require_room(folder, request.size, sizes, *given)


def require_room(
    folder: "Folder",
    size: Size,
    references: Sequence[Size] = (),
    dtype: str | None = None,
    loras: Sequence[Lora] = (),
    low: bool = False,
    seen_at: int | None = None,
    step_cache: float | None = None,
    machines: int = 1,
) -> "Forecast":
    """What a run needs of this machine's memory; `low`: with weights read from the disk, also where the model fits;
    `seen_at` and `step_cache`: as Request.reference_size and step_cache; `machines`: how many share the transformer.

    Raises WillNotFit, naming what would, where this machine can't hold it; LayoutError for a file that is no LoRA.
    """
    from mlx_model import fitting, memory
    from mlx_model.store.counting import count_adapters, count_step_cache

    here = memory.machine()
    number_bytes = 4 if dtype == "float32" else here.number_bytes
    beside = count_adapters(folder, loras, number_bytes)
    beside += count_step_cache(folder.spec, size, step_cache, number_bytes)
    weights = fitting.weigh(folder, number_bytes).add(beside)
    weights = weights.share(machines) if machines > 1 else weights
    spec, low = folder.spec.limit_references(seen_at), low or _is_set("low_memory")
    return fitting.require(fitting.Wanted(spec, size, references, weights, low), here)


def run_and_save(
    pipeline: "Pipeline", request: Request, output: Output, ahead: Callable[[], Iterable[Request]] = tuple
) -> Generator[Event, None, None]:
    """The events of a run with pixels written to files and the files' paths put in; closing it cancels the run.

    `ahead`: see Pipeline.run.
    """
    previews = output.preview_time if output.previews else 0
    pipeline.cache = _open_cache() if output.cache else None
    pipeline.low_memory = output.low_memory or _is_set("low_memory")
    with closing(_start(pipeline, request, previews, ahead)) as events:
        for event in events:
            if isinstance(event, Preview) and event.pixels is not None and output.previews:
                name = f"{output.picture.stem}-{request.seed}-step-{event.step:02}.png"
                path = _write(event.pixels, output.previews / name, None, request, output)
                event = dataclasses.replace(event, path=str(path))
            elif isinstance(event, Done):
                if output.latents:
                    yield Note(f"The latents are in {_save_latents(event, output.latents, output)}.")
                event = _save(event, request, output)
            yield event


def help_and_save(request: Request, output: Output) -> Generator[Event, None, None]:
    """The events of a network that draws nothing of its own, by a request that helpers.prepare has checked."""
    from mlx_model.helpers import HELPERS

    from ..models import helpers

    began = time.perf_counter()
    pixels = yield from helpers.apply(HELPERS[request.model], demand(request.references[0].pixels))
    yield _save(Done(time.perf_counter() - began, seed=request.seed, pixels=pixels), request, output)


def _start(
    pipeline: "Pipeline", request: Request, previews: float, ahead: Callable[[], Iterable[Request]]
) -> Generator[Event, None, None]:
    if not request.enlarge:
        return pipeline.run(request, previews, ahead)
    from mlx_model.run.enlarge import enlarge

    return enlarge(pipeline, request, previews > 0)


def _open_cache() -> "Cache | None":
    from mlx_model.store.cache import Cache

    return Cache(paths.cache()) if _is_set("cache") else None


def choose_reference_size(spec: ModelSpec) -> int | None:
    """Request.reference_size by the person's choice: all that the model's makers use, or None."""
    return spec.reference_most if spec.takes_reference_size and _is_set("full_references") else None


def _is_set(choice: str) -> bool:
    """One of the person's choices: "cache", "low_memory" or "full_references"."""
    if not paths.settings().exists():  # as before the window was ever open
        return choice == "cache"
    from ..base import settings

    return bool(getattr(settings.load(), choice))


def _write(pixels: np.ndarray, path: Path, text: str | None, request: Request, output: Output) -> Path:
    """`text` is the request that the file tells."""
    return images.save_picture(pixels, path, text, output.force, bool(request.references), output.given)


def _save_latents(done: Done, path: Path, output: Output) -> Path:
    """Before the picture: a picture means a finished run."""
    from safetensors.numpy import save

    data = save({"latents": demand(done.latents)})
    return files.write_new(path, lambda handle: handle.write(data), output.force, given=output.given)


def _save(done: Done, request: Request, output: Output) -> Done:
    """Write the picture; the event with its path and seed."""
    text = request.to_json() if output.metadata else None
    if text and not output.paths:
        text = metadata.hide_paths(text)
    path = _write(demand(done.pixels), output.picture, text, request, output)
    return dataclasses.replace(done, path=str(path), seed=request.seed)


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keeps a Mac from going to sleep meanwhile. The helper ends with this process too, however that ends."""
    if sys.platform != "darwin":
        yield
        return
    with subprocess.Popen([CAFFEINATE, "-i", "-w", str(os.getpid())], stdin=subprocess.DEVNULL) as helper:
        try:
            yield
        finally:
            helper.terminate()
