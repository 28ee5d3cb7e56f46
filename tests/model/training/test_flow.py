"""Training: the start of a network, per-token times, Self-Flow's loss, and a loop that resumes where it stopped."""

import itertools

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import flux2, text_qwen3
from mlx_model.nets.ops import timestep_features
from mlx_model.training import flow, loop, mini

TEXT = text_qwen3.Params(16, 32, 2, 1, 8, (1, 2), vocab_size=32)
NET = flux2.Params(32, 2, 1, 2, TEXT.width, in_channels=8, axes_dim=(4, 4, 4, 4), theta=50.0)


def batch(seed: int = 0, count: int = 2) -> flow.Batch:
    rng = np.random.default_rng(seed)
    latents = mx.array(rng.normal(size=(count, 6, 8)).astype(np.float32))
    ids = mx.array(rng.integers(0, 32, (count, 5)).astype(np.int32))
    times = flow.sample_times(rng, count, 0.4)
    real = mx.ones((count, 5), mx.bool_)
    return flow.Batch(ids, real, latents, latents, ((2, 3), (2, 3)), times, mx.ones((count, 6)))


def student(kind=flow.Student):
    mx.random.seed(1)
    model = kind(TEXT, NET)
    flow.initialise(model)
    mx.eval(model.parameters())
    return model


def awake(model):
    """A last layer that is not zero, so that outputs say something."""
    model.transformer.final_layer.linear.weight = mx.random.normal((8, 32))
    return model


def test_gates_start_near_one_at_every_time():
    vec = student().transformer.time_vector(timestep_features([0.0, 0.3, 1.0]))
    for mod in student().transformer.double_stream_modulation_img(vec):
        assert mx.abs(mod.gate - 1).max().item() < 0.1
        assert mx.abs(mod.shift).max().item() < 0.2
        assert mx.abs(mod.factor - 1).max().item() < 0.2


def test_times_per_token_equal_one_time_for_all_where_they_are_equal():
    model, given = awake(student()), batch()
    noise = mx.random.normal(given.latents.shape)
    per_token, _ = flow._run(model, given, noise, np.repeat(given.times[:, None], 6, 1))
    t = mx.array(given.times.astype(np.float32))[:, None, None]
    noisy = (1 - t) * given.latents + t * noise
    shared = model.transformer(noisy, timestep_features(given.times), model.condition(given))
    assert mx.abs(per_token - shared).max().item() < 1e-4


def test_a_token_with_its_own_time_changes_the_output():
    model, given = awake(student()), batch()
    noise = mx.random.normal(given.latents.shape)
    times = np.repeat(given.times[:, None], 6, 1)
    other = times.copy()
    other[:, 2] = 0.05
    a, b = flow._run(model, given, noise, times)[0], flow._run(model, given, noise, other)[0]
    assert mx.abs(a - b)[:, 2].max().item() > 1e-2


def test_masked_share_of_tokens():
    rng = np.random.default_rng(0)
    times = flow.token_times(rng, np.full(200, 0.2), np.full(200, 0.7), 64)
    assert (times == 0.7).mean() == pytest.approx(flow.MASK_RATIO, abs=0.01)


def test_the_teacher_gets_no_gradient_and_the_head_learns():
    model, teacher, rng = awake(student()), student(), np.random.default_rng(0)
    given = batch()

    def loss(model, given):
        return flow.self_flow_loss(model, teacher, given, np.array([0.2, 0.9]), rng)

    before = dict(tree_flatten(teacher.parameters()))
    gradient = mx.value_and_grad(lambda p: loss(_with(model, p), given))
    (value, figures), gradients = gradient(model.trainable_parameters())
    assert np.isfinite(value.item())
    assert set(figures) == {"loss1", "likeness"}
    assert mx.abs(gradients["head"][0]["weight"]).max().item() > 0
    assert all(mx.array_equal(before[name], x) for name, x in tree_flatten(teacher.parameters()))


def _with(model, parameters):
    model.update(parameters)
    return model


def run(folder, steps):
    model = student(flow.TextToFlow)
    batches = itertools.cycle([batch(3, 4)])
    mx.random.seed(5)
    loop.train(model, flow.velocity_loss, batches, optim.Adam(2e-3), steps, folder, log_every=5, save_every=5)
    return model


@pytest.mark.sweep
def test_the_loss_falls_and_the_log_says_so(tmp_path):
    import json

    run(tmp_path, 60)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 60
    assert lines[-1]["loss1"] < 0.8 * lines[0]["loss1"]


def test_a_resumed_run_goes_on_from_its_checkpoint(tmp_path):
    run(tmp_path, 10)
    model = run(tmp_path, 10)  # nothing left to do: the saved weights come back
    saved = mx.load(str(tmp_path / "state.safetensors"), return_metadata=True)
    assert saved[1]["step"] == "10"
    run(tmp_path, 15)
    arrays, metadata = mx.load(str(tmp_path / "state.safetensors"), return_metadata=True)
    assert metadata["step"] == "15"
    moved = arrays["model:transformer.img_in.weight"] - model.transformer.img_in.weight
    assert 0 < mx.abs(moved).max().item() < 0.1


def test_one_command_makes_the_built_in_model(tmp_path, monkeypatch):
    """From nothing, or from finished weights, and going on begins nothing anew."""
    done = []
    for name in ("train_autoencoder", "train_transformer", "export", "resume"):
        monkeypatch.setattr(mini, name, lambda *given, name=name: done.append((name, *given)))
    out, target = tmp_path / "run", tmp_path / "model"
    mini.train_all(out, target, None, 7, 8, False)
    assert done == [
        ("train_autoencoder", out, 3000, 8),
        ("train_transformer", out, 7, 8, False),
        ("export", out, target),
    ]
    del done[:]
    mini.train_all(out, target, tmp_path / "start", 7, 8, False)
    assert [name for name, *_ in done] == ["resume", "train_transformer", "export"]
    out.mkdir()
    (out / "autoencoder.safetensors").touch()
    del done[:]
    mini.train_all(out, target, tmp_path / "start", 7, 8, False)
    assert [name for name, *_ in done] == ["train_transformer", "export"]
