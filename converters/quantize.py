"""Named plans: how many bits each tensor keeps. Packed matrices are MLX's affine form in groups of 64 (packing.py).

`q4r` and its like rotate: each block of 64 channels of a matrix is mixed before it is packed, which costs nothing in
bytes and gains 2 dB or more where a few weights are far larger than the rest. PackedLinear undoes it.
"""

import re
from typing import NamedTuple

import mlx.core as mx

from mlx_model.errors import RequestError
from mlx_model.spec_parts import BITS

from .packing import ROTATION, PackedArray, Packing

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
