"""Packs a matrix into MLX's affine form by least squares: codes, and per group of a row a scale and a bias.

mx.quantize lets the smallest and the largest weight of a group decide, and picks codes before scale and bias are
rounded to 16 bits. Here both are fitted to all weights of the group, from several starts, and codes are picked last:
at equal bytes +0.7 dB at 4 bits, +1.1 dB at 3, +2.2 dB at 8, where rounded scales hurt most (tests/bench/codec_snr.py).
mx.quantize's own answer is among the starts, so no group gets worse.
"""

from functools import cached_property

import mlx.core as mx
import numpy as np

PARTS = ("weight", "scales", "biases")
CHUNK = 2**20  # weights that are fitted at once; their float32 temporaries stay in the caches
ROTATION = 64  # channels that are mixed with each other; 64 is the best of 32 to 1024 on four distributions
# By bits: widths of the first guess, as parts of the group's range, and rounds of fitting from each of them.
STARTS = {
    2: ((0.6, 0.75, 1.0), 4),
    3: ((0.75, 0.85, 1.0), 4),
    4: ((0.9, 1.0), 3),
    5: ((1.0,), 4),
    6: ((1.0,), 3),
    8: ((1.0,), 2),
}

Fit = tuple[mx.array, mx.array, mx.array, mx.array]  # per group: scale, bias, codes, squared error


class Packing:
    """A matrix (out, in) that is packed when a part of it is first asked for, and not held before or after."""

    def __init__(self, matrix: mx.array, bits: int, group_size: int, rotated: bool = False):
        self.matrix, self.bits, self.group_size, self.rotated = matrix, bits, group_size, rotated
        self.dtype = matrix.dtype if matrix.dtype == mx.float16 else mx.bfloat16  # of scales and biases

    def list_parts(self) -> "dict[str, PackedArray | mx.array]":
        """Weight, scales and biases, and the rotation where there is one: what PackedLinear holds."""
        out, width = self.matrix.shape
        groups = (out, width // self.group_size)
        shapes = ((out, width * self.bits // 32), mx.uint32), (groups, self.dtype), (groups, self.dtype)
        forms = zip(PARTS, shapes, strict=True)
        parts: dict[str, PackedArray | mx.array] = {part: PackedArray(self, part, *form) for part, form in forms}
        return parts | ({"rotation": make_signs().astype(self.dtype)} if self.rotated else {})

    @cached_property
    def _made(self) -> dict[str, mx.array]:
        """What of the parts is not taken yet."""
        made = pack(self.matrix, self.bits, self.group_size, self.rotated, self.dtype)
        del self.matrix
        return dict(zip(PARTS, made, strict=True))

    def take(self, part: str) -> mx.array:
        return self._made.pop(part)


class PackedArray:
    """One array of a Packing, with the facts of an mx.array; calling it makes the array. Can be called once."""

    def __init__(self, packing: Packing, part: str, shape: tuple[int, ...], dtype: mx.Dtype):
        self.packing, self.part, self.shape, self.dtype = packing, part, shape, dtype

    @property
    def nbytes(self) -> int:
        return self.shape[0] * self.shape[1] * self.dtype.size

    def __call__(self) -> mx.array:
        return self.packing.take(self.part)


def make_signs() -> mx.array:
    """The (ROTATION,) signs that come before the Hadamard transform: without them a constant row would all fall on
    one channel of each block."""
    return mx.array(np.random.RandomState(ROTATION).choice([-1.0, 1.0], ROTATION).astype(np.float32))


def rotate(matrix: mx.array) -> mx.array:
    """Channels of each block of ROTATION are mixed by an orthogonal matrix, which spreads outliers over the block."""
    blocks = matrix.reshape(matrix.shape[0], -1, ROTATION) * make_signs()
    return mx.hadamard_transform(blocks).reshape(matrix.shape)


def pack(matrix: mx.array, bits: int, group_size: int, rotated: bool, dtype: mx.Dtype) -> tuple[mx.array, ...]:
    """(out, in) -> weight (out, in * bits / 32) uint32, scales and biases (out, in / group_size), evaluated.

    The scale of a group with NaN or infinity in it is NaN, which the writer refuses (mlx_model.shards).
    """
    rows = max(1, CHUNK // matrix.shape[1])
    chunks = []
    for start in range(0, matrix.shape[0], rows):
        chunk = matrix[start : start + rows].astype(mx.float32)
        chunks.append(_pack_chunk(rotate(chunk) if rotated else chunk, bits, group_size, dtype))
        mx.eval(chunks[-1])  # chunk by chunk: the temporaries of one, not of all
    return tuple(mx.concatenate(list(part)) for part in zip(*chunks, strict=True))


def _pack_chunk(chunk: mx.array, bits: int, group_size: int, dtype: mx.Dtype) -> tuple[mx.array, ...]:
    scale, bias, codes, _ = fit(chunk.reshape(chunk.shape[0], -1, group_size), bits, dtype)
    # mx.quantize and the fit skip NaN: without this a broken weight would come out as an ordinary number.
    scale = mx.where(mx.isfinite(chunk).reshape(codes.shape).all(-1, keepdims=True), scale, mx.nan)
    weight = pack_bits(codes.reshape(chunk.shape), bits)
    return weight, scale[..., 0].astype(dtype), bias[..., 0].astype(dtype)


def fit(groups: mx.array, bits: int, dtype: mx.Dtype) -> Fit:
    """The best of the fits from all starts, for each group (..., g) float32 on its own."""
    parts, rounds = STARTS[bits]
    best = _fit_from(groups, bits, dtype, *_start_plainly(groups, bits), rounds=0)
    for part in parts:
        other = _fit_from(groups, bits, dtype, *_start_within(groups, bits, part), rounds)
        better = other[3] < best[3]
        scale, bias, codes, error = (mx.where(better, new, old) for new, old in zip(other, best, strict=True))
        best = scale, bias, codes, error
    return best


def _start_plainly(groups: mx.array, bits: int) -> tuple[mx.array, mx.array]:
    _, scale, bias = mx.quantize(groups.reshape(groups.shape[0], -1), groups.shape[-1], bits)
    return _replace_zero(scale[..., None]), bias[..., None]


def _start_within(groups: mx.array, bits: int, part: float) -> tuple[mx.array, mx.array]:
    """The middle `part` of the range of each group."""
    low, high = groups.min(-1, keepdims=True), groups.max(-1, keepdims=True)
    scale = _replace_zero((high - low) * part / (2**bits - 1))
    return scale, (low + high) / 2 - (high - low) * part / 2


def _fit_from(groups: mx.array, bits: int, dtype: mx.Dtype, scale: mx.array, bias: mx.array, rounds: int) -> Fit:
    total = groups.sum(-1, keepdims=True)
    for _ in range(rounds):
        scale, bias = _least_squares(groups, total, _pick_codes(groups, scale, bias, bits), scale)
    scale, bias = (value.astype(dtype).astype(mx.float32) for value in (scale, bias))
    scale = _replace_zero(scale)
    codes = _pick_codes(groups, scale, bias, bits)
    return scale, bias, codes, mx.square(groups - (scale * codes + bias)).sum(-1, keepdims=True)


def _replace_zero(scale: mx.array) -> mx.array:
    return mx.where(scale == 0, 1.0, scale)  # a group of equal weights: all codes 0, the bias says it all


def _pick_codes(groups: mx.array, scale: mx.array, bias: mx.array, bits: int) -> mx.array:
    return mx.clip(mx.round((groups - bias) * (1 / scale)), 0, 2**bits - 1)


def _least_squares(groups: mx.array, total: mx.array, codes: mx.array, scale: mx.array) -> tuple[mx.array, mx.array]:
    """Scale and bias that bring scale * codes + bias closest to the groups; the old scale where all codes are equal."""
    size = groups.shape[-1]
    first, second = codes.sum(-1, keepdims=True), mx.square(codes).sum(-1, keepdims=True)
    spread = size * second - first * first
    slope = (size * (groups * codes).sum(-1, keepdims=True) - first * total) / mx.maximum(spread, 1)
    scale = _replace_zero(mx.where(spread > 0, slope, scale))
    return scale, (total - scale * first) / size


def pack_bits(codes: mx.array, bits: int) -> mx.array:
    """Whole numbers (rows, n) below 2^bits -> (rows, n * bits / 32) uint32: one little-endian stream of bits a row."""
    eights = codes.astype(mx.uint64).reshape(-1, 8) << mx.arange(0, 8 * bits, bits, dtype=mx.uint64)
    stream = eights.sum(-1, keepdims=True).view(mx.uint8)[:, :bits]  # eight codes are `bits` bytes
    return stream.reshape(codes.shape[0], -1).view(mx.uint32)
