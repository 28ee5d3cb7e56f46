"""Named plans: how many bits each tensor keeps. Packed tensors are MLX's affine form, group of 64."""

import re

import mlx.core as mx

from mlx_model.errors import RequestError

GROUP_SIZES = (64, 32)  # the first that divides the row is taken; a row that none divides stays dense
# Small, and every block depends on them: embedders, time, modulation, the last projection.
SENSITIVE = r"(img_in|txt_in|time_in|guidance_in|double_stream_modulation_\w+|single_stream_modulation|final_layer)\..*"
STATISTICS = r"(.*\.)?bn\..*"

Plan = tuple[tuple[str, int], ...]  # (pattern of whole names, bits); the first match decides


def _packed(bits: int) -> Plan:
    # 8 bits for the token table: it is only looked up, so more bits cost no time.
    return ((STATISTICS, 32), (SENSITIVE, 16), (r"embed_tokens\..*", 8), (r".*", bits))


PLANS: dict[str, Plan] = {
    "32bit": ((r".*", 32),),
    "16bit": ((STATISTICS, 32), (r".*", 16)),
    **{f"q{bits}": _packed(bits) for bits in (8, 6, 5, 4)},
}
BY_BITS = {32: "32bit", 16: "16bit", 8: "q8", 6: "q6", 5: "q5", 4: "q4"}


def plan_name(bits: int, plan: str | None = None) -> str:
    """The plan for a number of bits, or the one that was named. Raises RequestError."""
    if plan is not None and plan not in PLANS:
        raise RequestError(f"There is no plan {plan!r}.", f"Choose one of: {', '.join(PLANS)}.")
    if bits not in BY_BITS:
        raise RequestError(f"{bits} bits can't be made.", f"Choose one of: {', '.join(map(str, BY_BITS))}.")
    return plan or BY_BITS[bits]


def bits_of(name: str, plan: Plan) -> int:
    return next(bits for pattern, bits in plan if re.fullmatch(pattern, name))


def encode(name: str, array: mx.array, plan: Plan) -> dict[str, mx.array]:
    """A tensor as the plan stores it, lazily: {name: array}, or its weight, scales and biases where it is packed.

    Matrices named `weight` are packed; norms, convolutions and biases stay at 16 bits.
    """
    bits = bits_of(name, plan)
    if bits >= 16:
        return {name: _dense(array, bits)}
    dense = _dense(array, 16)
    group = next((size for size in GROUP_SIZES if array.ndim == 2 and array.shape[1] % size == 0), None)
    if group is None or not name.endswith(".weight"):
        return {name: dense}
    stem = name.removesuffix("weight")
    packed = mx.quantize(dense, group_size=group, bits=bits)
    return {stem + part: values for part, values in zip(("weight", "scales", "biases"), packed, strict=True)}


def _dense(array: mx.array, bits: int) -> mx.array:
    """float32, or 16 bits: float16 stays as it is, everything else becomes bfloat16."""
    if bits == 32:
        return array.astype(mx.float32)
    return array if array.dtype == mx.float16 else array.astype(mx.bfloat16)
