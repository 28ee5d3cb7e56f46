"""Every form in which ComfyUI stores matrices converts to the numbers it stands for; a lost scale is told by name."""

import json

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.convert import convert
from mlx_model.errors import ConvertError, FluxLocalError
from mlx_model.store.folder import open_folder
from mlx_model.store.weights import open_component
from tests.converters.checkpoints import single_file, source_arrays
from tests.converters.stored import (
    say,
    store_floats,
    store_halves,
    store_integers,
    store_mxfp8,
    store_nvfp4,
    write,
)

FORMS = {
    "e4m3": lambda x: store_floats(x, "F8_E4M3", mark=False),
    "e4m3, ComfyUI's": lambda x: store_floats(x, "F8_E4M3", mark=True),
    "e5m2": lambda x: store_floats(x, "F8_E5M2", mark=False, name="scale_weight"),
    "e5m2, ComfyUI's": lambda x: store_floats(x, "F8_E5M2", mark=True),
    "int8": lambda x: store_integers(x, 0),
    "int8 ConvRot": lambda x: store_integers(x, 64),
    "int4 ConvRot": lambda x: store_halves(x, 64),
    "nvfp4": store_nvfp4,
    "mxfp8": store_mxfp8,
}


def checkpoint(form, prefix=""):
    """A tiny FLUX.2 transformer with its blocks in a form: tensors, kinds, and what they stand for by our names."""
    tensors, kinds, exact = {}, {}, {}
    for name, array in source_arrays("transformer").items():
        values = np.array(array)
        if values.ndim != 2 or "blocks" not in name:
            tensors[prefix + name] = exact[name] = values
            continue
        parts, marks, exact[name] = FORMS[form](values)
        stem = prefix + name.removesuffix("weight")
        tensors |= {stem + part: array for part, array in parts.items()}
        kinds |= {stem + part: kind for part, kind in marks.items()}
    return tensors, kinds, exact


def made(tmp_path, tensors, kinds, **metadata):
    source = single_file(tmp_path / "source")
    write(source, tensors, kinds, **metadata)
    list(convert(source, tmp_path / "out", bits=32))
    module = open_component(open_folder(tmp_path / "out"), "transformer", mx.float32)
    return {name: np.array(array) for name, array in tree_flatten(module.parameters())}


def check(found, exact):
    assert set(found) == set(exact)
    for name, values in exact.items():
        assert np.abs(found[name] - values).max() <= 2e-6 * np.abs(values).max(), name


@pytest.mark.first_case
@pytest.mark.parametrize("form", FORMS)
def test_values(tmp_path, form):
    tensors, kinds, exact = checkpoint(form)
    check(made(tmp_path, tensors, kinds), exact)


@pytest.mark.first_case
@pytest.mark.parametrize("form", ["e4m3, ComfyUI's", "e5m2"])
def test_behind_comfyui_s_prefix(tmp_path, form):
    prefix = "model.diffusion_model."
    tensors, kinds, exact = checkpoint(form, prefix)
    check(made(tmp_path, {**tensors, f"{prefix}scaled_fp8": np.zeros(2, np.uint8)}, kinds), exact)


def test_what_the_header_says(tmp_path):
    """ComfyUI's older form: no tensor says it but the metadata of the file."""
    tensors, kinds, exact = checkpoint("int8 ConvRot", "model.diffusion_model.")
    marks = {name: json.loads(bytes(tensors.pop(name))) for name in list(tensors) if name.endswith("comfy_quant")}
    layers = {
        name.removesuffix(".comfy_quant"): {**mark["params"], "format": mark["format"]} for name, mark in marks.items()
    }
    check(made(tmp_path, tensors, kinds, _quantization_metadata=json.dumps({"layers": layers})), exact)


LINEAR = "single_blocks.0.linear1"


LOST = [*((form, "scale_weight" if form == "e5m2" else "weight_scale") for form in FORMS), ("nvfp4", "weight_scale_2")]


@pytest.mark.first_case
@pytest.mark.parametrize(("form", "lost"), LOST)
def test_a_scale_that_is_missing_is_named(tmp_path, form, lost):
    tensors, kinds, _ = checkpoint(form)
    del tensors[f"{LINEAR}.{lost}"]
    with pytest.raises(FluxLocalError, match=LINEAR):
        made(tmp_path, tensors, kinds)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["e4m3, ComfyUI's", "e5m2"])
def test_all_scales_that_are_missing(tmp_path, form):
    """A mark says that there are some."""
    prefix = "model.diffusion_model."
    tensors, kinds, _ = checkpoint(form, prefix)
    kept = {name: x for name, x in tensors.items() if "scale" not in name.rpartition(".")[2]}
    with pytest.raises(ConvertError, match="have no scale"):
        made(tmp_path, {**kept, f"{prefix}scaled_fp8": np.zeros(2, np.uint8)}, kinds)


@pytest.mark.first_case
@pytest.mark.parametrize(("mark", "said"), [
    (say("svdquant_w4a4"), "is stored as svdquant_w4a4"), (np.frombuffer(b"{", np.uint8), "comfy_quant can't be read"),
    (np.frombuffer(b"[1]", np.uint8), "comfy_quant can't be read"), (say("nvfp4"), "nvfp4 does not have"),
    (np.frombuffer(b'{"convrot": true}', np.uint8), "nothing says the form"), (np.zeros(2**16, np.uint8), "short text"),
    (say("int8_tensorwise", convrot=True, convrot_groupsize=48), "groups of 48"),
    (say("int8_tensorwise", convrot=True, convrot_groupsize=2**62), "is rotated in groups"),
])  # fmt: skip
def test_marks_that_lie_are_refused(tmp_path, mark, said):
    tensors, kinds, _ = checkpoint("int8 ConvRot")
    tensors[f"{LINEAR}.comfy_quant"] = mark
    with pytest.raises(ConvertError, match=said):
        made(tmp_path, tensors, kinds)


@pytest.mark.first_case
@pytest.mark.parametrize("form", ["nvfp4", "mxfp8"])
def test_scales_of_blocks_must_fit(tmp_path, form):
    tensors, kinds, _ = checkpoint(form)
    tensors[f"{LINEAR}.weight_scale"] = tensors[f"{LINEAR}.weight_scale"][:64]
    with pytest.raises(ConvertError, match="don't fit its shape"):
        made(tmp_path, tensors, kinds)


def test_codes_that_are_no_numbers_are_refused(tmp_path):
    """E5M2 has infinities."""
    tensors, kinds, _ = checkpoint("e5m2")
    tensors[f"{LINEAR}.weight"] = np.full_like(tensors[f"{LINEAR}.weight"], 0x7C)
    with pytest.raises(FluxLocalError, match="not finite"):
        made(tmp_path, tensors, kinds)
