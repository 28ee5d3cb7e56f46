"""FLUX.1, its encoders and Redux: the key tables fill the full-size networks exactly, by name and shape."""

import re

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.formats.names import list_components
from converters.keys import autoencoder as keys_autoencoder
from converters.keys import flux1 as keys_flux1
from converters.keys import flux2, t5_clip, text
from converters.keys.rules import Layout, apply
from mlx_model.errors import LayoutError
from mlx_model.nets import autoencoder, flux1, image_siglip, redux, text_clip, text_t5
from mlx_model.nets.ops import timestep_features
from mlx_model.run import flux1 as run_flux1
from mlx_model.store.weights import fit
from tests.converters.keys.test_layouts import shapes, table
from tests.golden import inp, recipe_weights

LAYOUTS = (*keys_flux1.LAYOUTS, *t5_clip.LAYOUTS)
ALL = (*flux2.LAYOUTS, *LAYOUTS, *text.LAYOUTS, *keys_autoencoder.LAYOUTS)
FORMS = ["bfl", "diffusers"]
# Channels into the network, guidance, number of weights.
VARIANTS = {
    "schnell": (64, False, 11_891_178_560),
    "dev": (64, True, 11_901_408_320),
    "control": (128, True, 11_901_604_928),
    "fill": (384, True, 11_902_391_360),
}


def targets(source) -> tuple[Layout, dict[str, mx.array]]:
    layout = next(layout for layout in LAYOUTS if layout.signature in source)
    return layout, apply(layout.rules(shapes(source)), source)


def fill(network, found) -> int:
    """Strictly; the number of weights."""
    fit(network, shapes(found))
    return sum(array.size for array in found.values())


@pytest.mark.first_case
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_transformer(variant, form):
    layout, found = targets(table(f"flux1_{variant}_{form}"))
    params = flux1.Params(**keys_flux1.read_sizes(shapes(found), {}))
    channels, guided, weights = VARIANTS[variant]
    assert (layout.role, layout.family, layout.name) == ("transformer", "flux1", form)
    assert params == flux1.Params(in_channels=channels, guidance_embed=guided)
    assert fill(flux1.Transformer(params), found) == weights


def test_comfy_prefix():
    """And the norms' scales as weights."""
    source = {
        "model.diffusion_model." + name.replace(".scale", ".weight"): x for name, x in table("flux1_dev_bfl").items()
    }
    (names,) = list_components(source)
    layout, found = targets({plain: source[name] for plain, name in names.items()})
    assert layout.name == "bfl"
    fill(flux1.Transformer(flux1.Params(guidance_embed=True)), found)


@pytest.mark.parametrize("form", FORMS)
def test_one_tensor_less(form):
    """Any single missing tensor is noticed, by the table or by the network; one block of each kind is enough."""
    source = {name: x for name, x in table(f"flux1_dev_{form}").items() if not re.search(r"blocks\.[1-9]", name)}
    network = flux1.Transformer(flux1.Params(depth=1, depth_single_blocks=1, guidance_embed=True))
    wanted = {name: tuple(x.shape) for name, x in tree_flatten(network.parameters())}
    rules = next(layout for layout in LAYOUTS if layout.name == form).rules({})
    assert shapes(apply(rules, source)) == wanted
    for missing in source:
        less = {name: x for name, x in source.items() if name != missing}
        try:
            assert shapes(apply(rules, less)) != wanted, missing
        except LayoutError:
            continue


@pytest.mark.parametrize("form", FORMS)
def test_autoencoder(form):
    source = table(f"flux1_ae_{form}")
    layout = next(layout for layout in keys_autoencoder.LAYOUTS if layout.signature in source)
    found = apply(layout.rules(shapes(source)), source)
    params = autoencoder.Params(**keys_autoencoder.read_sizes(shapes(found), {}))
    assert params == autoencoder.Params(z_channels=16, packed_norm=False, quant_convs=False, scale=0.3611, shift=0.1159)
    assert fill(autoencoder.AutoEncoder(params), found) == 83_819_683


@pytest.mark.parametrize("form", FORMS)
def test_redux(form):
    layout, found = targets(table(f"flux1_redux_{form}"))
    params = redux.Params(**keys_flux1.read_redux_sizes(shapes(found), {}))
    assert (layout.role, params) == ("image_embedder", redux.Params())
    assert fill(redux.ImageEmbedder(params), found) == 64_503_808


def test_t5():
    layout, found = targets(table("te_t5_xxl_encoder"))
    params = text_t5.Params(**t5_clip.read_t5_sizes(shapes(found), {}))
    assert (layout.role, params) == ("text_encoder", text_t5.Params())
    assert fill(text_t5.TextEncoder(params), found) == 4_762_310_656


def test_t5_with_its_table_twice_and_a_decoder():
    source = table("te_t5_xxl_encoder")
    names = set(targets(source)[1])
    copy = {"encoder.embed_tokens.weight": source["shared.weight"]}
    rest = {name: mx.zeros(1) for name in ("decoder.final_layer_norm.weight", "lm_head.weight")}
    assert set(targets({**source, **copy, **rest})[1]) == names
    alone = {name: x for name, x in source.items() if name != "shared.weight"}
    assert set(targets({**alone, **copy})[1]) == names


def test_clip():
    source = table("te_clip_l")
    layout, found = targets(source)
    params = text_clip.Params(**t5_clip.read_clip_sizes(shapes(found), {"eos_token_id": 2}))
    assert (layout.family, params) == ("text_clip", text_clip.Params())
    assert fill(text_clip.TextEncoder(params), found) == 123_060_480
    assert t5_clip.read_clip_sizes(shapes(found), {"text_config": {"eos_token_id": 7}})["eos_token_id"] == 7


def test_clip_bare_or_whole():
    source = table("te_clip_l")
    names = set(targets(source)[1])
    extras = ("vision_model.pre_layrnorm.weight", "logit_scale", "text_projection.weight", "visual_projection.weight")
    whole = {**source, **dict.fromkeys((*extras, "text_model.embeddings.position_ids"), mx.zeros(1))}
    bare = {name.removeprefix("text_model."): x for name, x in source.items()}
    assert set(targets(whole)[1]) == set(targets(bare)[1]) == names
    assert targets(bare)[0].name == "bare"


def test_siglip():
    source = table("te_siglip_so400m_vision")
    layout, found = targets(source)
    params = image_siglip.Params(**t5_clip.read_siglip_sizes(shapes(found), {}))
    assert (layout.role, params) == ("image_encoder", image_siglip.Params())
    network = image_siglip.ImageEncoder(params)
    head = sum(x.size for name, x in source.items() if name.startswith("vision_model.head."))
    assert fill(network, found) == sum(x.size for x in source.values()) - head
    whole = {**source, "text_model.embeddings.token_embedding.weight": mx.zeros(1), "logit_bias": mx.zeros(1)}
    bare = {name.removeprefix("vision_model."): x for name, x in source.items()}
    assert set(targets(whole)[1]) == set(targets(bare)[1]) == set(found)


NAMES = {
    **{f"flux1_{variant}_{form}": "flux1" for variant in VARIANTS for form in FORMS},
    **{f"flux1_ae_{form}": "autoencoder" for form in FORMS},
    **{f"flux2_{size}_{form}": "flux2" for size in ("dev", "klein_4b") for form in FORMS},
    "flux1_redux_bfl": "redux",
    "te_t5_xxl_encoder": "text_t5",
    "te_clip_l": "text_clip",
    "te_siglip_so400m_vision": "image_siglip",
    "te_qwen3_4b": "text_qwen3",
    "te_mistral_small_24b": "text_mistral3",
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", NAMES)
def test_signatures_don_t_clash(name):
    """Whatever the order of the lists of layouts."""
    found = [layout.family for layout in ALL if layout.signature in table(name)]
    assert found[0] == NAMES[name]
    assert set(found) <= {NAMES[name], "text_mistral3"}  # whose keys are a part of Qwen3's


def velocity(model):
    ids = np.concatenate([run_flux1.text_ids(3), run_flux1.grid_ids((2, 3))])
    made = model.condition(inp(1, (1, 3, 64)), model.rope(ids), pooled=inp(2, (1, 64)))
    return model(inp(0, (1, 6, 16)), timestep_features([0.5]), made)


SMALL = flux1.Params(64, 2, 1, 1, 64, 64, 16, 16, (4, 14, 14))


def packed(name: str, weight: mx.array) -> dict[str, mx.array]:
    if weight.ndim != 2 or not name.endswith(".weight"):
        return {name: weight}
    if "final_layer" in name or weight.shape[1] % 32:  # the last projection shows the dtype, so plans leave it dense
        return {name: weight}
    parts = mx.quantize(weight, group_size=32, bits=8)
    return {
        name.removesuffix("weight") + part: x for part, x in zip(("weight", "scales", "biases"), parts, strict=True)
    }


PACKABLE = {  # the class, its Params, a call
    "flux1": (flux1.Transformer, SMALL, velocity),
    "t5": (text_t5.TextEncoder, text_t5.Params(64, 16, 128, 2, 32, 64), lambda model: model(mx.array([[3, 5, 1]]))),
    "clip": (
        text_clip.TextEncoder,
        text_clip.Params(64, 128, 2, 2, 64, 8, 63),
        lambda model: model(mx.array([[3, 5, 63]])),
    ),
    "siglip": (
        image_siglip.ImageEncoder,
        image_siglip.Params(64, 128, 2, 2, 28),
        lambda model: model(inp(3, (1, 28, 28, 3))),
    ),
    "redux": (redux.ImageEmbedder, redux.Params(64, 64), lambda model: model(inp(4, (1, 3, 64)))),
}


@pytest.mark.parametrize("name", PACKABLE)
def test_packed_networks_stay_near(name):
    """8 bits in all linear layers and tables that are looked up."""
    kind, params, call = PACKABLE[name]
    model = kind(params)
    weights = recipe_weights({key: tuple(x.shape) for key, x in tree_flatten(model.parameters())})
    model.load_weights([(key, mx.array(x)) for key, x in weights.items()], strict=True)
    exact = np.array(call(model))
    found = {key: x for name, weight in weights.items() for key, x in packed(name, mx.array(weight)).items()}
    fit(model, shapes(found))
    model.load_weights(list(found.items()), strict=True)
    made = np.array(call(model))
    assert 0 < np.abs(made - exact).max() < 0.05 * np.abs(exact).max()
