"""Saved Core ML packages, read back and evaluated without a Mac, against the MLX networks that they were made from.

On a Mac, Core ML itself runs them too.
"""

import json
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("coremltools")

from app.cli.group import cli
from converters import coreml
from mlx_model.errors import ConvertError, LayoutError
from mlx_model.events import Note
from mlx_model.nets import autoencoder, tiny_autoencoder
from mlx_model.run.pictures import to_signed
from mlx_model.run.pipeline import Pipeline
from mlx_model.specs import SPECS
from mlx_model.store.folder import list_others, open_folder, verify
from mlx_model.store.weights import open_component
from tests.converters.checkpoints import converted
from tests.model.nets.test_tiny_autoencoder import needs_real_weights, network, photo, real_network
from tests.parity import mil

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Implicitly cleaning up"),  # coremltools leaves its folders to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ASSETS = Path(__file__).parents[2] / "assets"
LEVEL = 2.0  # of 255: what float16 may change in a picture without anybody seeing it
HALF = 2**-11  # float16's rounding of one number
LATENT = 0.15  # of a standard deviation; the same change of latents, decoded, stays below LEVEL


def first(x: mx.array) -> np.ndarray:
    """Channels first."""
    return np.array(x).transpose(0, 3, 1, 2)


def save(network, side: str, given: mx.array, folder: Path) -> Path:
    """Its package for inputs like this one and for wider ones."""
    shape = (1, given.shape[3], *given.shape[1:3])
    package = folder / f"{side}.mlpackage"
    with coreml.silence():
        coreml.build_package(network, side, [shape, *((*shape[:3], n * shape[3]) for n in (2, 3))]).save(str(package))
    return package


def run(package: Path, x: mx.array) -> np.ndarray:
    """What the package makes of a map with channels last, by the interpreter; on a Mac by Core ML too."""
    made = mil.evaluate(mil.read_program(package), first(x)).astype(np.float32)
    if sys.platform == "darwin":
        given = {coreml.SIDES[package.stem]: first(x).astype(np.float16)}
        (own,) = coreml.load_tools().models.MLModel(str(package)).predict(given).values()
        assert np.abs(own - made).max() < LEVEL / 127.5
    return made


def levels(made: np.ndarray, picture: mx.array) -> float:
    """The largest difference of two pictures in [-1, 1], of 255."""
    return float(np.abs(made - first(picture)).max() * 127.5)


def error(network, side: str, given: mx.array, made: mx.array, folder: Path) -> float:
    return float(np.abs(run(save(network, side, given, folder), given) - first(made)).max())


def structure_error(network, side: str, given: mx.array, made: mx.array, folder: Path) -> float:
    """Of the largest value, with no rounding but of what is stored: more is a part that does another thing."""
    program = mil.read_program(save(network, side, given, folder))
    difference = mil.evaluate(program, first(given), rounded=False) - first(made)
    return float(np.abs(difference).max() / np.abs(first(made)).max())


@needs_real_weights
def test_taef2_draws_what_mlx_draws_at_every_size(tmp_path):
    """One package, pictures 512, 1024 and 1536 wide; low ones, since an interpreter takes its time."""
    model = real_network()
    model.set_dtype(mx.float32)
    strips = [to_signed(photo(512)[None, :64].repeat(times, 2)) for times in (1, 2, 3)]
    package = save(model, "decoder", model.encode(strips[0]), tmp_path)
    for picture in strips:
        latents = model.encode(picture)
        assert levels(run(package, latents), model.decode(latents)) < LEVEL, picture.shape


@needs_real_weights
def test_taef2_sees_what_mlx_sees(tmp_path):
    model = real_network()
    model.set_dtype(mx.float32)
    picture = to_signed(photo(256)[None])
    assert error(model, "encoder", picture, model.encode(picture), tmp_path) < LATENT


@pytest.mark.parametrize("name", ["taef1", "taef2"])
def test_golden_weights_of_both(name, tmp_path):
    model, rng = network(name), np.random.default_rng(0)
    z = mx.array(rng.standard_normal((1, 4, 6, 4 * model.params.z_channels)).astype(np.float32))
    picture = model.decode(z)
    assert error(model, "decoder", z, picture, tmp_path) < 0.02
    assert error(model, "encoder", picture, model.encode(picture), tmp_path) < 0.02


def test_the_built_in_model_draws_what_mlx_draws(tmp_path):
    """Its maps reach 2.4e5 between the blocks, where float16 ends at 6.5e4."""
    model = open_component(open_folder(ASSETS / "mini"), "autoencoder", mx.float32)
    picture = to_signed(np.asarray(Image.open(ASSETS / "examples" / "dog.png").convert("RGB"))[None])
    latents = model.encode(picture)
    assert levels(run(save(model, "decoder", latents, tmp_path), latents), model.decode(latents)) < LEVEL
    assert error(model, "encoder", picture, latents, tmp_path) < LATENT / 10


@pytest.mark.parametrize(
    "params",
    [
        autoencoder.Params(ch=8, ch_mult=(1, 2), num_res_blocks=1, z_channels=4, groups=4),
        autoencoder.Params(8, None, (1, 2), 1, 4, 4, packed_norm=False, quant_convs=False, scale=0.36, shift=0.12),
    ],
    ids=["FLUX.2", "FLUX.1"],
)
def test_every_part_of_the_large_autoencoder(params, tmp_path):
    mx.random.seed(0)
    model = autoencoder.AutoEncoder(params)
    if params.packed_norm:
        model.bn.running_mean, model.bn.running_var = mx.random.normal((16,)), mx.random.uniform(0.5, 2, (16,))
    model.set_dtype(mx.float16)
    model.set_dtype(mx.float32)  # weights that both have
    picture = to_signed(photo(32)[None])
    latents = model.encode(picture)
    assert structure_error(model, "encoder", picture, latents, tmp_path) < HALF
    assert structure_error(model, "decoder", latents, model.decode(latents), tmp_path) < HALF


def convert(*words: object):
    ended = CliRunner().invoke(cli, ["convert", *map(str, words), "--coreml"])
    assert ended.exit_code == 0, ended.output
    return ended


def test_a_package_in_the_folder_is_listed_verified_and_made_once(tmp_path):
    said = convert(ASSETS / "mini", "-o", tmp_path / "with")
    assert "Failed to load" not in said.output
    assert "passes" not in said.output
    folder = open_folder(tmp_path / "with")
    assert set(folder.packages) == {"decoder", "encoder"}
    assert list_others(folder.path) == []
    list(verify(folder))
    before = (folder.path / "model.json").read_bytes()
    assert [event.text for event in coreml.add_packages(folder.path) if isinstance(event, Note)] == [
        "with has its Core ML packages already."
    ]
    assert (folder.path / "model.json").read_bytes() == before
    weights = folder.path / "coreml" / "decoder.mlpackage" / mil.WEIGHTS / "weight.bin"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(LayoutError, match=r"weight\.bin"):
        list(verify(folder))


def test_in_place_and_after_a_kill_before_it_was_listed(tmp_path):
    convert(ASSETS / "mini", "-o", tmp_path / "m")
    manifest = tmp_path / "m" / "model.json"
    facts = json.loads(manifest.read_text("utf-8"))
    del facts["coreml"]
    manifest.write_text(json.dumps(facts), "utf-8")
    convert(tmp_path / "m")
    assert all(name.startswith("coreml-2/") for name in open_folder(tmp_path / "m").packages["decoder"])


def test_a_model_without_a_small_autoencoder_is_refused_by_name(tmp_path):
    model = converted(tmp_path / "m")
    with pytest.raises(ConvertError, match="no tiny autoencoder"):
        list(coreml.add_packages(model))


def test_the_sizes_that_a_model_shows_come_first_with_its_own():
    spec, model = SPECS["flux2-klein-4b"], tiny_autoencoder.AutoEncoder(tiny_autoencoder.Params())
    shapes = coreml.list_shapes(model, "decoder", spec)
    assert shapes[0] == (1, 128, 64, 64)
    assert (1, 128, 48, 85) in shapes  # 16:9 in the same area: 1360 x 768
    assert len(set(shapes)) == len(shapes) <= 128  # as many as Core ML takes


def test_a_run_shows_what_the_package_draws(tmp_path, monkeypatch):
    """The runtime's whole way but Core ML's own part, which the interpreter plays."""
    convert(ASSETS / "mini", "-o", tmp_path / "m")
    model = coreml.load_tools().models.MLModel

    def interpret(self, given):
        return {"picture": mil.evaluate(mil.read_program(Path(self.package_path)), given["latents"])}

    monkeypatch.setattr(model, "predict", interpret)
    pipeline = Pipeline.open(tmp_path / "m", "float32")
    draw = coreml.open_decoder(pipeline.folder)
    latents = np.random.default_rng(0).standard_normal((1, 8, 8, 64)).astype(np.float32)
    shown = draw(latents).astype(int)
    assert np.abs(shown - pipeline.show(mx.array(latents)).astype(int)).max() <= LEVEL
    assert draw(np.zeros((1, 8, 5, 64), np.float32)) is None  # a size that no aspect has
