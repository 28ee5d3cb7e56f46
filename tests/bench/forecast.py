"""The forecast of memory against MLX's peak, for a first run and one with a new prompt and new pictures, on a model of
middle size: python -m tests.bench.forecast

Machines of three sizes: all stays loaded, the transformer stays, as little as can be. --bank: with a bank;
--low: weights are read from the disk as they are used. Bar: 0.9 to 1.1 of the peak.
"""

import dataclasses
import gc
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np

from app.base import blas, paths
from mlx_model import fitting, memory
from mlx_model.events import Stage
from mlx_model.files import use_scratch_folder
from mlx_model.nets import flux2, text_qwen3
from mlx_model.request import Reference, Request
from mlx_model.spec_parts import MINI, MINI_TEXT
from mlx_model.store.folder import Facts, open_folder, sha256_of, write_manifest
from mlx_model.store.weights import build, save_component
from tests.bench.table import print_row

TRANSFORMER = flux2.Params(**{**MINI, "hidden_size": 384, "num_heads": 6, "context_in_dim": 1152})
TEXT = text_qwen3.Params(**{**MINI_TEXT, "hidden_size": 384, "intermediate_size": 2560, "num_attention_heads": 12})
COUNT, SIDE = 2, 128


def make_folder(root: Path, bank: bool = False) -> Path:
    """mini with a transformer and a text encoder of middle size, whose weights are drawn, in 32 bits."""
    folder, mini = root / "middle", open_folder(paths.mini())
    folder.mkdir()
    parts = {"transformer": ("flux2", TRANSFORMER), "text_encoder": ("text_qwen3", TEXT)}
    components = {role: _draw(folder, role, *part) for role, part in parts.items()}
    shutil.copytree(paths.mini() / "autoencoder", folder / "autoencoder")
    shutil.copytree(paths.mini() / "tokenizer", folder / "tokenizer")
    part = mini.components["autoencoder"]
    components["autoencoder"] = {
        "family": part.family, "params": part.params, "parameters": part.parameters, "files": part.files
    }  # fmt: skip
    tokenizer: dict[str, Facts] = {
        f"tokenizer/{file.name}": {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in (folder / "tokenizer").iterdir()
    }
    write_manifest(folder, "mini", components, tokenizer, source={}, licence="none", plan="32bit", dtype="float32")
    return folder


def _draw(folder: Path, role: str, family: str, params: object) -> dict:
    from mlx.utils import tree_flatten

    rng = np.random.default_rng(len(role))
    shapes = {name: array.shape for name, array in tree_flatten(build(role, family, params).parameters())}
    draw = lambda shape: mx.array(rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32))  # noqa: E731
    made = {name: mx.ones(shape) if len(shape) == 1 else draw(shape) for name, shape in shapes.items()}
    return save_component(folder, role, family, params, made)


def runs() -> Iterator[Request]:
    """Two, with nothing in common."""
    for number in range(2):
        rng = np.random.default_rng(number)
        pixels = [rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(COUNT)]
        given = tuple(Reference(pixels=one) for one in pixels)
        yield Request("mini", f"a beach {number}", SIDE, SIDE, steps=1, guidance=1.0, references=given)


def measure(folder: Path, total: int, bank: bool, low: bool) -> Iterator[tuple[memory.Forecast, list[dict[str, int]]]]:
    """The forecast, and of each of two runs the peak of each phase in bytes, on a machine of `total` bytes."""
    from mlx_model.run.pipeline import Pipeline

    here = dataclasses.replace(memory.machine(), total=total)
    memory.machine = lambda *_: here
    pipeline, peaks = Pipeline.open(folder, "float32"), []
    pipeline.low_memory = low
    pipeline.spec = dataclasses.replace(pipeline.spec, reference_bank=bank)
    pipeline.folder = dataclasses.replace(pipeline.folder, spec=pipeline.spec)
    mx.set_cache_limit(0)
    gc.collect()
    before = mx.get_active_memory()
    for request in runs():
        found, phase = {}, ""
        mx.reset_peak_memory()
        for event in pipeline.run(request):
            if isinstance(event, Stage):
                found[phase] = mx.get_peak_memory() - before
                phase = event.name
                mx.reset_peak_memory()
        found[phase] = mx.get_peak_memory() - before
        peaks.append({name: count for name, count in found.items() if name})
    needed, _ = fitting.expect(pipeline.folder, request.size, [request.size] * COUNT, 4, low)
    yield needed, peaks


def main() -> None:
    blas.preload()
    bank, low = "--bank" in sys.argv, "--low" in sys.argv
    with use_scratch_folder() as root:
        folder = make_folder(root)
        weights = fitting.weigh(open_folder(folder), 4).whole
        print({role: f"{count / 1e6:.0f} MB" for role, count in weights.items()}, "banked" if bank else "")
        for total in (10**9, 180 * 10**6, 120 * 10**6)[: 1 if low else None]:
            for needed, peaks in measure(folder, total, bank, low):
                print(f"a machine of {total / 1e6:.0f} MB, {sorted(needed.stay)}, streamed {sorted(needed.streamed)}")
                for name, phases, found in zip(("first", "later"), (needed.phases, needed.later), peaks, strict=True):
                    said = ", ".join(
                        f"{phase} {phases[phase].total / 1e6:.0f} / {found[phase] / 1e6:.0f}" for phase in found
                    )
                    print(f"  {name}: forecast / measured MB {said}")
                    told, peak = max(one.total for one in phases.values()) / 1e6, max(found.values()) / 1e6
                    print_row(f"forecast / measured, {total / 1e6:.0f} MB, {name} run", told, peak, (0.9, 1.1), " MB")


if __name__ == "__main__":
    main()
