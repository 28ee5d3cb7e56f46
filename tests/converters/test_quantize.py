"""Plans decide bits by name; packing at equal bytes is closer than mx.quantize; rotated layers compute the same."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from converters import quantize
from converters.convert import convert
from converters.quantize import BY_BITS, PLANS, Form, choose_plan, encode, find_form
from mlx_model.errors import LayoutError, RequestError
from mlx_model.store import weights
from mlx_model.store.folder import open_folder
from mlx_model.store.headers import header
from tests.bench.codec_snr import DISTRIBUTIONS, plain_snr, snr, unpacked
from tests.converters.checkpoints import save, single_file


@pytest.mark.parametrize("plan", [name for name in PLANS if name.startswith("q")])
def test_what_steers_the_network_keeps_more_bits(plan):
    def bits(name):
        return find_form(f"{name}.weight", PLANS[plan]).bits

    entry = ("img_in", "time_in.in_layer", "guidance_in.out_layer", "vector_in.in_layer", "final_layer.linear")
    assert {bits(name) for name in (*entry, "final_layer.image.linear", "emb_in.image_cond", "ref_time_in.x")} == {16}
    flux2 = ("double_stream_modulation_img.lin", "single_stream_modulation.lin", "final_layer.adaLN_modulation.1")
    flux1 = ("double_blocks.3.img_mod.lin", "double_blocks.3.txt_mod.lin", "single_blocks.9.modulation.lin")
    flux3 = ("early_stream_modulations.txt.lin", "single_stream_modulations.image.lin")
    steering = {bits(name) for name in (*flux1, *flux2, *flux3, "txt_in")}
    assert steering == ({16} if plan == "q8" else {8})
    assert min(steering) > int(plan[1])
    assert bits("embed_tokens") == 8
    blocks = ("double_blocks.0.img_attn.qkv", "single_blocks.0.linear1", "single_blocks.0.mlp_in", "layers.3.mlp.x")
    assert {find_form(f"{name}.weight", PLANS[plan]) for name in blocks} == {Form(int(plan[1]), plan.endswith("r"))}
    assert bits("bn.running_mean") == 32


# Measured on 4 million weights: 1.15, 0.76, 0.58, 0.59 and 2.28 dB. Plain min-max gains 0.
@pytest.mark.parametrize(("bits", "gain"), [(3, 1.1), (4, 0.7), (5, 0.5), (6, 0.5), (8, 2.0)])
@pytest.mark.parametrize("group", [64, 32])
def test_closer_than_min_and_max(bits, gain, group):
    matrix = DISTRIBUTIONS["Gaussian"](512, 512)
    made = quantize.pack(matrix, bits, group, False, mx.bfloat16)
    assert made[0].nbytes + made[1].nbytes + made[2].nbytes == sum(p.nbytes for p in mx.quantize(
        matrix.astype(mx.bfloat16), group, bits
    ))  # fmt: skip
    better = snr(matrix, unpacked(made, bits, group)) - plain_snr(matrix, bits, group)
    assert better >= gain - (0.2 if group == 32 else 0)


@pytest.mark.parametrize(("name", "gain"), [("Laplace", 2.4), ("t3", 3.5), ("1 % outliers", 4.5)])
def test_rotation_helps_where_a_few_weights_are_large(name, gain):
    matrix = DISTRIBUTIONS[name](512, 512)
    made = quantize.pack(matrix, 4, 64, True, mx.bfloat16)
    assert snr(matrix, unpacked(made, 4, 64, rotated=True)) - plain_snr(matrix, 4) >= gain


ODD = {
    "t1": lambda random: random.standard_t(1, size=(256, 512)),
    "ternary": lambda random: random.randint(-1, 2, (256, 512)),
    "sparse": lambda random: random.standard_normal((256, 512)) * (random.random_sample((256, 512)) < 0.05),
    "shifted": lambda random: 5 + 0.1 * random.standard_normal((256, 512)),
    "packed before": lambda random: random.randint(0, 16, (256, 512)) * 0.125 - 1,
}


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("kind", ODD)
def test_no_group_gets_worse(kind, bits):
    """Than mx.quantize with scales of the same bytes makes it, each group on its own, whatever its shape."""
    matrix = mx.array(ODD[kind](np.random.RandomState(0)).astype(np.float32)).astype(mx.bfloat16)
    plain = mx.quantize(matrix, 64, bits)
    ours, theirs = (
        np.square(np.array(matrix.astype(mx.float32) - unpacked(parts, bits, 64))).reshape(-1, 64).sum(-1)
        for parts in (quantize.pack(matrix, bits, 64, False, mx.bfloat16), plain)
    )
    assert np.all(ours <= 1.01 * theirs + 1e-9)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_bits_lie_as_mlx_lays_them(bits):
    codes = np.random.RandomState(bits).randint(0, 2**bits, (3, 96))
    packed = quantize.pack_bits(mx.array(codes), bits)
    one, zero = mx.ones((3, 3)), mx.zeros((3, 3))
    assert np.array_equal(np.array(mx.dequantize(packed, one, zero, 32, bits)), codes)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-30])
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_equal_weights(value, dtype):
    matrix = mx.full((2, 64), value)
    back = unpacked(quantize.pack(matrix, 4, 64, False, dtype), 4, 64)
    assert mx.allclose(back, matrix, rtol=1e-2, atol=1e-6)


def test_one_large_weight():
    matrix = mx.zeros((1, 64))
    matrix[0, 5] = 7.0
    back = unpacked(quantize.pack(matrix, 4, 64, False, mx.bfloat16), 4, 64)
    assert mx.allclose(back, matrix, atol=1e-2)


def test_chunks_change_nothing(monkeypatch):
    matrix = DISTRIBUTIONS["Laplace"](70, 256)
    whole = quantize.pack(matrix, 4, 64, True, mx.bfloat16)
    monkeypatch.setattr(quantize, "CHUNK", 3000)
    assert all(
        mx.array_equal(a, b) for a, b in zip(whole, quantize.pack(matrix, 4, 64, True, mx.bfloat16), strict=True)
    )


@pytest.mark.parametrize(("shape", "group"), [
    ((4, 128), 64), ((4, 96), 32), ((4, 100), None), ((4,), None), ((4, 3, 3, 64), None),
])  # fmt: skip
@pytest.mark.parametrize("plan", ["q8", "q4r"])
def test_what_is_packed(shape, group, plan):
    made = encode("x.weight", mx.zeros(shape), PLANS[plan])
    rotated = plan == "q4r" and group == 64
    assert len(made) == (4 if rotated else 3 if group else 1)
    if group:
        assert made["x.scales"].shape[-1] == shape[-1] // group
        assert all((made[n]().shape, made[n].nbytes) == (made[n].shape, a) for n, a in sizes(made, "x").items())
    else:
        assert made["x.weight"].dtype == mx.bfloat16


def sizes(made, name):
    return {f"{name}.{part}": made[f"{name}.{part}"].nbytes for part in quantize.PARTS}


@pytest.mark.parametrize(("dtype", "plan", "expected"), [
    (mx.float16, "16bit", mx.float16), (mx.float32, "16bit", mx.bfloat16), (mx.bfloat16, "16bit", mx.bfloat16),
    (mx.float16, "32bit", mx.float32), (mx.float16, "q4", mx.float16),
])  # fmt: skip
def test_dtypes(dtype, plan, expected):
    made = encode("img_in.weight", mx.zeros((4, 64), dtype), PLANS[plan])
    assert made["img_in.weight"].dtype == expected
    if plan == "q4":
        assert encode("x.weight", mx.zeros((4, 64), dtype), PLANS[plan])["x.scales"]().dtype == expected


def rotated_layer(tmp_path, matrix, bias=None):
    """A PackedLinear with what q8r would store, read back through a file."""
    made = encode("0.weight", matrix, ((r".*", Form(8, True)),))
    arrays = {name: part() if callable(part) else part for name, part in made.items()}
    arrays |= {} if bias is None else {"0.bias": bias}
    holder = nn.Module()
    holder.layers = [nn.Linear(matrix.shape[1], matrix.shape[0], bias=bias is not None)]
    file = save(tmp_path / "x.safetensors", {f"layers.{name}": array for name, array in arrays.items()})
    weights.load(holder, [file], mx.float32)
    return holder.layers[0]


@pytest.mark.parametrize("bias", [None, mx.ones(48)])
def test_a_rotated_layer_computes_the_same(tmp_path, monkeypatch, bias):
    matrix = DISTRIBUTIONS["1 % outliers"](48, 256)
    layer = rotated_layer(tmp_path, matrix, bias)
    assert layer.rotation.shape == (64,)
    x = mx.random.normal((2, 5, 256), key=mx.random.key(1))
    expected = x @ matrix.T + (0 if bias is None else bias)
    dense = layer(x)
    assert mx.linalg.norm(dense - expected) < 0.02 * mx.linalg.norm(expected)
    monkeypatch.setattr(weights, "dense_is_better", lambda rows: False)  # few rows on an Apple GPU
    assert mx.allclose(layer(x), dense, atol=1e-4)


@pytest.mark.parametrize("shape", [(48,), (64, 1), (2, 64), (1024,), (0,)])
def test_odd_rotations_are_refused(shape):
    holder = nn.Module()
    holder.layers = [nn.Linear(256, 8, bias=False)]
    shapes = {"layers.0.weight": (8, 64), "layers.0.scales": (8, 4), "layers.0.biases": (8, 4)}
    with pytest.raises(LayoutError, match="rotated in a way"):
        weights.fit(holder, {**shapes, "layers.0.rotation": shape})


def test_a_rotation_of_what_is_not_rotated_is_left_over():
    holder = nn.Module()
    holder.layers = [nn.Embedding(8, 256), nn.Linear(256, 8, bias=False)]
    shapes = {"layers.0.weight": (8, 64), "layers.0.scales": (8, 4), "layers.0.biases": (8, 4)}
    shapes |= {"layers.1.weight": (8, 256), "layers.0.rotation": (64,), "layers.1.rotation": (64,)}
    with pytest.raises(LayoutError, match=r"2 tensors are left over: layers\.0\.rotation, layers\.1\.rotation"):
        weights.fit(holder, shapes)


@pytest.mark.first_case
@pytest.mark.parametrize("plan", ["q4", "q4r", "q3r"])
def test_a_whole_conversion(tmp_path, plan):
    """The folder says by itself which layers are rotated, and opens."""
    source = single_file(tmp_path / "source")
    list(convert(source, tmp_path / "out", plan=plan))
    folder = open_folder(tmp_path / "out")
    entries = header(folder.files("transformer")[0])
    rotations = [name for name in entries if name.endswith(".rotation")]
    assert bool(rotations) == plan.endswith("r")
    assert all(name.split(".")[0] in ("double_blocks", "single_blocks") for name in rotations)
    net = weights.open_component(folder, "transformer", mx.float32)
    exact = weights.build("transformer", "flux2", folder.components["transformer"].params)
    weights.load(exact, [source], mx.float32)
    x = mx.random.normal((1, 7, 64), key=mx.random.key(0))
    ours, theirs = (n.single_blocks[0].linear1(x) for n in (net, exact))
    assert mx.linalg.norm(ours - theirs) < 0.3 * mx.linalg.norm(theirs)


def test_names():
    assert choose_plan(16) == "16bit"
    assert choose_plan(16, "q5r") == "q5r"
    assert set(BY_BITS.values()) <= set(PLANS)
    with pytest.raises(RequestError, match="7 bits"):
        choose_plan(7)
    with pytest.raises(RequestError, match="nice"):
        choose_plan(8, "nice")
