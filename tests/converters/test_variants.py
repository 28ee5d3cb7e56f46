"""Every component of every family, in every form in which matrices are stored, behind every prefix that programs write.

A cell is one small file: opened, recognised by its names, decoded, and compared with what was stored.
"""

import re
from functools import cache
from itertools import product

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.formats import fp8
from converters.keys.rules import apply
from converters.parts import open_components
from mlx_model.errors import ConvertError
from mlx_model.nets import selfflow, tiny_autoencoder
from tests.converters import made_selfflow
from tests.converters.formats.test_gguf import FORM
from tests.converters.formats.test_gguf import write as write_gguf
from tests.converters.formats.test_scaled import FORMS as SCALED
from tests.converters.stored import pick_codes, store_floats, store_nf4, store_rows, write
from tests.converters.tiny import TINY, published
from tests.golden import recipe_weights

pytestmark = pytest.mark.sweep

PREFIXES = (
    "", "model.diffusion_model.", "diffusion_model.", "_orig_mod.", "module.", "transformer.", "module._orig_mod.",
    "model.diffusion_model._orig_mod.", "transformer.module.", "base_model.model.", "_fsdp_wrapped_module.",
    "transformer.model.diffusion_model.", "unet._orig_mod.", "ema.model.",
)  # fmt: skip
COMPONENTS = {
    "flux1-schnell": ("flux1-schnell", "transformer"), "flux1-dev": ("flux1-dev", "transformer"),
    "flux1-fill-dev": ("flux1-fill-dev", "transformer"), "flux1-canny-dev": ("flux1-canny-dev", "transformer"),
    "redux": ("flux1-redux-dev", "image_embedder"), "siglip": ("flux1-redux-dev", "image_encoder"),
    "t5": ("flux1-dev", "text_encoder"), "clip": ("flux1-dev", "pooled_encoder"),
    "flux1 vae": ("flux1-dev", "autoencoder"), "flux2-dev": ("flux2-dev", "transformer"),
    "flux2-klein": ("flux2-klein-4b", "transformer"), "mistral": ("flux2-dev", "text_encoder"),
    "qwen3": ("flux2-klein-4b", "text_encoder"), "flux2 vae": ("flux2-klein-4b", "autoencoder"),
    "flux3": ("flux3-image-klein", "transformer"), "flux3 base": ("flux3-image-klein-base", "transformer"),
    "qwen3-vl": ("flux3-image-klein", "text_encoder"),
}  # fmt: skip
NAMES = (*COMPONENTS, "selfflow", "taef")


def cast(values):
    """A plain cast, as many full fine-tunes come."""
    table = fp8.make_table()
    codes = pick_codes(values, table)
    return {"weight": codes}, {"weight": "F8_E4M3"}, table[codes]


def store_plain(kind):
    def store(values):
        array = mx.array(values, getattr(mx, kind))
        bits = np.array(array.view(mx.uint16)).view(np.float16)  # of bfloat16 too: only the bits are written
        return {"weight": bits}, {"weight": "BF16" if kind == "bfloat16" else "F16"}, np.array(array.astype(mx.float32))

    return store


WIDTHS = {"int8 ConvRot": 64, "int4 ConvRot": 64, "nvfp4": 16, "mxfp8": 32}  # which a matrix has to have
FORMS = {
    "float32": lambda x: ({"weight": x}, {}, x), "float16": store_plain("float16"), "bfloat16": store_plain("bfloat16"),
    "fp8": cast, "e4m3, scale_weight": lambda x: store_floats(x, "F8_E4M3", mark=False, name="scale_weight"), **SCALED,
    "nf4": lambda x: store_nf4(x, False), "nf4, nested": lambda x: store_nf4(x, True), "LLM.int8": store_rows,
}  # fmt: skip
QUANTISED = (FORM.F16, FORM.BF16, FORM.Q8_0, FORM.Q5_1, FORM.Q4_0)


@cache
def tensors(name):
    """By published names."""
    if name == "selfflow":
        return {key: np.float32(x) for key, x in made_selfflow.weights(selfflow.Params(
            hidden_size=144, depth=2, num_heads=2)).items()}  # fmt: skip
    if name == "taef":
        net = tiny_autoencoder.AutoEncoder(tiny_autoencoder.Params(z_channels=4, pool=False))
        made = recipe_weights({key: tuple(x.shape) for key, x in tree_flatten(net.parameters())})
        return {key: np.float32(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x) for key, x in made.items()}
    model, role = COMPONENTS[name]
    return {key: np.ascontiguousarray(x, np.float32) for key, x in published(TINY[model], role).items()}


@cache
def stored(name, form):
    """Tensors, kinds, and what they stand for by the same names."""
    made, kinds, exact = {}, {}, {}
    for key, values in tensors(name).items():
        fits = values.ndim == 2 and key.endswith("weight") and values.shape[1] % WIDTHS.get(form, 1) == 0
        if not fits or not values.any():
            made[key] = exact[key] = values
            continue
        parts, marks, exact[key] = FORMS[form](values)
        stem = key.removesuffix("weight")
        made |= {stem + part: np.asarray(array) for part, array in parts.items()}
        kinds |= {stem + part: kind for part, kind in marks.items()}
    return made, kinds, exact


def read(file):
    """What is found, by our names."""
    (part,) = open_components(file)
    arrays = part.load_arrays(file.parent)
    return part, apply(part.layout.rules({key: x.shape for key, x in arrays.items()}), arrays)


def check(file, exact):
    part, found = read(file)
    wanted = apply(part.layout.rules({key: x.shape for key, x in exact.items()}),
                   {key: mx.array(np.float32(x)) for key, x in exact.items()})  # fmt: skip
    assert found.keys() == wanted.keys()
    mx.eval(list(found.values()), list(wanted.values()))
    for key, values in wanted.items():
        most = max(float(mx.abs(values).max()), 1e-30)
        assert float(mx.abs(found[key].astype(mx.float32) - values).max()) <= 2e-6 * most, key
    return part


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", ["flux1-dev", "t5", "clip", "mistral", "qwen3", "qwen3-vl", "flux2-klein", "flux2 vae",
                                  "flux3", "selfflow"])  # fmt: skip
def test_prefixes(tmp_path, name, prefix):
    check(write(tmp_path / "x.safetensors", {prefix + k: x for k, x in tensors(name).items()}), tensors(name))


CELLS = [(name, form, PREFIXES[number % len(PREFIXES)]) for number, (name, form) in enumerate(product(NAMES, FORMS))]


@pytest.mark.parametrize(("name", "form", "prefix"), CELLS)
def test_forms(tmp_path, name, form, prefix):
    """Behind one prefix after another."""
    made, kinds, exact = stored(name, form)
    side = {"scaled_fp8": np.zeros(0, np.uint8), "logit_scale": np.float32(1).reshape(())} if kinds else {}
    side = side if form.startswith("e") else {}
    file = write(tmp_path / "x.safetensors", {prefix + k: x for k, x in (made | side).items()},
                 {prefix + k: kind for k, kind in kinds.items()})  # fmt: skip
    check(file, exact)


LLAMA_CPP = ("t5", "mistral", "qwen3", "qwen3-vl")  # which have names of their own there, see test_gguf.py


@pytest.mark.parametrize("form", QUANTISED, ids=lambda form: form.name)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LLAMA_CPP])
def test_gguf(tmp_path, name, form):
    prefix = PREFIXES[(NAMES.index(name) + form) % len(PREFIXES)]
    exact = write_gguf(tmp_path / "x.gguf", "x", {prefix + key: x for key, x in tensors(name).items()}, form)
    check(tmp_path / "x.gguf", {key.removeprefix(prefix): x for key, x in exact.items()})


SCALES = {
    "e4m3": "weight_scale", "e4m3, scale_weight": "scale_weight", "e5m2, ComfyUI's": "weight_scale",
    "int8": "weight_scale", "nvfp4": "weight_scale_2", "mxfp8": "weight_scale", "nf4": "weight.absmax",
    "nf4, nested": "weight.nested_absmax", "LLM.int8": "SCB",
}  # fmt: skip


@pytest.mark.parametrize("form", SCALES)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("redux", "taef", "flux1 vae", "flux2 vae")])
def test_one_scale_missing_among_many_is_named(tmp_path, name, form):
    made, kinds, _ = stored(name, form)
    scales = [key for key in made if key.endswith(f".{SCALES[form]}")]
    if len(scales) < 2:
        assert form in WIDTHS  # no two matrices of this tiny network have the width
        return
    lost = scales[len(scales) // 2]
    stem = lost.removesuffix(SCALES[form])
    file = write(tmp_path / "x.safetensors", {key: array for key, array in made.items() if key != lost}, kinds)
    with pytest.raises(ConvertError, match=re.escape(stem)):
        read(file)
