"""The released form of Self-Flow, a .pt beside an old autoencoder, becomes a folder whose numbers are the file's."""

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.convert import SCRATCH, convert
from mlx_model.errors import ConvertError
from mlx_model.nets import selfflow
from mlx_model.store.folder import open_folder
from mlx_model.store.weights import open_component
from tests.converters.made_selfflow import SMALL, SMALL_VAE, checkpoint, save_pt, weights
from tests.golden import inp, vectors
from tests.model.nets.test_selfflow import PARAMS

GOLDEN = vectors("selfflow_tiny")


@pytest.mark.first_case
@pytest.mark.parametrize("form", ["the file", "its folder"])
def test_values_arrive(tmp_path, form):
    file = checkpoint(tmp_path / "source")
    list(convert(file if form == "the file" else file.parent, tmp_path / "out", bits=32))
    folder = open_folder(tmp_path / "out")
    assert (folder.spec.name, folder.plan) == ("selfflow-imagenet", "32bit")
    assert set(folder.components) == {"transformer", "autoencoder"}
    assert not folder.tokenizer
    model = open_component(folder, "transformer", mx.float32)
    assert model.params == SMALL
    exact = weights(SMALL)
    for name, array in tree_flatten(model.parameters()):
        assert np.array_equal(np.array(array), exact[name]), name
    assert open_component(folder, "autoencoder", mx.float32).params == SMALL_VAE
    assert not [path for path in tmp_path.rglob("*") if SCRATCH in path.name or "partial" in path.name]
    assert list(folder.source["files"]) == ["source/selfflow_imagenet256.pt", "vae/diffusion_pytorch_model.safetensors"]


def test_golden_vectors_through_the_file(tmp_path):
    """Sizes that no tensor shows come from config.json."""
    file = checkpoint(tmp_path / "source", PARAMS)
    list(convert(file, tmp_path / "out", bits=32))
    model = open_component(open_folder(tmp_path / "out"), "transformer", mx.float32)
    assert model.params == PARAMS
    x = inp(0, (1, 16, 16))
    for times, name in (([0.7], "out_scalar_t"), (np.linspace(0.1, 0.9, 16)[None], "out_per_token_t")):
        made = model(x, model.time_features(times), model.condition([3]))
        assert np.abs(np.array(made) - GOLDEN[name]).max() < 1e-5


@pytest.mark.first_case
@pytest.mark.parametrize("bits", [16, 8, 4])
def test_precisions(tmp_path, bits):
    list(convert(checkpoint(tmp_path / "source"), tmp_path / "out", bits=bits))
    model = open_component(open_folder(tmp_path / "out"), "transformer", mx.float32)
    exact = selfflow.Transformer(SMALL)
    exact.load_weights([(name, mx.array(x)) for name, x in weights(SMALL).items()], strict=True)
    features, x = exact.time_features([0.6]), inp(0, (1, 256, 16))
    ours, true = (np.array(m(x, features, m.condition([7]))) for m in (model, exact))
    assert 0 < np.linalg.norm(ours - true) / np.linalg.norm(true) < {16: 0.02, 8: 0.03, 4: 0.2}[bits]


def test_wrapped_names(tmp_path):
    file = checkpoint(tmp_path / "source")
    save_pt(file, {f"module.{name}": x for name, x in weights(SMALL).items()}, "state_dict")
    list(convert(file, tmp_path / "out"))
    assert open_folder(tmp_path / "out").spec.name == "selfflow-imagenet"


@pytest.mark.parametrize("missing", ["vae", "config.json"])
def test_what_is_missing_is_said(tmp_path, missing):
    file = checkpoint(tmp_path / "source", PARAMS)
    path = file.parent / missing
    if path.is_dir():
        path.rename(tmp_path / "elsewhere")
        with pytest.raises(ConvertError, match="without autoencoder"):
            list(convert(file, tmp_path / "out"))
        list(convert(file, tmp_path / "out", companions=tmp_path / "elsewhere" / "diffusion_pytorch_model.safetensors"))
    else:
        path.unlink()
        with pytest.raises(ConvertError, match="must say num_heads"):
            list(convert(file, tmp_path / "out"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]
