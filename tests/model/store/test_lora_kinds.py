"""Kinds of adapters beside LoRA and LoKr, forms of names and of numbers, and where the strength comes from.

Expected matrices are the formulas of the papers, written in NumPy; tests/parity/test_lora_kinds.py has the programs
that people train with make the same.
"""

import json

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save as serialize

from converters.quantize import PLANS, encode
from mlx_model.errors import LayoutError
from mlx_model.nets import flux1
from mlx_model.request import Lora
from mlx_model.store import lora, lora_names, weights
from tests.converters.checkpoints import arrays
from tests.converters.checkpoints import save as save_weights
from tests.model.store.made_loras import kohya, low_rank, peft, random, save
from tests.model.store.test_lora import QKV, added, matrix, net, same

ROWS, WIDTH, RANK = 192, 64, 4
DOWN, UP = low_rank(0, ROWS, WIDTH)


@pytest.fixture
def model():
    return net()


def flux1_net():
    sizes = {"depth": 2, "depth_single_blocks": 2, "context_in_dim": 32, "vec_in_dim": 48}
    return flux1.Transformer(
        flux1.Params(64, 2, **sizes, in_channels=16, out_channels=16, axes_dim=(8, 12, 12), guidance_embed=True)
    )


def hadamard(tucker=False):
    shapes = {"w1_a": (ROWS, RANK), "w1_b": (RANK, WIDTH), "w2_a": (ROWS, RANK), "w2_b": (RANK, WIDTH)}
    made = {name: random(number, *shape) for number, (name, shape) in enumerate(shapes.items())}
    if not tucker:
        return made, (made["w1_a"] @ made["w1_b"]) * (made["w2_a"] @ made["w2_b"])
    made = {name: array.T if name.endswith("_a") else array for name, array in made.items()}
    cores = {f"t{n}": random(9 + n, RANK, RANK, 1, 1) for n in (1, 2)}
    pair = [made[f"w{n}_a"].T @ cores[f"t{n}"][..., 0, 0] @ made[f"w{n}_b"] for n in (1, 2)]
    return made | cores, pair[0] * pair[1]


@pytest.mark.parametrize("tucker", [False, True])
@pytest.mark.parametrize("alpha", [None, 2.0])
def test_loha(model, tmp_path, tucker, alpha):
    made, expected = hadamard(tucker)
    tensors = {f"diffusion_model.{QKV}.hada_{name}": array for name, array in made.items()}
    tensors |= {} if alpha is None else {f"diffusion_model.{QKV}.alpha": np.float32(alpha)}
    factor = 1 if alpha is None else alpha / RANK
    assert same(added(model, QKV, save(tmp_path / "x.safetensors", tensors), -0.5), -0.5 * factor * expected)


def dora(base, addition, magnitude):
    both = base + addition
    axis = 1 if magnitude.ndim == 1 or magnitude.shape[1] == 1 else 0
    lengths = np.linalg.norm(both, axis=axis, keepdims=True)
    return both / lengths * (magnitude[:, None] if magnitude.ndim == 1 else magnitude) - base


MAGNITUDES = {
    "PEFT": ("lora_magnitude_vector", (ROWS,)), "PEFT's adapter": ("lora_magnitude_vector.default.weight", (ROWS,)),
    "LyCORIS": ("dora_scale", (ROWS, 1)), "before": ("dora_scale", (1, WIDTH)),
    "1 x 1": ("dora_scale", (ROWS, 1, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("form", MAGNITUDES)
@pytest.mark.parametrize("scale", [1.0, 0.3, 0.0, -1.0, 12.0])
def test_dora(model, tmp_path, form, scale):
    """The strength is a share of what it does at 1, so that 0 is the model as it was."""
    ending, shape = MAGNITUDES[form]
    lengths = 1 + np.abs(random(7, *shape))
    base = matrix(model, QKV)
    path = save(tmp_path / "x.safetensors", peft(QKV, DOWN, UP) | {f"{QKV}.{ending}": lengths})
    expected = scale * dora(base, UP @ DOWN, lengths.reshape(shape[:2]))
    assert np.allclose(added(model, QKV, path, scale), expected, atol=2e-5 * max(1, abs(scale)))


def test_dora_of_a_run_of_rows_and_of_turned_ones(model, tmp_path):
    """What a fused layer's part is brought to is that part's own lengths."""
    down, up = low_rank(1, 64, 64)
    part, lengths = "transformer.transformer_blocks.1.attn.to_k", 1 + np.abs(random(2, 64))
    base = matrix(model, QKV)[64:128]
    path = save(tmp_path / "x.safetensors", peft(part, down, up) | {f"{part}.lora_magnitude_vector": lengths})
    found = added(model, QKV, path)
    assert same(found[64:128], dora(base, up @ down, lengths))
    assert not found[:64].any()
    assert not found[128:].any()
    final, (down, up) = "final_layer.adaLN_modulation.1", low_rank(3, 128, 64)
    base, lengths = matrix(model, final), 1 + np.abs(random(4, 128))
    turned = dora(np.concatenate([base[64:], base[:64]]), up @ down, lengths)
    tensors = peft("transformer.norm_out.linear", down, up)
    tensors |= {"transformer.norm_out.linear.lora_magnitude_vector": lengths}
    expected = np.concatenate([turned[64:], turned[:64]])
    assert same(added(model, final, save(tmp_path / "y.safetensors", tensors)), expected)


@pytest.mark.parametrize("plan", ["q8", "q4r"])
def test_dora_on_packed_layers(model, tmp_path, plan):
    """The lengths are taken of the numbers that the packed layer holds."""
    encoded = [encode(name, array, PLANS[plan]) for name, array in arrays("transformer").items()]
    parts = {name: value() if callable(value) else value for group in encoded for name, value in group.items()}
    weights.load(model, [save_weights(tmp_path / "model.safetensors", parts)], mx.float32)
    lengths, base = 1 + np.abs(random(7, ROWS)), matrix(model, QKV)
    path = save(tmp_path / "x.safetensors", peft(QKV, DOWN, UP) | {f"{QKV}.lora_magnitude_vector": lengths})
    assert same(added(model, QKV, path), dora(base, UP @ DOWN, lengths))
    lora.remove(model)
    assert np.array_equal(matrix(model, QKV), base)


def test_kinds_that_use_the_layers_own_matrix(model, tmp_path):
    base, factors = matrix(model, QKV), random(1, ROWS)
    ia3 = {f"{QKV}.weight": factors, f"{QKV}.on_input": np.int64(0)}
    assert same(added(model, QKV, save(tmp_path / "x.safetensors", ia3), 2.0), 2 * base * factors[:, None])
    lora.remove(model)
    shapes = {"a1": (WIDTH, RANK), "a2": (RANK, WIDTH), "b1": (ROWS, RANK), "b2": (RANK, WIDTH)}
    made = {name: random(number, *shape) for number, (name, shape) in enumerate(shapes.items())}
    glora = {f"{QKV}.{name}.weight": array for name, array in made.items()} | {f"{QKV}.alpha": np.float32(2)}
    expected = (base @ made["a1"] @ made["a2"] + made["b1"] @ made["b2"]) / 2
    assert same(added(model, QKV, save(tmp_path / "y.safetensors", glora)), expected)


def test_whole_differences_of_matrix_and_bias(tmp_path):
    model, name = flux1_net(), "double_blocks.0.img_mlp.0"
    whole, bias = random(0, 256, 64), random(1, 256)
    before = model.double_blocks[0].img_mlp[0].bias
    path = save(
        tmp_path / "x.safetensors", {f"diffusion_model.{name}.diff": whole, f"diffusion_model.{name}.diff_b": bias}
    )
    lora.apply(model, "flux1", [Lora(path, 0.5)])
    layer = model.double_blocks[0].img_mlp[0]
    assert same(np.array(layer(mx.zeros((1, 64))))[0], np.array(before) + 0.5 * bias)
    assert same(np.array(layer(mx.eye(64)) - layer(mx.zeros((64, 64)))).T - np.array(layer.base.weight), 0.5 * whole)


def test_biases_of_a_lora_count_like_its_matrices(model, tmp_path):
    """PEFT's lora_bias; here alpha / rank is a half, and the layer itself has no bias."""
    bias = random(5, ROWS)
    config = {"r": RANK, "lora_alpha": 2, "lora_bias": True}
    tensors = peft(f"transformer.{QKV}", DOWN, UP) | {f"transformer.{QKV}.lora_B.bias": bias}
    path = save(tmp_path / "x.safetensors", tensors, {"lora_adapter_metadata": json.dumps(config)})
    lora.apply(model, "flux2", [Lora(path, 3.0)])
    layer = model.double_blocks[1].img_attn.qkv
    assert same(np.array(layer(mx.zeros((1, WIDTH))))[0], 1.5 * bias)


@pytest.mark.parametrize("part", ["scale", "scale.set_weight", "scale.diff", "w_norm"])
@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_norms_are_shifted_and_come_back(model, tmp_path, part, strength):
    """BFL's control LoRA brings its norms whole, ComfyUI's and LyCORIS' bring differences."""
    norm = model.double_blocks[1].img_attn.norm.query_norm
    before, brought = norm.scale, random(3, 32)
    name = "double_blocks.1.img_attn.norm.query_norm"
    tensors = peft(QKV, DOWN, UP) | {f"{name}.{part}": brought}
    lora.apply(model, "flux2", [Lora(save(tmp_path / "x.safetensors", tensors), strength)])
    difference = brought if part in ("scale.diff", "w_norm") else brought - np.array(before)
    assert same(np.array(norm.scale), np.array(before) + strength * difference)
    lora.remove(model)
    assert norm.scale is before
    assert set(norm) == {"scale"}


def test_xlabs(tmp_path):
    model = flux1_net()
    wanted = {
        "double_blocks.0.processor.qkv_lora1": ("double_blocks.0.img_attn.qkv", 0, 192),
        "double_blocks.1.processor.qkv_lora2": ("double_blocks.1.txt_attn.qkv", 0, 192),
        "double_blocks.1.processor.proj_lora1": ("double_blocks.1.img_attn.proj", 0, 64),
        "double_blocks.0.processor.proj_lora2": ("double_blocks.0.txt_attn.proj", 0, 64),
        "single_blocks.1.processor.qkv_lora": ("single_blocks.1.linear1", 0, 192),
        "single_blocks.1.linear1_mlp": ("single_blocks.1.linear1", 192, 448),
    }
    for stem, (layer, start, stop) in wanted.items():
        down, up = low_rank(1, stop - start, 64)
        form = {f"{stem}.down.weight": down, f"{stem}.up.weight": up}
        form = form if "processor" in stem else peft(f"diffusion_model.{stem}", down, up)
        lora.apply(model, "flux1", [Lora(save(tmp_path / "x.safetensors", form))])
        found = dict(model.named_modules())[layer]
        product = np.array(found.up @ found.down)
        assert same(product[start:stop], up @ down), stem
        assert not np.delete(product, np.s_[start:stop], 0).any()


@pytest.mark.parametrize("form", [
    {f"{QKV}.lora_a": DOWN.T, f"{QKV}.lora_b": UP.T},
    {f"transformer.{QKV}.lora_A": DOWN.T, f"transformer.{QKV}.lora_B": UP.T},
    {f"{QKV}.lora_down.weight": DOWN[..., None, None], f"{QKV}.lora_up.weight": UP[..., None, None]},
    peft(f"base_model.model.model.diffusion_model.{QKV}", DOWN, UP, ".my-adapter.weight"),
    peft(f"_orig_mod.module.{QKV}", DOWN, UP), kohya(QKV, DOWN, UP, prefix="lora_transformer_"),
    kohya(QKV, DOWN, UP) | {f"lora_unet_{QKV}.lora_mid.weight".replace(".", "_", 3): np.eye(RANK, dtype=np.float32)},
])  # fmt: skip
def test_more_forms(model, tmp_path, form):
    assert same(added(model, QKV, save(tmp_path / "x.safetensors", form)), UP @ DOWN)


def stored(tensors, codes=()):
    """A file whose `codes` are called 8-bit floats: NumPy has none."""
    data = serialize({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    for name, kind in codes:
        table[name]["dtype"] = kind
    head = json.dumps(table).encode()
    return len(head).to_bytes(8, "little") + head + data[8 + length :]


@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2"])
@pytest.mark.parametrize("scaled", [None, "scale_weight", "weight_scale", "weight_scale_rows"])
def test_8_bit_numbers(model, tmp_path, kind, scaled):
    """1.0 is 0x38 as E4M3 and 0x3c as E5M2, twice that 8 and 4 more."""
    one, two = (0x38, 0x40) if kind == "F8_E4M3" else (0x3C, 0x40)
    down = np.where(DOWN > 0, one, two).astype(np.uint8)
    numbers, factor = np.where(DOWN > 0, 1.0, 2.0), np.float32(0.25)
    names = [f"{QKV}.lora_down.weight", f"{QKV}.lora_up.weight"]
    tensors = {names[0]: down, names[1]: UP}
    if scaled == "weight_scale_rows":
        factor = np.arange(1, 5, dtype=np.float32)[:, None]
    if scaled:
        tensors[f"{QKV}.lora_down.{scaled.removesuffix('_rows')}"] = factor
    (tmp_path / "x.safetensors").write_bytes(stored(tensors, [(names[0], kind)]))
    expected = UP @ (numbers * (factor if scaled else 1))
    assert np.allclose(added(model, QKV, str(tmp_path / "x.safetensors")), expected, atol=1e-4)


def test_one_scale_missing_among_8_bit_tensors_is_told(model, tmp_path):
    names = [f"{QKV}.lora_down.weight", f"{QKV}.lora_up.weight"]
    tensors = {names[0]: DOWN.astype(np.uint8), names[1]: UP.astype(np.uint8)}
    tensors[f"{QKV}.lora_up.weight_scale"] = np.float32(2)
    (tmp_path / "x.safetensors").write_bytes(stored(tensors, [(name, "F8_E4M3") for name in names]))
    notes = []
    lora.apply(model, "flux2", [Lora(str(tmp_path / "x.safetensors"))], notes)
    assert notes == ["x.safetensors: 1 of its 8-bit tensors come without a scale; 1 is used."]


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_wide_and_narrow_numbers(model, tmp_path, dtype):
    path = save(tmp_path / "x.safetensors", {name: array.astype(dtype) for name, array in peft(QKV, DOWN, UP).items()})
    expected = UP.astype(dtype).astype(np.float32) @ DOWN.astype(dtype).astype(np.float32)
    assert same(added(model, QKV, path), expected)


K = "transformer_blocks.1.attn.to_k"
PATTERNS = {  # PEFT's rule: (.*\.)?(KEY)$
    r"^transformer_blocks\..*": 4, r".*attn\.to_(q|k)": 4, "to_k": 4, "attn.to_k": 4, K: 4,
    r"transformer_blocks\.[01]\.attn\.to_k": 4,
    "o_k": 1, "to": 1, r"^attn\.to_k": 1, "single_transformer_blocks.*": 1,
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("prefix", ["transformer.", "diffusion_model.", ""])
def test_patterns_are_regular_expressions(model, tmp_path, pattern, prefix):
    """As PEFT matches them, on the name that the trained network has."""
    down, up = low_rank(0, 64, 64)
    config = {"r": RANK, "lora_alpha": 4, "alpha_pattern": {pattern: 16}}
    told = {"lora_adapter_metadata": json.dumps({f"transformer.{key}": value for key, value in config.items()})}
    path = save(tmp_path / "x.safetensors", peft(prefix + K, down, up), told)
    assert same(added(model, QKV, path)[64:128], PATTERNS[pattern] * up @ down)


@pytest.mark.parametrize(("files", "config", "factor"), [
    (["style.safetensors"], {"r": 4, "lora_alpha": 8}, 2),
    (["style.safetensors"], {"r": 8, "lora_alpha": 8}, 1),  # another file's: the rank is not this one's
    (["style.safetensors"], {"r": 8, "rank_pattern": {"qkv": 4}, "lora_alpha": 8, "alpha_pattern": {".*qkv": 2}}, 0.5),
    (["style.safetensors", "adapter_model.safetensors"], {"r": 4, "lora_alpha": 8}, 1),
])  # fmt: skip
def test_settings_beside_a_renamed_file(model, tmp_path, files, config, factor):
    notes = []
    for name in files:
        save(tmp_path / name, peft(f"transformer.{QKV}", DOWN, UP))
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    before = matrix(model, QKV)
    lora.apply(model, "flux2", [Lora(str(tmp_path / "style.safetensors"))], notes)
    assert same(matrix(model, QKV) - before, factor * UP @ DOWN)
    assert bool(notes) == (factor != 1)


@pytest.mark.parametrize(("header", "factor"), [
    ({"lora_alpha": "8"}, 2), ({"alpha": "2", "rank": "4"}, 0.5), ({"ss_network_alpha": "8", "ss_network_dim": "4"}, 1),
])  # fmt: skip
def test_alpha_in_the_header(model, tmp_path, header, factor):
    """kohya's own is not used: its converter has multiplied it in already."""
    path = save(tmp_path / "x.safetensors", peft(QKV, DOWN, UP), header)
    assert same(added(model, QKV, path), factor * UP @ DOWN)


def test_alpha_of_a_layer_goes_before_all(model, tmp_path):
    path = save(tmp_path / "x.safetensors", kohya(QKV, DOWN, UP, 2.0), {"lora_alpha": "8"})
    assert same(added(model, QKV, path), 0.5 * UP @ DOWN)


def test_a_control_lora_is_told_from_one_of_another_size(model, tmp_path):
    """Live it can't be used: the layer that takes the latents would have to grow."""
    width = lora.layer_sizes(model)["img_in"][1]
    path = save(tmp_path / "x.safetensors", peft(QKV, DOWN, UP) | peft("img_in", *low_rank(1, 64, 2 * width)))
    with pytest.raises(LayoutError, match="is a control LoRA") as error:
        lora.apply(model, "flux2", [Lora(path)])
    assert error.value.hint.code == "bake_control_lora"


FITS = {
    "FLUX.2 klein 4B": peft("diffusion_model.double_blocks.4.img_attn.qkv", *low_rank(0, 9216, 3072)),
    "FLUX.2 klein 9B": peft("diffusion_model.double_blocks.7.img_attn.qkv", *low_rank(0, 12288, 4096)),
    "FLUX.2 dev": peft("transformer.single_transformer_blocks.47.attn.to_qkv_mlp_proj", *low_rank(0, 55296, 6144)),
    "FLUX.1 dev": kohya("double_blocks.18.img_attn.qkv", *low_rank(0, 9216, 3072)),
    "FLUX.3 image klein": peft("diffusion_model.single_blocks.27.q_proj", *low_rank(0, 3072, 3072)),
    "mini, the small built-in model": peft("diffusion_model.double_blocks.1.img_attn.qkv", *low_rank(0, 768, 256)),
}


@pytest.mark.parametrize("title", FITS)
def test_which_models_it_fits_is_told_by_its_header(title):
    found = [row.title for row in lora_names.list_fitting({name: array.shape for name, array in FITS[title].items()})]
    assert title in found
    others = [other for other in FITS if other != title and other in found]
    assert not others or (title, others) == ("FLUX.2 klein 4B", ["FLUX.1 dev"])  # alike where a file has no more
