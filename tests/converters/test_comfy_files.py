"""ComfyUI's files: prefixed names, norms called weight, everything in one file, encoders with side tensors."""

import shutil

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.convert import convert
from converters.formats.names import list_components
from mlx_model.errors import ConvertError, FluxLocalError
from mlx_model.events import Note
from mlx_model.request import Request
from mlx_model.run.pipeline import Pipeline
from mlx_model.store.folder import open_folder
from mlx_model.store.weights import open_component
from tests.converters.formats.test_gguf import write as write_gguf
from tests.converters.stored import write
from tests.converters.tiny import CONFIGS, TINY, checkpoint, published, save, weights

FAMILIES = ["flux1-dev", "flux2-klein-4b", "flux3-image-klein"]
ENCODERS = {"text_t5": "t5xxl", "text_clip": "clip_l", "text_qwen3": "qwen3_4b"}
JSON_BYTES = np.frombuffer(b'{"config": {}}', np.uint8)


def as_comfy(arrays):
    """The norms' scales under ComfyUI's name."""
    return {name.replace("_norm.scale", "_norm.weight"): np.float32(array) for name, array in arrays.items()}


def made(source, out, **settings):
    events = list(convert(source, out, bits=32, **settings))
    return open_folder(out), [event.text for event in events if isinstance(event, Note)]


def same(folder, tiny, *roles):
    for role in roles or tiny.parts:
        module = open_component(folder, role, mx.float32)
        assert module.params == tiny.parts[role][0]
        exact = weights(tiny, role)
        for name, array in tree_flatten(module.parameters()):
            assert np.array_equal(np.array(array), exact[name]), name


PREFIXES = ["", "diffusion_model.", "model.diffusion_model.", "_orig_mod.", "module.", "module._orig_mod.",
            "model.diffusion_model._orig_mod."]  # fmt: skip


@pytest.mark.first_case
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("model", FAMILIES)
def test_prefixes(tmp_path, model, prefix):
    tiny = TINY[model]
    file = checkpoint(tiny, tmp_path / "source")
    write(file, {prefix + name: array for name, array in as_comfy(published(tiny, "transformer")).items()})
    same(made(file, tmp_path / "out")[0], tiny, "transformer")


def test_a_block_that_was_compiled_alone(tmp_path):
    tiny = TINY["flux1-dev"]
    file = checkpoint(tiny, tmp_path / "source")
    arrays = as_comfy(published(tiny, "transformer"))
    write(file, {name.replace("double_blocks.0.", "double_blocks.0._orig_mod."): x for name, x in arrays.items()})
    same(made(file, tmp_path / "out")[0], tiny, "transformer")


def test_two_names_for_one_tensor(tmp_path):
    tiny = TINY["flux1-dev"]
    file = checkpoint(tiny, tmp_path / "source")
    arrays = as_comfy(published(tiny, "transformer"))
    write(file, {**arrays, "module.img_in.weight": arrays["img_in.weight"]})
    with pytest.raises(ConvertError, match=r"img_in\.weight .* same tensor"):
        made(file, tmp_path / "out")
    write(file, {**arrays, "single_blocks.0.norm.query_norm.scale": arrays["single_blocks.0.norm.query_norm.weight"]})
    with pytest.raises(FluxLocalError, match="query_norm"):
        made(file, tmp_path / "out")


def everything(tiny):
    """The tensors of a checkpoint with all components in one file, as ComfyUI saves them."""
    places = {"transformer": "model.diffusion_model.", "autoencoder": "vae."}
    tensors = {"model.diffusion_model.scaled_fp8": np.zeros(0, np.uint8)}
    for role, (_, family, _) in tiny.parts.items():
        name = ENCODERS.get(family, "")
        place = places.get(role, f"text_encoders.{name}.transformer.")
        tensors |= {place + key: array for key, array in as_comfy(published(tiny, role)).items()}
        if name:
            tensors[f"text_encoders.{name}.logit_scale"] = np.float32(4.6).reshape(())
            tensors[f"text_encoders.{name}.transformer.spiece_model"] = JSON_BYTES
    return tensors


@pytest.mark.first_case
@pytest.mark.parametrize("model", FAMILIES)
def test_everything_in_one_file(tmp_path, model):
    """Only tokenizers lie beside it; what a person might expect to be used is told."""
    tiny = TINY[model]
    file = checkpoint(tiny, tmp_path / "source")
    for _, _, place in tiny.parts.values():
        shutil.rmtree(file.parent / place, ignore_errors=True)
    write(file, everything(tiny))
    (file.parent / "config.json").write_text('{"norm_num_groups": 4, "eos_token_id": 2}')
    folder, notes = made(file, tmp_path / "out")
    assert set(folder.components) == set(tiny.parts)
    same(folder, tiny)
    assert any("spiece_model" in note for note in notes)


def draw(folder):
    """The latents of a run."""
    request = Request(folder.spec.name, "a cat", width=64, height=64, steps=2, seed=1)
    *_, done = Pipeline.open(folder.path, "float32").run(request)
    return done.latents


@pytest.mark.sweep
@pytest.mark.parametrize("model", FAMILIES)
def test_the_same_latents_from_every_form(tmp_path, model):
    """Published files and folders, everything in one file, and GGUF."""
    tiny = TINY[model]
    plain = checkpoint(tiny, tmp_path / "plain")
    exact = draw(made(plain, tmp_path / "one")[0])
    whole = checkpoint(tiny, tmp_path / "whole")
    write(whole, everything(tiny))
    quantised = checkpoint(tiny, tmp_path / "gguf")
    quantised.unlink()
    write_gguf(quantised.with_suffix(".gguf"), "flux", published(tiny, "transformer"))
    assert np.isfinite(exact).all()
    assert np.std(exact) > 0.01
    for number, file in enumerate((whole, quantised.with_suffix(".gguf"))):
        assert np.array_equal(draw(made(file, tmp_path / str(number))[0]), exact)


def test_its_own_parts_come_before_those_beside_it(tmp_path):
    """Another T5 lies in the folder; the file's own is taken."""
    tiny = TINY["flux1-dev"]
    file = checkpoint(tiny, tmp_path / "source")
    other = {name: array + 1 for name, array in published(tiny, "text_encoder").items()}
    save(file.parent / "text_encoder_2" / "model.safetensors", other)
    write(file, everything(tiny))
    (file.parent / "config.json").write_text('{"norm_num_groups": 4, "eos_token_id": 2}')
    same(made(file, tmp_path / "out")[0], tiny, "text_encoder")


@pytest.mark.sweep
def test_loose_encoders_with_side_tensors(tmp_path):
    """text_encoders/ of ComfyUI: T5 with spiece_model, Qwen3 with tekken_model, neither of them weights."""
    for model, name in (("flux1-dev", "t5xxl_fp16"), ("flux2-klein-4b", "qwen_3_4b")):
        tiny, place = TINY[model], tmp_path / model
        file = checkpoint(tiny, place)
        shutil.rmtree(place / tiny.parts["text_encoder"][2])
        arrays = {key: np.float32(array) for key, array in published(tiny, "text_encoder").items()}
        side = {"spiece_model": JSON_BYTES, "tekken_model": JSON_BYTES, "logit_scale": np.float32(1).reshape(())}
        write(place / f"{name}.safetensors", {**arrays, **side})
        folder, notes = made(file, tmp_path / f"{model}-out")
        same(folder, tiny, "text_encoder")
        assert any("tekken_model" in note for note in notes)


def test_an_autoencoder_with_its_quant_convs_outside(tmp_path):
    tiny = TINY["flux2-klein-4b"]
    file = checkpoint(tiny, tmp_path / "source")
    shutil.rmtree(file.parent / "vae")
    arrays = published(tiny, "autoencoder")
    outer = {
        name.replace("encoder.quant_conv", "quant_conv").replace("decoder.post_", "post_"): x
        for name, x in arrays.items()
    }
    assert outer.keys() != arrays.keys()
    save(file.parent / "vae" / "flux2-vae.safetensors", outer)
    (file.parent / "vae" / "config.json").write_text(str(CONFIGS["autoencoder"]).replace("'", '"'))
    same(made(file, tmp_path / "out")[0], tiny, "autoencoder")


def test_a_stray_tensor_is_not_passed_over(tmp_path):
    tiny = TINY["flux1-dev"]
    file = checkpoint(tiny, tmp_path / "source")
    write(file, {**everything(tiny), "extra.unrelated": np.ones(3, np.float32)})
    with pytest.raises(FluxLocalError, match=r"extra\.unrelated"):
        made(file, tmp_path / "out")


def test_order_of_components():
    names = ["text_encoders.t5xxl.transformer.a", "vae.b", "model.diffusion_model.c", "text_encoders.clip_l.d"]
    assert [list(found) for found in list_components(names)] == [["c"], ["b"], ["d"], ["a"]]
