"""The same edit again, in the same process and in a new one: what is computed once more, and the processor time.

    python -m tests.bench.edit_repeat

With the built-in model as it is, and run as a KV model. Bar: no prompt, no picture, no token of a reference is encoded
again, and the pictures are equal to the bit. Peers keep nothing.
"""

import dataclasses
import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np

from mlx_model.files import use_scratch_folder
from tests.bench.table import call, print_row

SIDE, REFERENCES = 256, 2
WAYS = ("tokens", "kept")  # references beside the picture in each step; their keys and values made once


def measure(folder: Path, way: str) -> list[dict]:
    """Of the edit, made twice in this process: what was computed, seconds of the processor, the picture's digest."""
    from app.base import blas, paths

    blas.preload()
    from mlx_model.run.pipeline import Pipeline
    from mlx_model.store.cache import Cache

    pipeline = Pipeline.open(paths.mini(), "float32")
    pipeline.spec = dataclasses.replace(pipeline.spec, reference_bank=way == "kept")
    pipeline.cache = Cache(folder)
    return [_edit(pipeline) for _ in range(2)]


def _edit(pipeline) -> dict:
    before, began = _count(pipeline), time.process_time()
    *_, done = pipeline.run(_ask())
    seconds = time.process_time() - began
    after = _count(pipeline)
    computed = {name: after[name] - before[name] for name in after}
    return computed | {"seconds": seconds, "picture": hashlib.sha256(done.pixels.tobytes()).hexdigest()}


def _ask():
    from mlx_model.request import Reference, Request

    drawn = [np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8) for number in range(REFERENCES)]
    given = tuple(Reference(pixels=one.repeat(SIDE // 8, 0).repeat(SIDE // 8, 1)) for one in drawn)
    return Request("mini", "put them on the beach", SIDE, SIDE, references=given)


def _count(pipeline) -> dict[str, int]:
    tokens = REFERENCES * (SIDE // pipeline.spec.size_multiple) ** 2
    kept = (pipeline.encoded.misses, pipeline.prompts.misses, pipeline.banks.misses * tokens)
    return dict(zip(("pictures", "prompts", "tokens of references"), kept, strict=True))


def compare(way: str, folder: Path) -> None:
    words = ("-m", "tests.bench.edit_repeat", str(folder), way)
    (first, same), (new, _) = (json.loads(call(sys.executable, *words)) for _ in range(2))
    print(f"references as {way}: at first {first}")
    for where, found in (("same process", same), ("new process", new)):
        for name in ("pictures", "prompts", "tokens of references"):
            print_row(f"{way}, {where}: {name} encoded again", found[name], bar=0)
        print_row(f"{way}, {where}: seconds beside the first time", found["seconds"], first["seconds"], unit=" s")
    print_row(f"{way}: pictures that differ", len({one["picture"] for one in (first, same, new)}) - 1, bar=0)


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
        return
    with use_scratch_folder() as root:
        for way in WAYS:
            compare(way, root / way)


if __name__ == "__main__":
    main()
