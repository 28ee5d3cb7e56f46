"""8-bit floating-point checkpoints (F8_E4M3) become plain ones: each weight is looked up in a table of 256 numbers.

BFL's files and ComfyUI's keep one scale per matrix beside it, and a scale for the input, which only matters to products
in 8 bits. Source: the OCP 8-bit floating point specification, E4M3: 1 sign, 4 exponent, 3 mantissa bits, no infinity.
"""

import mlx.core as mx
import numpy as np

from mlx_model.errors import ConvertError
from mlx_model.store.shards import Entry

KIND = "F8_E4M3"
SCALES = ("weight_scale", "scale_weight")  # BFL, ComfyUI
UNUSED = ("input_scale", "scale_input")
MARKER = "scaled_fp8"  # an empty tensor in ComfyUI's files


def make_table() -> np.ndarray:
    """The (256,) float32 numbers of the codes; 0x7f and 0xff are not numbers."""
    codes = np.arange(256)
    exponents, mantissas = codes >> 3 & 15, codes & 7
    normal = np.ldexp(1 + mantissas / 8, exponents - 7)
    values = np.where(exponents == 0, np.ldexp(mantissas / 8, -6), normal)
    values[codes & 127 == 127] = np.nan
    return np.where(codes < 128, values, -values).astype(np.float32)


def decode(arrays: dict[str, mx.array], entries: dict[str, Entry]) -> dict[str, mx.array]:
    """The same tensors, lazily, with 8-bit ones as float32 and without scales. Raises ConvertError."""
    arrays = {name: array for name, array in arrays.items() if name.rpartition(".")[2] not in (*UNUSED, MARKER)}
    lookup = mx.array(make_table())
    for name in [name for name in arrays if entries[name][0] == KIND]:
        values = lookup[arrays[name]]
        scale = _take_scale(name, arrays)
        arrays[name] = values if scale is None else values * scale
    return arrays


def _take_scale(name: str, arrays: dict[str, mx.array]) -> mx.array | None:
    """Takes the scale of a matrix out of `arrays`: one number, or one for each row."""
    stem = name.removesuffix("weight")
    found = [stem + part for part in SCALES if stem + part in arrays]
    if not found:
        return None
    scale, shape = arrays.pop(found[0]), arrays[name].shape
    if scale.size == 1:
        return scale.astype(mx.float32).reshape(())
    if scale.size == shape[0] and scale.shape in ((shape[0],), (shape[0], 1)):
        return scale.astype(mx.float32).reshape(-1, *[1] * (len(shape) - 1))
    raise ConvertError(f"{found[0]} has the shape {tuple(scale.shape)}: scales of blocks can't be converted.")
