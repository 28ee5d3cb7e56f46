"""The assembled FLUX.2 dev: Mistral, embedded guidance, small decoder; and the schedule's jump at 4300 tokens.

A tiny random model saved by diffusers, converted by us: final latents within 1e-4 and pictures within 1/255 of
diffusers' Flux2Pipeline on the same noise.
"""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from converters.convert import convert  # noqa: E402
from mlx_model.run.pipeline import Pipeline  # noqa: E402
from mlx_model.run.sampler import empirical_mu  # noqa: E402

from .test_pipeline_flux2 import CHANNELS, compare, pictures  # noqa: E402
from .tiny_dev import LAYERS, tiny_pipeline  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    place, theirs = tmp_path_factory.mktemp("dev"), tiny_pipeline()
    theirs.save_pretrained(place / "source")
    list(convert(place / "source", place / "folder", bits=32))
    theirs.set_progress_bar_config(disable=True)
    return theirs, Pipeline.open(place / "folder", "float32")


def test_the_folder_is_dev_s(pair):
    _, ours = pair
    assert ours.spec.name == "flux2-dev"
    assert ours.autoencoder.params.decoder_ch == 8
    assert ours.folder.components["text_encoder"].params["out_layers"] == LAYERS


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("guidance", [4.0, 1.5])
def test_same_noise_same_picture(pair, count, guidance, tmp_path):
    compare(*pair, pictures(count), tmp_path, {"guidance_scale": guidance}, {"guidance": guidance})


@pytest.mark.parametrize("steps", [1, 4, 10, 50, 200])
@pytest.mark.parametrize("tokens", [16, 256, 4096, 4299, 4300, 4301, 16384])
def test_the_schedule_s_shift(tokens, steps):
    """A line of the tokens that depends on the steps up to 4300, and another one that does not beyond."""
    from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu

    assert abs(empirical_mu(tokens, steps) - compute_empirical_mu(tokens, steps)) < 1e-12


def test_channels(pair):
    assert pair[1].channels == CHANNELS
