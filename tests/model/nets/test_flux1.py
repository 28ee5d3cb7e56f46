"""The FLUX.1 transformer and autoencoder against golden vectors, with and without a Kontext reference."""

import json

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import autoencoder, flux1, ops, redux
from mlx_model.nets.ops import timestep_features
from mlx_model.run.flux1 import grid_ids, reference_ids, text_ids
from tests.golden import FOLDER, inp, recipe_weights, vectors

# The reference makes its time table in float32, ours is exact.
TOLERANCE = 1e-4
GOLDEN, GOLDEN_AE = vectors("flux1_tiny"), vectors("flux1_ae_tiny")
SIZES = json.loads((FOLDER / "flux1_tiny.json").read_text())["params"]
GRID, REFERENCE_GRID = (3, 4), (2, 3)
HALVES = [(mx.bfloat16, 0.08), (mx.float16, 0.01)]


def network(**changes) -> flux1.Transformer:
    sizes = {name: value for name, value in SIZES.items() if name != "qkv_bias"}  # every layer has one
    model = flux1.Transformer(flux1.Params(**{**sizes, "axes_dim": tuple(sizes["axes_dim"]), **changes}))
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters())}
    model.load_weights([(name, mx.array(x)) for name, x in recipe_weights(shapes).items()], strict=True)
    return model


def condition(model, given=None, beside=None, pooled=None):
    ids = np.concatenate([text_ids(5), grid_ids(GRID), reference_ids([] if given is None else [REFERENCE_GRID])])
    pooled = inp(3, (1, 20)) if pooled is None else pooled
    return model.condition(inp(2, (1, 5, 32)), model.rope(ids), given, pooled=pooled, beside=beside)


def velocity(model, given=None, beside=None, guidance=3.5, pooled=None):
    strength = timestep_features([guidance]) if model.params.guidance_embed else None
    latents, made = inp(0, (1, 12, 16)), condition(model, given, beside, pooled)
    return model(latents, timestep_features([0.7]), made, strength)


def difference(made, wanted) -> float:
    return float(np.abs(np.array(made.astype(mx.float32)) - wanted).max())


def test_velocity():
    assert difference(velocity(network()), GOLDEN["out_no_ref"]) < TOLERANCE


def test_velocity_with_a_reference():
    assert difference(velocity(network(), inp(1, (1, 6, 16))), GOLDEN["out_with_ref"]) < TOLERANCE
    assert np.abs(GOLDEN["out_with_ref"] - GOLDEN["out_no_ref"]).max() > 0.05  # it is looked at


def test_every_input_is_looked_at():
    model = network()
    plain = np.array(velocity(model))
    assert difference(velocity(model, guidance=30.0), plain) > 1e-3
    assert difference(velocity(model, pooled=inp(9, (1, 20))), plain) > 1e-3


def test_schnell_has_no_guidance():
    model = network(guidance_embed=False)
    assert not [name for name, _ in tree_flatten(model.parameters()) if "guidance" in name]
    assert velocity(model).shape == (1, 12, 16)


def test_what_lies_beside_the_latents():
    """Wider input is one linear layer: zeros beside the latents change nothing, other values do."""
    plain, model = network(), network(in_channels=16 + 80)
    assert model.params.latent_channels == 16
    weights = dict(tree_flatten(plain.parameters()))
    wide = mx.concatenate([weights["img_in.weight"], inp(11, (48, 80)) * 0.1], axis=1)
    model.load_weights(list({**weights, "img_in.weight": wide}.items()), strict=True)
    assert difference(velocity(model, beside=mx.zeros((1, 12, 80))), np.array(velocity(plain))) < 1e-5
    assert difference(velocity(model, beside=inp(12, (1, 12, 80))), np.array(velocity(plain))) > 0.01


@pytest.mark.parametrize(("dtype", "bound"), HALVES)
def test_half_precision_stays_near(dtype, bound):
    model, given = network(), inp(1, (1, 6, 16))
    model.set_dtype(dtype)
    made = velocity(model, given)
    assert made.dtype == dtype
    assert difference(made, GOLDEN["out_with_ref"]) < bound


def test_streams_beyond_float16_stay_finite():
    """A text stream that outgrows float16 is cut, and the velocity stays a number."""
    model = network()
    model.txt_in.bias = model.txt_in.bias + 6e4
    model.set_dtype(mx.float16)
    assert bool(mx.isfinite(velocity(model)).all())
    total = ops.add_gated(*(mx.array(x).astype(mx.float16) for x in ([6e4, -2.0], [1.0, 1.0], [6e4, 1.0])))
    assert (total.tolist(), total.dtype) == ([65504.0, -1.0], mx.float16)


def test_impossible_sizes():
    with pytest.raises(ValueError, match="do not fill"):
        network(axes_dim=(8, 8, 10))
    with pytest.raises(ValueError, match="can't hold"):
        network(in_channels=8)


# The autoencoder: the one of FLUX.2 without its statistics.


def ae() -> autoencoder.AutoEncoder:
    sizes = {"ch": 32, "ch_mult": (1, 2), "num_res_blocks": 1, "z_channels": 4, "scale": 0.3611, "shift": 0.1159}
    model = autoencoder.AutoEncoder(autoencoder.Params(**sizes, packed_norm=False, quant_convs=False))
    shapes = {
        name: (x.shape[0], x.shape[3], x.shape[1], x.shape[2]) if x.ndim == 4 else tuple(x.shape)
        for name, x in tree_flatten(model.parameters())
    }
    turned = {n: w.transpose(0, 2, 3, 1) if w.ndim == 4 else w for n, w in recipe_weights(shapes).items()}
    model.load_weights([(name, mx.array(x)) for name, x in turned.items()], strict=True)
    return model


def test_encode():
    images = mx.clip(inp(0, (1, 3, 16, 16)), -1, 1).transpose(0, 2, 3, 1)
    latents = autoencoder.unpack(ae().encode(images))
    assert difference(latents.transpose(0, 3, 1, 2), GOLDEN_AE["encode"]) < 1e-5


def test_decode():
    latents = autoencoder.pack(inp(1, (1, 4, 8, 8)).transpose(0, 2, 3, 1))
    assert difference(ae().decode(latents).transpose(0, 3, 1, 2), GOLDEN_AE["decode"]) < 1e-5


# Redux: four tensors.


def test_redux_tokens_follow_the_text():
    model = redux.ImageEmbedder(redux.Params(6, 8))
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters())}
    weights = recipe_weights(shapes)
    model.load_weights([(name, mx.array(x)) for name, x in weights.items()], strict=True)
    states = np.array(inp(0, (1, 3, 6)))
    up = states @ weights["redux_up.weight"].T + weights["redux_up.bias"]
    wanted = (up / (1 + np.exp(-up))) @ weights["redux_down.weight"].T + weights["redux_down.bias"]
    made = model(mx.array(states))
    assert difference(made, wanted) < 1e-5
    joined = redux.with_pictures(mx.zeros((1, 2, 8)), [made, made], [1.0, 0.5])
    assert joined.shape == (1, 8, 8)
    assert difference(joined[:, 5:], 0.5 * wanted) < 1e-5
    assert difference(redux.with_pictures(mx.zeros((1, 2, 8)), [made])[:, 2:], wanted) < 1e-5
