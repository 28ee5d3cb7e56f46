"""FLUX.3, Self-Flow and the tiny autoencoders: the key tables fill the full-size networks exactly."""

import re

import mlx.core as mx
import numpy as np
import pytest

from converters.formats.names import list_components
from converters.keys import autoencoder as keys_autoencoder
from converters.keys import flux3 as keys_flux3
from converters.keys import selfflow as keys_selfflow
from converters.keys import taef, text
from converters.keys.rules import Layout, apply
from mlx_model.errors import LayoutError
from mlx_model.nets import autoencoder, flux3, selfflow, text_qwen3, tiny_autoencoder
from mlx_model.store.weights import build, fit
from tests.converters.keys.test_layouts import shapes, table


def recognise(source, layouts) -> Layout:
    return next(layout for layout in layouts if layout.signature in source)


def targets(name: str, layouts, source=None):
    source = table(name) if source is None else source
    layout = recognise(source, layouts)
    return layout, apply(layout.rules(shapes(source)), source)


@pytest.mark.parametrize("form", ["bfl", "diffusers"])
@pytest.mark.parametrize(("model", "parameters"), [("klein", 5_548_681_984), ("klein_base", 5_538_458_368)])
def test_flux3(model, parameters, form):
    layout, found = targets(f"flux3_{model}_{form}", keys_flux3.LAYOUTS)
    sizes = keys_flux3.read_sizes(shapes(found), {})
    assert (layout.role, layout.name) == ("transformer", form)
    assert flux3.Params(**sizes) == flux3.Params(3072, 24, 5, 28, 20480, flow_map=model == "klein")
    fit(build("transformer", layout.family, sizes), shapes(found))
    assert sum(x.size for x in found.values()) == parameters


def test_flux3_comfy_and_what_training_left():
    source = {"model.diffusion_model." + name: x for name, x in table("flux3_klein_bfl").items()}
    source["model.diffusion_model.repa_projectors.0.weight"] = mx.zeros((3, 3))
    (names,) = list_components(source)
    layout, found = targets("", keys_flux3.LAYOUTS, {plain: source[name] for plain, name in names.items()})
    assert layout.name == "bfl"
    fit(build("transformer", "flux3", keys_flux3.read_sizes(shapes(found), {})), shapes(found))


@pytest.mark.parametrize("form", ["bfl", "diffusers"])
def test_flux3_with_one_tensor_less(form):
    """One block of each kind is enough."""
    source = {
        name: x for name, x in table(f"flux3_klein_{form}").items() if not re.search(r"blocks\.(\w+\.)?[1-9]", name)
    }
    rules = recognise(source, keys_flux3.LAYOUTS).rules({})
    sizes = {"hidden_size": 3072, "num_heads": 24, "depth": 1, "depth_single_blocks": 1, "context_in_dim": 20480}
    network = build("transformer", "flux3", {**sizes, "flow_map": True})
    fit(network, shapes(apply(rules, source)))
    for missing in source:
        less = {name: x for name, x in source.items() if name != missing}
        with pytest.raises(LayoutError):
            fit(network, shapes(apply(rules, less)))


def test_flux3_text_encoder():
    layout, found = targets("te_qwen3_vl_4b", (*keys_flux3.LAYOUTS, *text.LAYOUTS))
    usual = tuple(range(4, 33, 4))
    config = {"text_config": {"rope_theta": 5e6}}
    sizes = text.read_sizes(shapes(found), config, usual, 20480)
    assert (layout.role, layout.family) == ("text_encoder", "text_qwen3")
    assert text_qwen3.Params(**sizes) == text_qwen3.Params(2560, 9728, 32, 8, 128, usual, rope_theta=5e6)
    kept = apply(text.keep_layers(32), found)
    fit(build("text_encoder", "text_qwen3", sizes), shapes(kept))
    assert sum(x.size for x in kept.values()) == 3_618_742_272


def test_selfflow():
    layout, found = targets("selfflow_imagenet256", keys_selfflow.LAYOUTS)
    sizes = keys_selfflow.read_sizes(shapes(found), {})
    assert selfflow.Params(**sizes) == selfflow.Params()
    fit(build("transformer", layout.family, sizes), shapes(found))
    assert sum(x.size for x in found.values()) == 680_441_504


def old_sd_source() -> dict[str, mx.array]:
    """The names of stabilityai/sd-vae-ft-ema: FLUX.1's in diffusers form, the quant convs, old names of attention."""
    p = autoencoder.Params(z_channels=4, packed_norm=False)
    ours = shapes(dict(_flat(autoencoder.AutoEncoder(p))))
    back = {"q": "query", "k": "key", "v": "value", "proj_out": "proj_attn"}
    source = {}
    for name, shape in ours.items():
        theirs = name.replace(".norm_out.", ".conv_norm_out.").replace("nin_shortcut", "conv_shortcut")
        theirs = theirs.replace("encoder.quant", "quant").replace("decoder.post_quant", "post_quant")
        for k in range(4):
            theirs = theirs.replace(f"decoder.up.{k}.", f"decoder.up_blocks.{3 - k}.")
        theirs = theirs.replace("encoder.down.", "encoder.down_blocks.").replace(".block.", ".resnets.")
        theirs = theirs.replace(".downsample.", ".downsamplers.0.").replace(".upsample.", ".upsamplers.0.")
        theirs = theirs.replace("mid.block_1", "mid_block.resnets.0").replace("mid.block_2", "mid_block.resnets.1")
        theirs = theirs.replace("mid.attn_1.norm", "mid_block.attentions.0.group_norm")
        for our, their in back.items():
            theirs = theirs.replace(f"mid.attn_1.{our}.", f"mid_block.attentions.0.{their}.")
        square = ".mid_block.attentions." in theirs and len(shape) == 4
        shape = shape[:1] + shape[3:] if square else shape
        source[theirs] = mx.zeros((shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape)
    return source


def _flat(module):
    from mlx.utils import tree_flatten

    return tree_flatten(module.parameters())


def test_autoencoder_of_stable_diffusion():
    layouts = (*keys_selfflow.LAYOUTS, *keys_autoencoder.LAYOUTS)
    layout, found = targets("", layouts, old_sd_source())
    sizes = keys_autoencoder.read_sizes(shapes(found), {})
    assert layout.name == "diffusers-0.4"
    assert autoencoder.Params(**sizes) == autoencoder.Params(z_channels=4, packed_norm=False, scale=0.18215)
    fit(build("autoencoder", "autoencoder", sizes), shapes(found))
    assert sum(x.size for x in found.values()) == 83_653_863  # the published number of weights


@pytest.mark.parametrize(("name", "params"), [("taef1", (16, False)), ("taef2", (32, True))])
def test_taef_native(name, params):
    found = {}
    for side in ("encoder", "decoder"):
        layout, part = targets(f"{name}_{side}_native", taef.LAYOUTS)
        assert layout.name == f"native {side}"
        found |= part
    sizes = taef.read_sizes(shapes(found), {})
    assert tiny_autoencoder.Params(**sizes) == tiny_autoencoder.Params(*params)
    fit(build("autoencoder", "tiny_autoencoder", sizes), shapes(found))
    joined = {
        f"{side}.{key}": x for side in ("encoder", "decoder") for key, x in table(f"{name}_{side}_native").items()
    }
    layout, again = targets("", taef.LAYOUTS, joined)
    assert (layout.name, shapes(again)) == ("native", shapes(found))


def test_taef1_diffusers():
    layout, found = targets("taef1_diffusers", taef.LAYOUTS)
    assert layout.name == "diffusers"
    fit(build("autoencoder", "tiny_autoencoder", taef.read_sizes(shapes(found), {})), shapes(found))
    assert sum(np.prod(shape) for shape in shapes(found).values()) == 1_229_456 + 1_229_443
