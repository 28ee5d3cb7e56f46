"""Numbers in 8 and 4 bits: tables of what each code stands for.

Source: the OCP specifications of 8-bit floating point (E4M3 without infinity, E5M2 with) and of microscaling (E2M1).
"""

import mlx.core as mx
import numpy as np

E4M3, E5M2 = "F8_E4M3", "F8_E5M2"  # as safetensors calls them
FOUR_BITS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)


def make_table(kind: str = E4M3) -> np.ndarray:
    """The (256,) float32 numbers of the codes; those that are no finite numbers are NaN."""
    bits, bias = (3, 7) if kind == E4M3 else (2, 15)
    codes = np.arange(256)
    exponents, mantissas = (codes & 127) >> bits, codes & (2**bits - 1)
    normal = np.ldexp(1 + mantissas / 2**bits, exponents - bias)
    values: np.ndarray = np.where(exponents == 0, np.ldexp(mantissas / 2**bits, 1 - bias), normal)
    values[codes & 127 >= (127 if kind == E4M3 else 0x7C)] = np.nan
    return np.asarray(np.where(codes < 128, values, -values), np.float32)


def decode(codes: mx.array, kind: str) -> mx.array:
    """uint8 codes as float32, lazily."""
    return mx.array(make_table(kind))[codes]


def decode_pairs(codes: mx.array) -> mx.array:
    """(rows, n) uint8, the first of two E2M1 numbers in the upper half -> (rows, 2 n) float32."""
    table = mx.array(np.concatenate([FOUR_BITS, -FOUR_BITS]))
    return mx.stack([table[codes >> 4], table[codes & 15]], -1).reshape(codes.shape[0], -1)
