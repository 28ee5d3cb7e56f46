"""Plans decide bits by name; packing stays within its error."""

import mlx.core as mx
import pytest

from converters.quantize import BY_BITS, PLANS, bits_of, encode, plan_name
from mlx_model.errors import RequestError


@pytest.mark.parametrize("bits", [8, 6, 5, 4])
def test_sensitive_layers_keep_16_bits(bits):
    plan = PLANS[BY_BITS[bits]]
    kept = ("img_in", "txt_in", "time_in.in_layer", "guidance_in.out_layer", "double_stream_modulation_img.lin")
    for name in (*kept, "single_stream_modulation.lin", "final_layer.linear", "final_layer.adaLN_modulation.1"):
        assert bits_of(f"{name}.weight", plan) == 16
    assert bits_of("double_blocks.0.img_attn.qkv.weight", plan) == bits
    assert bits_of("embed_tokens.weight", plan) == 8
    assert bits_of("bn.running_mean", plan) == 32


@pytest.mark.parametrize(("bits", "error"), [(8, 0.01), (6, 0.03), (5, 0.06), (4, 0.12)])
def test_packing_error(bits, error):
    weight = mx.random.normal((64, 256), key=mx.random.key(0))
    made = encode("x.weight", weight, PLANS[BY_BITS[bits]])
    assert list(made) == ["x.weight", "x.scales", "x.biases"]
    back = mx.dequantize(*made.values(), group_size=64, bits=bits).astype(mx.float32)
    assert mx.linalg.norm(back - weight) / mx.linalg.norm(weight) < error


@pytest.mark.parametrize(
    ("shape", "group"), [((4, 128), 64), ((4, 96), 32), ((4, 100), None), ((4,), None), ((4, 3, 3, 64), None)]
)
def test_what_is_packed(shape, group):
    made = encode("x.weight", mx.zeros(shape), PLANS["q8"])
    assert (len(made) == 3) == (group is not None)
    if group:
        assert made["x.scales"].shape[-1] == shape[-1] // group
    else:
        assert made["x.weight"].dtype == mx.bfloat16


@pytest.mark.parametrize(("dtype", "plan", "expected"), [
    (mx.float16, "16bit", mx.float16), (mx.float32, "16bit", mx.bfloat16), (mx.bfloat16, "16bit", mx.bfloat16),
    (mx.float16, "32bit", mx.float32), (mx.float16, "q4", mx.float16),
])  # fmt: skip
def test_dtypes(dtype, plan, expected):
    made = encode("img_in.weight", mx.zeros((4, 64), dtype), PLANS[plan])
    assert made["img_in.weight"].dtype == expected


def test_names():
    assert plan_name(16) == "16bit"
    assert plan_name(16, "q5") == "q5"
    with pytest.raises(RequestError, match="7 bits"):
        plan_name(7)
    with pytest.raises(RequestError, match="nice"):
        plan_name(8, "nice")
