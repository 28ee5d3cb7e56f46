"""The FLUX.2 transformer against golden vectors: dev, klein, references, and the KV variant's bank."""

import json

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import flux2
from mlx_model.nets.ops import timestep_features
from mlx_model.run.latents import grid_ids, reference_ids, text_ids
from tests.golden import FOLDER, array, inp, recipe_weights, vectors

# The reference makes its time table in float32, ours is exact: that alone is 5e-5 here.
TOLERANCE = 1e-4
GOLDEN = vectors("flux2_tiny")
SIZES = json.loads((FOLDER / "flux2_tiny.json").read_text())["params"]
GRID, REFERENCE_GRIDS = (3, 4), [(2, 3), (2, 2)]


def network(guidance: bool) -> flux2.Transformer:
    sizes = {**SIZES, "axes_dim": tuple(SIZES["axes_dim"])}
    model = flux2.Transformer(flux2.Params(**sizes, guidance_embed=guidance))
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters())}
    model.load_weights([(name, mx.array(x)) for name, x in recipe_weights(shapes).items()], strict=True)
    return model


def references() -> mx.array:
    return mx.concatenate([inp(1, (1, 6, 16)), inp(4, (1, 4, 16))], axis=1)


def velocity(model, latents=None, t=0.7, given=None, bank=None):
    ids = [text_ids(5), grid_ids(GRID)] + ([reference_ids(REFERENCE_GRIDS)] if given is not None else [])
    condition = model.condition(inp(2, (1, 5, 24)).astype(model.dtype), model.rope(np.concatenate(ids)), given, bank)
    guidance = timestep_features([4.0]) if model.params.guidance_embed else None
    latents = inp(0, (1, 12, 16)) if latents is None else latents
    return np.array(model(latents, timestep_features([t]), condition, guidance).astype(mx.float32))


@pytest.mark.parametrize(("name", "guidance"), [("dev", True), ("klein", False)])
def test_velocity(name, guidance):
    model = network(guidance)
    assert np.abs(velocity(model) - GOLDEN[f"{name}_no_ref"]).max() < TOLERANCE
    with_references = velocity(model, given=references())
    assert np.abs(with_references - GOLDEN[f"{name}_with_refs"]).max() < TOLERANCE
    assert np.abs(with_references - GOLDEN[f"{name}_no_ref"]).max() > 0.05  # references are looked at


def test_bank_equals_extraction_in_the_first_step():
    """The reference computes K and V inside step 0; ours come from a pass of the references alone."""
    model = network(False)
    bank = model.reference_bank(references(), model.rope(reference_ids(REFERENCE_GRIDS)))
    k, v = np.array(bank[0][0]), np.array(bank[-1][1])
    assert np.abs(k.transpose(0, 2, 1, 3) - GOLDEN["kv_cache_double0_k"]).max() < TOLERANCE
    assert np.abs(v.transpose(0, 2, 1, 3) - GOLDEN["kv_cache_single1_v"]).max() < TOLERANCE
    assert np.abs(velocity(model, bank=bank) - GOLDEN["kv_extract"]).max() < TOLERANCE
    cached = velocity(model, latents=inp(7, (1, 12, 16)), t=0.4, bank=bank)
    assert np.abs(cached - GOLDEN["kv_cached_step"]).max() < TOLERANCE


def test_bank_depends_on_order():
    model = network(False)
    bank = model.reference_bank(references(), model.rope(reference_ids(REFERENCE_GRIDS)))
    swapped = mx.concatenate([inp(4, (1, 4, 16)), inp(1, (1, 6, 16))], axis=1)
    other = model.reference_bank(swapped, model.rope(reference_ids(REFERENCE_GRIDS[::-1])))
    assert np.abs(velocity(model, bank=bank) - velocity(model, bank=other)).max() > 1e-3


def test_axes_must_fill_a_head():
    with pytest.raises(ValueError, match="do not fill"):
        flux2.Params(64, 2, 1, 1, 24, axes_dim=(8, 8, 8, 4))


@pytest.mark.parametrize(("dtype", "bound"), [(mx.bfloat16, 0.15), (mx.float16, 0.02)])
def test_half_precision_stays_near(dtype, bound):
    model = network(False)
    exact = velocity(model, given=references())
    model.set_dtype(dtype)
    condition = references().astype(dtype)
    ids = np.concatenate([text_ids(5), grid_ids(GRID), reference_ids(REFERENCE_GRIDS)])
    made = model.condition(inp(2, (1, 5, 24)).astype(dtype), model.rope(ids), condition)
    half = model(inp(0, (1, 12, 16)), timestep_features([0.7]), made)
    assert half.dtype == dtype
    assert np.abs(np.array(half.astype(mx.float32)) - exact).max() < bound


def test_array_helper_reads_shapes():
    assert array({"shape": [1, 2], "data": [3, 4]}).shape == (1, 2)
