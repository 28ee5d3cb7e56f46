"""The key tables fill the full-size networks exactly, by name and shape; nothing is allocated (MLX arrays are lazy)."""

from importlib import import_module
from pathlib import Path

import mlx.core as mx
import pytest

from converters.keys import autoencoder
from converters.keys import flux2 as keys_flux2
from converters.keys import text as keys_text
from converters.keys.rules import apply
from converters.parts import recognise
from mlx_model.errors import LayoutError
from mlx_model.nets import flux2, text_qwen3
from mlx_model.specs import SPECS
from mlx_model.store.weights import build, fit

LAYOUTS = Path(__file__).parents[2] / "data" / "layouts"


def table(name: str) -> dict[str, mx.array]:
    """A list of names and shapes as unread arrays."""
    lines = (LAYOUTS / f"shapes_{name}.tsv").read_text().split("\n")
    pairs = (line.split("\t") for line in lines if line)
    return {key: mx.zeros([] if shape == "scalar" else [int(n) for n in shape.split("x")]) for key, shape in pairs}


def shapes(arrays):
    return {name: tuple(array.shape) for name, array in arrays.items()}


def targets(name: str, role: str):
    source = table(name)
    layout = recognise({key: ("BF16", tuple(array.shape)) for key, array in source.items()}, Path(name))
    assert layout.role == role
    return apply(layout.rules(shapes(source)), source)


@pytest.mark.parametrize("form", ["bfl", "diffusers"])
@pytest.mark.parametrize("model", ["dev", "klein_4b", "klein_9b"])
def test_transformer(model, form):
    found = targets(f"flux2_{model}_{form}", "transformer")
    fit(build("transformer", "flux2", keys_flux2.read_sizes(shapes(found), {})), shapes(found))
    assert list(found) != []


@pytest.mark.parametrize("form", ["bfl", "diffusers"])
@pytest.mark.parametrize("name", ["flux2_ae", "flux2_small_decoder"])
def test_autoencoder(name, form):
    found = targets(f"{name}_{form}", "autoencoder")
    sizes = autoencoder.read_sizes(shapes(found), {})
    fit(build("autoencoder", "autoencoder", sizes), shapes(found))
    assert sizes["decoder_ch"] == (96 if "small" in name else None)


@pytest.mark.parametrize(("size", "width"), [("4b", 7680), ("8b", 12288)])
def test_text_encoder(size, width):
    found = targets(f"te_qwen3_{size}", "text_encoder")
    sizes = keys_text.read_sizes(shapes(found), {}, (9, 18, 27), width)
    assert text_qwen3.Params(**sizes).width == width
    found = apply(keys_text.keep_layers(27), found)
    fit(build("text_encoder", "text_qwen3", sizes), shapes(found))


TEXT = {"dev": "te_mistral_small_24b", "klein_9b": "te_qwen3_8b", "klein_4b": "te_qwen3_4b"}
PUBLISHED = [spec for spec in SPECS.values() if spec.repo and spec.family == "flux2"]


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
def test_specs_are_the_published_sizes(spec):
    """Sizes read from the published shapes are the ones of SPECS, and so are the numbers of weights."""
    size = "dev" if "dev" in spec.name else "klein_9b" if "9b" in spec.name else "klein_4b"
    found = targets(f"flux2_{size}_diffusers", "transformer")
    assert flux2.Params(**keys_flux2.read_sizes(shapes(found), {})) == flux2.Params(**spec.transformer)
    assert sum(array.size for array in found.values()) == spec.parameters["transformer"]
    text = targets(TEXT[size], "text_encoder")
    sizes = keys_text.read_sizes(shapes(text), {}, spec.text["out_layers"], spec.transformer["context_in_dim"])
    params = import_module(f"mlx_model.nets.{spec.text_family}").Params
    assert params(**sizes) == params(**spec.text)
    kept = apply(keys_text.keep_layers(max(spec.text["out_layers"])), text)
    assert sum(array.size for array in kept.values()) == spec.parameters["text_encoder"]


@pytest.mark.first_case
@pytest.mark.parametrize("name", ["flux2_klein_4b_diffusers", "flux2_klein_4b_bfl"])
def test_one_tensor_less(name):
    """Any single missing tensor is noticed, by the table or by the network."""
    source = table(name)
    rules = keys_flux2.DIFFUSERS if name.endswith("diffusers") else keys_flux2.LAYOUTS[1].rules({})
    for missing in [key for key in source if ".0." in key or "." not in key.removesuffix(".weight")]:
        less = {key: array for key, array in source.items() if key != missing}
        with pytest.raises(LayoutError):
            fit(build("transformer", "flux2", SPECS["flux2-klein-4b"].transformer), shapes(apply(rules, less)))
