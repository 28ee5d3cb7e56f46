"""Signal to noise of packed weights at equal bytes, ours against mx.quantize: python -m tests.bench.codec_snr

With a folder, also the matrices in its .safetensors and .pth files: python -m tests.bench.codec_snr FOLDER ...
Weights are rounded to bfloat16 first, as checkpoints are published, so that both sides get the same; scales and biases
are bfloat16, groups of 64. Prints dB, and seconds per 100 million weights. mini's matrices were packed at 8 bits
before: at 8 bits its row says little.
"""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    from app.base import blas

    blas.preload()

import mlx.core as mx
import numpy as np

from converters import quantize
from converters.formats import pickle_free
from tests.bench.table import print_row

ROOT = Path(__file__).resolve().parents[2]
BITS = (3, 4, 5, 6, 8)
FOLDERS = (ROOT / "assets" / "mini" / "transformer", ROOT.parent / "shared" / "weights" / "taef2")


def _made(draw):
    def make(rows: int, width: int) -> mx.array:
        values = draw(np.random.RandomState(0), (rows, width))
        return published(mx.array((0.02 * values).astype(np.float32)))

    return make


def published(matrix: mx.array) -> mx.array:
    """float32 numbers that bfloat16 has."""
    return matrix.astype(mx.bfloat16).astype(mx.float32)


def _outliers(random, shape):
    values = random.standard_normal(shape)
    return np.where(random.random_sample(shape) < 0.01, 10 * values, values)


DISTRIBUTIONS = {
    "Gaussian": _made(lambda random, shape: random.standard_normal(shape)),
    "Laplace": _made(lambda random, shape: random.laplace(size=shape)),
    "t3": _made(lambda random, shape: random.standard_t(3, size=shape)),
    "1 % outliers": _made(_outliers),
}


def snr(exact: mx.array, other: mx.array) -> float:
    """dB."""
    exact, other = (np.array(array.astype(mx.float32), np.float64) for array in (exact, other))
    return 10 * math.log10(np.square(exact).sum() / np.square(exact - other).sum())


def plain_snr(matrix: mx.array, bits: int, group_size: int = 64) -> float:
    """Of mx.quantize, as everybody stores it: bfloat16 weights in, bfloat16 scales out."""
    parts = mx.quantize(matrix.astype(mx.bfloat16), group_size, bits)
    return snr(matrix, unpacked(parts, bits, group_size))


def unpacked(parts, bits: int, group_size: int, rotated: bool = False) -> mx.array:
    weight, *groups = parts
    matrix = mx.dequantize(weight, *(group.astype(mx.float32) for group in groups), group_size, bits)
    if not rotated:
        return matrix
    blocks = mx.hadamard_transform(matrix.reshape(matrix.shape[0], -1, quantize.ROTATION))
    return (blocks * quantize.make_signs()).reshape(matrix.shape)


def trained(folder: Path) -> Iterator[mx.array]:
    """The matrices and convolutions of a folder whose rows are multiples of 64 wide; packed ones unpacked."""
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".safetensors":
            arrays = _dense(mx.load(str(file)))
        else:
            arrays = [s.array() for s in pickle_free.read_tensors(file).values()] if file.suffix == ".pth" else []
        matrices = [array.reshape(array.shape[0], -1).astype(mx.float32) for array in arrays if array.ndim in (2, 4)]
        yield from (matrix for matrix in matrices if matrix.shape[1] % quantize.ROTATION == 0)


def _dense(arrays: dict[str, mx.array]) -> Iterator[mx.array]:
    for name, array in arrays.items():
        scales, biases = (arrays.get(name.removesuffix("weight") + part) for part in ("scales", "biases"))
        if scales is None:
            yield array
        elif array.dtype == mx.uint32:
            bits = array.shape[1] // 2 // scales.shape[1]  # groups of 64
            yield mx.dequantize(array, scales, biases, 64, bits)


def table(name: str, matrices: list[mx.array]) -> None:
    width = quantize.ROTATION
    joined = published(mx.concatenate([matrix.reshape(-1, width) for matrix in matrices]))
    print(f"{name} ({joined.size:,} weights)")
    for bits in BITS:
        plain = plain_snr(joined, bits)
        row, best = [f"  {bits} bits  mx.quantize {plain:6.2f} dB"], 0.0
        for rotated, what in ((False, "fitted"), (True, "fitted and rotated")):
            start = time.perf_counter()
            parts = quantize.pack(joined, bits, 64, rotated, mx.bfloat16)
            seconds = (time.perf_counter() - start) / joined.size * 1e8
            reached = snr(joined, unpacked(parts, bits, 64, rotated))
            best = max(best, reached)
            row.append(f"{what} {reached - plain:+5.2f} ({seconds:.1f} s)")
        print("  ".join(row))
        print_row(f"{name} at {bits} bits, dB beside mx.quantize's", best, plain, (1.0, math.inf), " dB")


def main() -> None:
    for name, make in DISTRIBUTIONS.items():
        table(name, [make(4096, 1024)])
    for folder in [Path(argument) for argument in sys.argv[1:]] or FOLDERS:
        matrices = list(trained(folder)) if folder.is_dir() else []
        if matrices:
            table(f"{folder.parent.name}/{folder.name}", matrices)


if __name__ == "__main__":
    main()
