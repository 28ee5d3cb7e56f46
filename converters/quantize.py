"""Named plans: how many bits each tensor keeps. Packed matrices are MLX's affine form in groups of 64, by least
squares.

`q4r` and its like rotate: each block of 64 channels of a matrix is mixed before it is packed, which costs nothing in
bytes and gains 2 dB or more where a few weights are far larger than the rest. PackedLinear undoes it.
"""

import re
from functools import cached_property
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from mlx_model.errors import RequestError
from mlx_model.spec_parts import BITS

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


GROUP_SIZES = (64, 32)  # the first that divides the row is taken; a row that none divides stays dense


class Form(NamedTuple):
    bits: int
    rotated: bool = False


Plan = tuple[tuple[str, Form], ...]  # (pattern of whole names, form); the first match decides

STATISTICS = r"(.*\.)?bn\..*"
# Small, and every token or every block depends on them: embedders, time, guidance, the last projection.
ENTRY = (
    r"(img_in|time_in|ref_time_in|guidance_in|vector_in|emb_in|x_embedder|t_embedder|y_embedder)\..*"
    r"|final_layer\.(\w+\.)?linear\..*|.*relative_attention_bias\..*"
)
# Larger, and an error in them moves all tokens at once: modulation and the text embedder.
STEERING = r"txt_in\..*|(.*\.)?(\w*modulations?(_img|_txt)?|img_mod|txt_mod|adaLN_modulation)\..*"
# Looked up, not multiplied: more bits cost no time.
TABLES = r"(embed_tokens|shared|(.*\.)?token_embedding|(.*\.)?position_embedding)\..*"


def _make_plan(bits: int, rotated: bool = False) -> Plan:
    steering = Form(16 if bits == 8 else 8)  # always more than the rest has
    kept = ((STATISTICS, Form(32)), (ENTRY, Form(16)), (STEERING, steering), (TABLES, Form(8)))
    return (*kept, (r".*", Form(bits, rotated)))


PLANS: dict[str, Plan] = {
    "32bit": ((r".*", Form(32)),),
    "16bit": ((STATISTICS, Form(32)), (r".*", Form(16))),
    **{f"q{bits}": _make_plan(bits) for bits in (8, 6, 5, 4, 3)},
    **{f"q{bits}r": _make_plan(bits, rotated=True) for bits in (6, 5, 4, 3)},
}
BY_BITS = {bits: f"{bits}bit" if bits >= 16 else f"q{bits}" for bits in (32, *reversed(BITS))}


def choose_plan(bits: int, plan: str | None = None) -> str:
    """The plan for a number of bits, or the one that was named. Raises RequestError."""
    if plan is not None and plan not in PLANS:
        raise RequestError(f"There is no plan {plan!r}.", f"Choose one of: {', '.join(PLANS)}.")
    if bits not in BY_BITS:
        raise RequestError(f"{bits} bits can't be made.", f"Choose one of: {', '.join(map(str, BY_BITS))}.")
    return plan or BY_BITS[bits]


def find_form(name: str, plan: Plan) -> Form:
    return next(form for pattern, form in plan if re.fullmatch(pattern, name))


def encode(name: str, array: mx.array, plan: Plan) -> dict[str, mx.array | PackedArray]:
    """A tensor as the plan stores it, lazily: {name: array}, or the parts of its packed form by their names.

    Matrices named `weight` are packed; norms, convolutions and biases stay at 16 bits.
    """
    form = find_form(name, plan)
    if form.bits >= 16:
        return {name: _cast(array, form.bits)}
    group = next((size for size in GROUP_SIZES if array.ndim == 2 and array.shape[1] % size == 0), None)
    if group is None or not name.endswith(".weight"):
        return {name: _cast(array, 16)}
    rotated = form.rotated and array.shape[1] % ROTATION == 0
    parts = Packing(array, form.bits, group, rotated).list_parts()
    return {name.removesuffix("weight") + part: value for part, value in parts.items()}


def _cast(array: mx.array, bits: int) -> mx.array:
    """float32, or 16 bits: float16 stays as it is, everything else becomes bfloat16."""
    if bits == 32:
        return array.astype(mx.float32)
    return array if array.dtype == mx.float16 else array.astype(mx.bfloat16)
