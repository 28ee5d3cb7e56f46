"""The quick trainer: it goes on where it stopped to the bit, and the product reads its runs."""

import argparse
import dataclasses
import json

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

from safetensors.torch import save_file  # noqa: E402

from mlx_model.nets import autoencoder, flux2, text_qwen3  # noqa: E402
from mlx_model.store.folder import open_folder  # noqa: E402
from mlx_model.store.weights import open_component  # noqa: E402
from mlx_model.training import flow, loop, mini  # noqa: E402
from mlx_model.training import mini_world as world  # noqa: E402
from tests.mirror import checkpoint, recipe, samples, train  # noqa: E402
from tests.mirror.autoencoder import AutoEncoder  # noqa: E402
from tests.mirror.names import to_mlx  # noqa: E402

needs_font = pytest.mark.skipif(world.font_path() is None, reason="Noto Color Emoji is not installed")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of a small transformer a few steps old."""
    if world.font_path() is None:
        pytest.skip("Noto Color Emoji is not installed")
    folder = tmp_path_factory.mktemp("mirror")
    torch.manual_seed(0)
    save_file(AutoEncoder(recipe.AUTOENCODER).state_dict(), folder / "pictures.safetensors")
    train.begin(folder / "run", folder / "pictures.safetensors", None)
    train.go(folder / "run", 4, 60.0, 12)
    return folder / "run"


@pytest.fixture(autouse=True, scope="module")
def small():
    """Three small blocks and pictures of 64 px, so that a step takes no time."""
    patch = pytest.MonkeyPatch()
    sizes = {**recipe.SPEC.transformer, "hidden_size": 64, "num_heads": 2, "depth": 1, "depth_single_blocks": 2}
    sizes["axes_dim"] = (4, 12, 12, 4)
    patch.setattr(recipe, "TRANSFORMER", flux2.Params(**sizes))
    patch.setattr(recipe, "SPEC", dataclasses.replace(recipe.SPEC, transformer=sizes))
    patch.setattr(recipe, "SIDE", 64)
    patch.setattr(recipe, "GRID", (2, 2))
    patch.setattr(samples, "KEPT", 60)
    patch.setattr(samples, "SLACK", 30)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them wait for each other on a busy machine
    yield
    torch.set_num_threads(threads)
    patch.undo()


def states(run: train.Run) -> dict[str, torch.Tensor]:
    """All that moves."""
    moments = checkpoint.moments(run.model, run.optimizer)
    return {**run.model.state_dict(), **{f"ema {name}": x for name, x in run.average.items()}, **moments}


def test_going_on_is_never_having_stopped(begun):
    run = train.Run(begun)
    expected = [run.advance(4) for _ in range(4)]
    again = train.Run(begun)
    assert [again.advance(4) for _ in range(4)] == expected
    reached, goal = states(again), states(run)
    assert reached.keys() == goal.keys()
    assert all(torch.equal(reached[name], x) for name, x in goal.items())


def test_the_product_reads_its_checkpoint(begun):
    """Weights, average and moments, by the names of training/loop.py; its next step moves what there is."""
    model = flow.TextToFlow(recipe.TEXT, recipe.TRANSFORMER)
    optimizer = loop.muon_and_adam(model, 0.01, 0.001)
    optimizer.init(model.trainable_parameters())
    average, step = loop.load_state(begun / "transformer" / "state.safetensors", model, optimizer)
    theirs = train.Run(begun)
    assert step == theirs.step == 3
    for name, x in mini.read_averages(begun).items():
        assert mx.allclose(x, to_mlx(theirs.average)[name])
    name = "double_blocks.0.img_attn.proj.weight"
    velocity = optimizer.state["states"][0]["transformer"]["double_blocks"][0]["img_attn"]["proj"]["weight"]["v"]
    assert np.allclose(velocity, theirs.optimizer.velocity[f"transformer.{name}"])
    assert average["transformer"]["img_in"]["weight"].shape == (64, 64)


def test_export_is_a_converted_folder(begun, tmp_path):
    mini.export(begun, tmp_path / "made", recipe.SPEC)
    folder = open_folder(tmp_path / "made")
    assert autoencoder.Params(**folder.components["autoencoder"].params) == recipe.AUTOENCODER
    assert text_qwen3.Params(**folder.components["text_encoder"].params) == recipe.TEXT
    pictures = mx.random.uniform(-1, 1, (1, 64, 64, 3))
    theirs = samples.open_autoencoder(begun / "autoencoder.safetensors")
    with torch.no_grad():
        encoded = theirs.encode(torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)).numpy()
    ours = np.array(open_component(folder, "autoencoder", mx.float32).encode(pictures)).reshape(1, 4, 64)
    assert np.abs(ours - encoded).max() < 0.05 * np.abs(encoded).max()  # float16 on disk


def test_a_model_that_was_exported_begins_a_new_run(begun, tmp_path):
    mini.export(begun, tmp_path / "made", recipe.SPEC)
    train.begin(tmp_path / "run", None, tmp_path / "made")
    run, before = train.Run(tmp_path / "run"), train.Run(begun)
    assert (run.samples, run.since) == (recipe.PHASES[-1][1], 0)
    for name, x in run.model.state_dict().items():  # 8 bits on disk: half a step of a group of 64 numbers
        assert torch.allclose(x, before.average[name], atol=0.01 * before.average[name].abs().max().item()), name
    assert np.isfinite(run.advance(4)[1])


def test_settling_leaves_the_run_alone(begun, tmp_path):
    before = (begun / "transformer" / "state.safetensors").read_bytes()
    train.settle(begun, tmp_path / "settled", 4, 8)
    assert (begun / "transformer" / "state.safetensors").read_bytes() == before
    assert train.Run(tmp_path / "settled").samples == train.Run(begun).samples + 8


def test_one_command_begins_settles_and_exports_and_goes_on_when_it_is_repeated(tmp_path, monkeypatch):
    if world.font_path() is None:
        pytest.skip("Noto Color Emoji is not installed")
    monkeypatch.setattr(train, "SETTLED", 4)
    save_file(AutoEncoder(recipe.AUTOENCODER).state_dict(), tmp_path / "pictures.safetensors")
    options = argparse.Namespace(run=tmp_path / "run", out=tmp_path / "model", model=None, batch=4, minutes=60.0)
    options.autoencoder = tmp_path / "pictures.safetensors"
    for options.samples in (4, 8):
        train.make(options)
    assert train.Run(options.run).samples == 8
    assert open_folder(options.out).spec.name == "mini"


def test_a_loss_that_is_no_number_stops_it(begun):
    run = train.Run(begun)
    with torch.no_grad():
        run.model.transformer.img_in.weight.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="the last checkpoint is whole"):
        run.advance(4)


def test_the_log_has_a_line_of_json(begun):
    run = train.Run(begun)
    log = train.Log(run)
    log.add(1, 0.5, 1.0)
    log.tell()
    line = json.loads(log.file.read_text().splitlines()[-1])
    assert line["loss1"] == 0.5


@needs_font
def test_rings_forget_the_oldest(tmp_path):
    ring = samples.Ring(tmp_path, "all-0", 0)
    row = (np.zeros(40), np.ones(40), np.ones(4), np.zeros((1, 4, 64)))
    ring.add([row] * 3)
    ring.add([(row[0] + 7, *row[1:])])
    assert ring.take(np.random.default_rng(0), 50)[0].unique().tolist() == [0, 7]
    again = samples.Ring(tmp_path, "all-0", 0, made=3)
    assert again.take(np.random.default_rng(0), 50)[0].unique().tolist() == [0]
