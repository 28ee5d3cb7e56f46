"""The FLUX.3 transformer against golden vectors; its ids, padding, canvas, schedule and boxes."""

import json

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx.utils import tree_flatten

from converters.keys import flux3 as keys_flux3
from converters.keys.rules import apply
from converters.quantize import Form, encode
from mlx_model.boxes import Box, on_grid, with_boxes
from mlx_model.errors import RequestError
from mlx_model.geometry import MAX_PIXELS, Canvas, Size, reference_canvas
from mlx_model.nets import flux3
from mlx_model.nets.ops import timestep_features
from mlx_model.nets.text_qwen3 import Params as TextParams
from mlx_model.nets.text_qwen3 import TextEncoder
from mlx_model.run.flux3 import MU, fill_canvas, image_ids, pad_tokens, reference_ids
from mlx_model.run.latents import text_ids
from mlx_model.run.sampler import timesteps
from mlx_model.store.weights import PackedLinear, fit
from tests.golden import FOLDER, array, inp, recipe_weights

# The reference makes its time table in float32, ours is exact.
TOLERANCE = 1e-4
GOLDEN = json.loads((FOLDER / "flux3_tiny.json").read_text())
GRID, REFERENCE_GRIDS = (3, 4), [(2, 3), (2, 2)]
PARAMS = {
    "hidden_size": 64,
    "num_heads": 2,
    "depth": 1,
    "depth_single_blocks": 2,
    "context_in_dim": 24,
    "in_channels": 16,
    "axes_dim": (8, 8, 8, 8),
}
ATTENTION = {"q_proj": "attn.to_q", "k_proj": "attn.to_k", "v_proj": "attn.to_v", "attn_out": "attn.to_out.0"}
BLOCK = {**ATTENTION, "norm.query_norm.scale": "attn.norm_q.weight", "norm.key_norm.scale": "attn.norm_k.weight"}
BLOCK |= {"mlp_in": "ff.linear_in", "mlp_out": "ff.linear_out"}
OUTER = {
    "emb_in": "x_embedders",
    "txt_in": "context_embedder",
    "content_mode_blocks": "mode_blocks",
    "single_blocks": "single_transformer_blocks",
    "final_layer.image.linear": "proj_out",
    "final_layer.image.adaLN_modulation.1": "norm_out.linear",
    "lin.weight": "linear.weight",
    "ref_time_in.in_layer": "target_timestep_embedder.linear_1",
    "ref_time_in.out_layer": "target_timestep_embedder.linear_2",
    "time_in.in_layer": "timestep_embedder.linear_1",
    "time_in.out_layer": "timestep_embedder.linear_2",
}


def diffusers_name(name: str) -> str:
    """Independent of the converter's table, which is what the golden weights are carried by."""
    for ours, theirs in {**OUTER, **BLOCK}.items():
        name = name.replace(ours, theirs) if "modulations" in name or ours != "lin.weight" else name
    return name


def network(flow_map: bool) -> flux3.Transformer:
    model = flux3.Transformer(flux3.Params(**PARAMS, flow_map=flow_map))
    shapes = {diffusers_name(name): tuple(x.shape) for name, x in tree_flatten(model.parameters())}
    weights = {name: mx.array(x) for name, x in recipe_weights(shapes).items()}
    model.load_weights(list(apply(keys_flux3.DIFFUSERS, weights).items()), strict=True)
    return model


def references() -> mx.array:
    return mx.concatenate([inp(1, (1, 6, 16)), inp(4, (1, 4, 16))], axis=1)


def velocity(model, given=None, t=0.7, target=0.5):
    ids = [text_ids(5), image_ids(GRID), reference_ids(REFERENCE_GRIDS if given is not None else [])]
    condition = model.condition(inp(2, (1, 5, 24)).astype(model.dtype), model.rope(np.concatenate(ids)), given)
    extra = [model.time_features([target])] if model.params.flow_map else []
    return model(inp(0, (1, 12, 16)), model.time_features([t]), condition, *extra)


@pytest.mark.parametrize(("kind", "flow_map"), [("flow_map", True), ("base", False)])
def test_velocity(kind, flow_map):
    model, golden = network(flow_map), GOLDEN[kind]
    alone, beside = np.array(velocity(model)), np.array(velocity(model, references()))
    with_references = next(name for name in golden if name != "no_ref")
    assert np.abs(alone - array(golden["no_ref"])).max() < TOLERANCE
    assert np.abs(beside - array(golden[with_references])).max() < TOLERANCE
    assert np.abs(beside - alone).max() > 0.05  # references are looked at


def test_a_flow_map_looks_at_where_it_goes():
    model = network(True)
    assert mx.abs(velocity(model, target=0.0) - velocity(model, target=0.5)).max().item() > 0.01


@pytest.mark.parametrize("flow_map", [True, False])
def test_a_target_time_is_for_flow_maps(flow_map):
    model = network(flow_map)
    condition = model.condition(inp(2, (1, 5, 24)), model.rope(np.concatenate([text_ids(5), image_ids(GRID)])))
    extra = [] if flow_map else [model.time_features([0.5])]
    with pytest.raises(ValueError, match="target time"):
        model(inp(0, (1, 12, 16)), model.time_features([0.7]), condition, *extra)


@pytest.mark.parametrize(("dtype", "bound"), [(mx.bfloat16, 0.3), (mx.float16, 0.02)])
def test_half_precision_stays_near(dtype, bound):
    model = network(True)
    exact = velocity(model, references(), 0.5, 0.25)  # 500 and 250 are numbers in bfloat16 too
    model.set_dtype(dtype)
    half = velocity(model, references().astype(dtype), 0.5, 0.25)
    assert half.dtype == dtype
    assert mx.abs(half.astype(mx.float32) - exact).max().item() < bound


def test_feed_forwards_beyond_float16_stay_near():
    """They reach 3e5 in the published model, where float16 ends at 65504; the streams carry it on."""
    model, found = network(True), {}
    x = inp(3, (1, 4, model.params.hidden_size))
    for block in model.single_blocks:
        block.mlp_in.weight = block.mlp_in.weight * (3e5 / mx.abs(block.feed_forward(x)).max()).sqrt()
    assert mx.abs(model.single_blocks[0].feed_forward(x)).max().item() > 1e5
    for dtype in (mx.float32, mx.float16):
        model.set_dtype(dtype)
        found[dtype] = velocity(model, references().astype(dtype), 0.5, 0.25).astype(mx.float32)
        assert mx.isfinite(found[dtype]).all()
    error, size = mx.square(found[mx.float16] - found[mx.float32]).mean(), mx.square(found[mx.float32]).mean()
    assert (error / size).sqrt().item() < 0.02


def test_times_are_rounded_as_the_network_computes():
    model = network(False)
    exact = model.time_features([0.9904717])
    model.set_dtype(mx.bfloat16)
    assert mx.abs(model.time_features([0.9904717]) - exact).max().item() > 0.5  # 990.47 is 992 in bfloat16
    assert mx.array_equal(model.time_features([0.9904717]), timestep_features([992.0], scale=1.0))


def test_schedule():
    for case in json.loads((FOLDER / "flux3_schedules.json").read_text())["flux3"]:
        assert np.abs(timesteps(case["steps"], MU) - case["t"]).max() < 1e-7


def test_ids():
    assert image_ids((1, 3)).tolist() == [[0, 0, 0, 0], [0, 0, 0.5, 0], [0, 0, 1, 0]]
    assert reference_ids([(1, 1), (2, 1)]).tolist() == [[0, 0, 0, -1], [0, 0, 0, -2], [0, 0.5, 0, -2]]
    assert reference_ids([]).shape == (0, 4)


@pytest.mark.parametrize(("tokens", "cap", "length"), [(1, 8192, 80), (80, 8192, 80), (81, 8192, 160), (99, 90, 90)])
def test_padding(tokens, cap, length):
    ids, real, positions = pad_tokens(list(range(1, tokens + 1)), 7, cap)
    assert ids.shape == real.shape == (1, length)
    assert real.sum() == min(tokens, cap)
    assert positions[real[0]].tolist() == list(range(real.sum()))
    assert set(positions[~real[0]]) <= {1}
    assert set(ids[~real]) <= {7}


def test_positions_of_padding_change_the_padding_alone():
    params = TextParams(32, 48, 4, 2, 8, (1, 2), vocab_size=50)
    mx.random.seed(0)
    encoder = TextEncoder(params)
    ids, real, positions = pad_tokens([3, 4, 5], 0, 8192)
    usual = encoder(mx.array(ids), mx.array(real))
    same = encoder(mx.array(ids), mx.array(real), np.arange(80))
    moved = encoder(mx.array(ids), mx.array(real), positions)
    assert mx.array_equal(usual, same)
    assert mx.abs(moved[:, :3] - usual[:, :3]).max().item() < 1e-6
    assert mx.abs(moved[:, 3:] - moved[:, 3:4]).max().item() < 1e-6  # one place, one value
    assert mx.abs(moved[:, 3:] - usual[:, 3:]).max().item() > 1e-4


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([128 * 128, 2**20, MAX_PIXELS, 2**30]))
def test_canvas(width, height, cap):
    used, whole = reference_canvas(Size(width, height), cap)
    assert whole.width % 16 == whole.height % 16 == 0
    assert min(whole) >= 64
    assert whole.area <= min(cap, MAX_PIXELS)
    assert used.width <= whole.width
    assert used.height <= whole.height
    if max(width, height) <= min(2048, cap**0.5 // 16 * 16):
        assert used == (width, height)


@pytest.mark.parametrize(("width", "height"), [(100, 70), (10, 12), (64, 64)])
def test_canvas_crops_back_what_it_filled(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    canvas = reference_canvas(Size(width, height))
    filled = fill_canvas(canvas, pixels)
    assert Size.of(filled) == canvas.whole
    assert np.array_equal(filled[canvas.top : canvas.top + height, canvas.left : canvas.left + width], pixels)


def test_canvas_reflects_without_the_rim():
    filled = fill_canvas(Canvas(Size(20, 20), Size(24, 20)), np.tile(np.arange(20)[None, :, None], (20, 1, 3)))
    assert filled[0, :, 0].tolist() == [2, 1, *range(20), 18, 17]


def test_boxes():
    dog = Box("dog_1", "a wet dog", on_grid(0.1, 0.2, 0.5, 1.2))
    hat = Box("hat_1", origin="ref_image_1", source=(1, 2, 3, 4), description='"é"')
    made = with_boxes("A dog <dog_1> without <hat_1> of <ref_image_1>. ", [dog, hat], references=1)
    assert made == (
        'A dog <dog_1> without <hat_1> of <ref_image_1>. [{"id": "dog_1", "bbox": [100, 200, 500, 1000], '
        '"desc": "a wet dog"}, {"id": "hat_1", "from": "ref_image_1", "src_bbox": [1, 2, 3, 4], "tgt_bbox": null, '
        '"desc": "\\"é\\""}]'
    )
    assert with_boxes(" plain ", []) == " plain "


@pytest.mark.parametrize(("caption", "box", "match"), [
    ("a <b>", Box("c", bbox=(0, 0, 1, 1)), "does not cite"),
    ("a <1b>", Box("1b", bbox=(0, 0, 1, 1)), "can't be the id"),
    ("a <b>", Box("b", bbox=(5, 0, 5, 1)), "corners"),
    ("a <b>", Box("b", bbox=(0, 0, 1, 1001)), "corners"),
    ("a <b>", Box("b"), "needs either"),
    ("a <b>", Box("b", bbox=(0, 0, 1, 1), source=(0, 0, 1, 1), origin="ref_image_1"), "needs either"),
    ("a <b>", Box("b", source=(0, 0, 1, 1), origin="ref_image_2"), "comes from"),
    ("a <b>", Box("b", source=(0, 0, 1, 1), origin="target"), "former place"),
    ("a <b> <ref_image_3>", Box("b", bbox=(0, 0, 1, 1)), "ref_image_3"),
])  # fmt: skip
def test_boxes_that_are_refused(caption, box, match):
    with pytest.raises(RequestError, match=match):
        with_boxes(caption, [box], references=1)


def test_two_boxes_of_one_name():
    with pytest.raises(RequestError, match="Two boxes"):
        with_boxes("a <b>", [Box("b", bbox=(0, 0, 1, 1))] * 2)


def test_axes_must_fill_a_head():
    with pytest.raises(ValueError, match="do not fill"):
        flux3.Params(64, 2, 1, 1, 24, axes_dim=(8, 8, 8, 4))


def test_packed_layers_are_found_in_every_mode():
    """Modes are dicts of modules: packing reaches into them, and the network still knows its dtype."""
    model = network(True)
    exact = velocity(model, references())
    plan = ((r".*_blocks\..*", Form(8)), (r".*", Form(32)))
    weights = [encode(name, x, plan) for name, x in tree_flatten(model.parameters())]
    arrays = {name: x() if callable(x) else x for group in weights for name, x in group.items()}
    packed = flux3.Transformer(model.params)
    fit(packed, {name: tuple(x.shape) for name, x in arrays.items()})
    packed.load_weights(list(arrays.items()), strict=True)
    assert type(packed.content_mode_blocks["image_cond"][0].mlp_in) is PackedLinear
    assert packed.emb_in["image"].weight.dtype == mx.float32
    assert mx.abs(velocity(packed, references()) - exact).max().item() < 0.1
