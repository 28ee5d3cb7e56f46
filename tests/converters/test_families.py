"""Tiny checkpoints of every family convert as their full-size ones: values, components, tokenizers, ways to lie."""

import dataclasses
import json
import shutil

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from app.cli.say import on_command_line
from converters.convert import convert
from mlx_model.errors import ConvertError, RequestError
from mlx_model.nets import tiny_autoencoder
from mlx_model.run.tokenize import PromptTokenizer
from mlx_model.specs import PACKED_ROLES
from mlx_model.store.folder import open_folder, verify
from mlx_model.store.weights import PackedEmbedding, PackedLinear, build, open_component
from tests.converters.made_selfflow import save_pt
from tests.converters.tiny import CONFIGS, TINY, checkpoint, companions, published, save, weights
from tests.golden import recipe_weights

FAMILIES = ["flux1-dev", "flux1-redux-dev", "flux2-klein-4b", "flux3-image-klein"]
TAEF = tiny_autoencoder.Params(z_channels=4, pool=False)


def made(source, out, model=None, **settings):
    list(convert(source, out, model, **settings))
    return open_folder(out)


def same(folder, tiny, role):
    module = open_component(folder, role, mx.float32)
    assert module.params == tiny.parts[role][0]
    exact = weights(tiny, role)
    for name, array in tree_flatten(module.parameters()):
        assert np.array_equal(np.array(array), exact[name]), name


@pytest.mark.first_case
@pytest.mark.parametrize("model", TINY)
def test_values_arrive(tmp_path, model):
    """A single file with its companions beside it, told by the file's name; every component to the bit."""
    tiny = TINY[model]
    folder = made(checkpoint(tiny, tmp_path / "source"), tmp_path / "out", bits=32)
    assert folder.spec.name == model
    assert set(folder.components) == set(tiny.parts)
    for role in tiny.parts:
        same(folder, tiny, role)
    assert list(verify(folder))
    assert {name.split("/")[0] for name in folder.tokenizer} == {"tokenizer", "pooled_tokenizer"} & (
        {"tokenizer", "pooled_tokenizer"} if len(tiny.tokenizers) > 1 else {"tokenizer"}
    )


@pytest.mark.first_case
@pytest.mark.parametrize("model", FAMILIES)
def test_packed(tmp_path, model):
    """Transformer and text encoder are packed; what is small or shows every error is not."""
    tiny = TINY[model]
    folder = made(checkpoint(tiny, tmp_path / "source"), tmp_path / "out", bits=4)
    for role in tiny.parts:
        module = open_component(folder, role, mx.float32)
        kinds = {type(layer) for _, layer in module.named_modules()}
        assert bool(kinds & {PackedLinear, PackedEmbedding}) == (role in PACKED_ROLES), role


def test_two_tokenizers(tmp_path):
    """diffusers' second is T5's; CLIP's old files become one tokenizer.json."""
    folder = made(checkpoint(TINY["flux1-dev"], tmp_path / "source"), tmp_path / "out")
    t5 = PromptTokenizer(folder.tokenizer_path, "t5", 4)
    assert t5("cat")[0].tolist() == [[4, 1, 0, 0]]
    clip = PromptTokenizer(folder.pooled_tokenizer_path, "clip", 4)
    assert [clip.tokenizer.id_to_token(number) for number in clip.ids("a")] == [
        "<|startoftext|>",
        "a</w>",
        "<|endoftext|>",
    ]
    assert sorted(path.name for path in folder.pooled_tokenizer_path.iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_loose_files(tmp_path):
    """As people collect them: the encoders and the autoencoder as single files beside the transformer."""
    tiny, place = TINY["flux1-schnell"], tmp_path / "models"
    file = checkpoint(tiny, place)
    for role, name in (("text_encoder", "t5xxl_fp16"), ("pooled_encoder", "clip_l"), ("autoencoder", "ae")):
        shutil.rmtree(place / tiny.parts[role][2])
        save(place / f"{name}.safetensors", published(tiny, role))
    save(place / "something_else.safetensors", {"a.weight": np.ones((2, 2))})
    (place / "notes.bin").write_bytes(b"\x00\x01no pickle")
    (place / "config.json").write_text(json.dumps({"norm_num_groups": 4, "eos_token_id": 2}))
    folder = made(file, tmp_path / "out", bits=32)
    for role in tiny.parts:
        same(folder, tiny, role)


def test_the_part_that_fits_is_taken(tmp_path):
    """Two autoencoders lie there: another model's is passed over, as long as one fits."""
    tiny, place = TINY["flux1-dev"], tmp_path / "source"
    file = checkpoint(tiny, place)
    shutil.rmtree(place / "vae")
    other = build("autoencoder", "autoencoder", {"ch": 32, "ch_mult": (1, 1), "num_res_blocks": 1})
    turned = {k: np.array(x).transpose(0, 3, 1, 2) if x.ndim == 4 else x for k, x in tree_flatten(other.parameters())}
    save(place / "a_flux2_vae.safetensors", turned)
    with pytest.raises(ConvertError, match="autoencoder belongs to another model"):
        made(file, tmp_path / "out")
    (place / "config.json").write_text(json.dumps({"norm_num_groups": 4}))
    save(place / "ae.safetensors", published(tiny, "autoencoder"))
    same(made(file, tmp_path / "out", bits=32), tiny, "autoencoder")


@pytest.mark.sweep
def test_redux_from_its_own_repository_and_another_model(tmp_path):
    """The embedder's folder or file with --companions: a diffusers FLUX.1, or one that is converted already."""
    tiny, own = TINY["flux1-redux-dev"], tmp_path / "FLUX.1-Redux-dev"
    dev = checkpoint(TINY["flux1-dev"], tmp_path / "FLUX.1-dev")
    for role in ("image_embedder", "image_encoder"):
        save(own / role / "model.safetensors", published(tiny, role))
        (own / role / "config.json").write_text(json.dumps(CONFIGS.get(tiny.parts[role][1], {})))
    with pytest.raises(ConvertError, match="is an image embedder, not a whole model") as error:
        made(own, tmp_path / "out")
    assert "--companions" in on_command_line(error.value.hint)
    (dev.parent / "transformer").mkdir()
    dev.rename(dev.parent / "transformer" / "model.safetensors")
    folder = made(own, tmp_path / "one", bits=32, companions=dev.parent)
    assert folder.spec.name == "flux1-redux-dev"
    for role in tiny.parts:
        same(folder, tiny, role)
    converted = made(dev.parent, tmp_path / "dev", "flux1-dev", bits=8)
    folder = made(own, tmp_path / "two", companions=converted.path)
    for name, facts in converted.list_files().items():
        assert folder.list_files()[name]["sha256"] == facts["sha256"]
    assert set(folder.components) == set(tiny.parts)


def taef(place, params=TAEF):
    """The two published files, from random weights."""
    shapes = {n: tuple(x.shape) for n, x in tree_flatten(tiny_autoencoder.AutoEncoder(params).parameters())}
    own = recipe_weights(shapes)
    turned = {name: x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for name, x in own.items()}
    for side in ("encoder", "decoder"):
        half = {name.removeprefix(side + "."): x for name, x in turned.items() if name.startswith(side)}
        save_pt(place / f"taef1_{side}.pth", half, None)
    return own


@pytest.mark.first_case
@pytest.mark.parametrize("place", ["source", "source/taef1"])
def test_tiny_autoencoder(tmp_path, place):
    """The pair of .pth files that is published, beside the rest, becomes an optional component; its code is not run."""
    file = checkpoint(TINY["flux1-dev"], tmp_path / "source")
    exact = taef(tmp_path / place)
    folder = made(file, tmp_path / "out", bits=4)
    assert folder.components["tiny_autoencoder"].family == "tiny_autoencoder"
    module = open_component(folder, "tiny_autoencoder", mx.float32)
    assert module.params == TAEF
    for name, array in tree_flatten(module.parameters()):
        assert np.abs(np.array(array) - exact[name]).max() < 0.02 * max(1, np.abs(exact[name]).max()), name


def test_a_tiny_autoencoder_of_another_model_is_left_out(tmp_path):
    file = checkpoint(TINY["flux1-dev"], tmp_path / "source")
    taef(tmp_path / "source", tiny_autoencoder.Params(z_channels=16, pool=False))
    assert "tiny_autoencoder" not in made(file, tmp_path / "out").components


def test_half_a_pair_is_left_out(tmp_path):
    file = checkpoint(TINY["flux1-dev"], tmp_path / "source")
    taef(tmp_path / "source")
    (tmp_path / "source" / "taef1_decoder.pth").unlink()
    assert "tiny_autoencoder" not in made(file, tmp_path / "out").components


@pytest.mark.first_case
@pytest.mark.parametrize(("gone", "said"), [
    ("text_encoder", "without pooled_encoder"), ("text_encoder_2", "without text_encoder"), ("vae", "without autoenc"),
    ("tokenizer", "without pooled tokenizer"), ("tokenizer_2", r"without tokenizer\."),
])  # fmt: skip
def test_what_is_missing_is_said(tmp_path, gone, said):
    file = checkpoint(TINY["flux1-dev"], tmp_path / "source")
    shutil.rmtree(tmp_path / "source" / gone)
    with pytest.raises(ConvertError, match=said) as error:
        made(file, tmp_path / "out")
    assert "--companions" in on_command_line(error.value.hint)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_another_model_than_the_one_that_is_asked_for(tmp_path):
    file = checkpoint(TINY["flux1-canny-dev"], tmp_path / "source")
    with pytest.raises(RequestError, match="is not flux1-fill-dev"):
        made(file, tmp_path / "out", "flux1-fill-dev")
    assert made(file, tmp_path / "out", "flux1-depth-dev").spec.name == "flux1-depth-dev"


@pytest.mark.first_case
@pytest.mark.parametrize("lone", [True, False])
def test_another_decoder_takes_the_place_of_the_model_s_own(tmp_path, lone):
    """As FLUX.2's small decoder does, given with --companions: its file, or the folder it lies in."""
    tiny = TINY["flux2-klein-4b"]
    file = checkpoint(tiny, tmp_path / "source")
    small = dataclasses.replace(tiny.parts["autoencoder"][0], decoder_ch=4)
    other = dataclasses.replace(tiny, parts={**tiny.parts, "autoencoder": (small, "autoencoder", "vae")})
    place = save(tmp_path / "small" / "full_encoder_small_decoder.safetensors", published(other, "autoencoder"))
    (place.parent / "config.json").write_text(json.dumps({"norm_num_groups": 4}))
    folder = made(file, tmp_path / "out", bits=32, companions=place if lone else place.parent)
    same(folder, other, "autoencoder")
    assert folder.spec.autoencoder["decoder_ch"] == 4


def test_companions_alone_are_no_model(tmp_path):
    companions(TINY["flux1-dev"], tmp_path / "source")
    with pytest.raises(ConvertError, match="no FLUX transformer"):
        made(tmp_path / "source", tmp_path / "out")
