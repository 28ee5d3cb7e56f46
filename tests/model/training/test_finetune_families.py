"""Every family learns: tiny models of each row, through the functions that sample, with what each takes."""

from dataclasses import replace
from functools import partial

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.convert import convert
from mlx_model.errors import RequestError
from mlx_model.geometry import Size
from mlx_model.nets.ops import timestep_features
from mlx_model.request import Lora, Reference, Request
from mlx_model.run import flux2
from mlx_model.run.pipeline import Pipeline
from mlx_model.store import folder
from mlx_model.store.weights import PackedLinear
from mlx_model.training import examples, finetune, loop, objective
from mlx_model.training.flow import TEACHER_LAYER, layer_at
from tests.converters import made_selfflow
from tests.converters.tiny import TINY, checkpoint

MODELS = [name for name in TINY if name != "flux1-fill-dev"]
SQUARE = Size(64, 64)
GREY = np.repeat(np.random.default_rng(3).integers(0, 255, (64, 64, 1)), 3, axis=2).astype(np.uint8)


def open_model(tmp_path, model, bits=8):
    if model == "selfflow-imagenet":
        source = made_selfflow.checkpoint(tmp_path / "source")
    else:
        source = checkpoint(TINY[model], tmp_path / "source")
    list(convert(source, tmp_path / "model", model, bits=bits))
    return Pipeline.open(tmp_path / "model", "float32")


def make_sources(spec, size=SQUARE):
    """One example as the model takes it: with pictures where it looks at some, a class where it has classes."""
    size = spec.size if spec.classes else size
    count = min(spec.max_references, 2 if spec.pictures == "tokens" and not spec.needs_picture else 1)
    references = tuple(Reference(pixels=GREY) for _ in range(count))
    words = {"label": 207} if spec.classes else {"prompt": "a cat"}
    request = Request(spec.name, width=size.width, height=size.height, references=references, **words)
    example = examples.Example(request, np.resize(GREY, (size.height, size.width, 3)))
    return [examples.Source("a.png", "a", words.get("prompt", ""), words.get("label"), size, lambda: example)]


def make_trainer(pipe, tmp_path, size=SQUARE, **settings):
    sources = make_sources(pipe.spec, size)
    store = examples.Store(tmp_path / "cache", "tiny")
    list(examples.encode_all(pipe, sources, store, True))
    return finetune.Trainer(pipe, sources, store, finetune.Settings(rank=2, rate=1e-2, **settings))


@pytest.mark.first_case
@pytest.mark.parametrize("model", [*MODELS, "selfflow-imagenet"])
def test_a_step_moves_every_adapter_and_its_file_is_read(tmp_path, model):
    run = make_trainer(open_model(tmp_path, model), tmp_path)
    figures = [run.advance(), run.advance()]  # B is nothing before the first step, and so is the gradient of A
    assert all(np.isfinite(list(one.values())).all() for one in figures)
    still = [name for name, array in tree_flatten(run.masters) if "lora_B" in name and not np.array(array).any()]
    assert [name for name in still if not is_unseen(run.pipe.transformer, name)] == []
    file = tmp_path / "lora.safetensors"
    loop.save_arrays(file, run.result(), {"format": "pt"})
    pipe = Pipeline.open(tmp_path / "model", "float32")
    request = replace(run.sources[0].open().request, steps=1, loras=(Lora(str(file)),))
    *_, with_lora = pipe.run(request)
    *_, bare = pipe.run(replace(request, loras=()))
    assert np.abs(with_lora.latents - bare.latents).max() > 0


@pytest.mark.sweep
@pytest.mark.parametrize("bits", [4, 8])
def test_a_packed_base_stays_packed_as_it_was_and_its_lora_is_read(tmp_path, bits, monkeypatch):
    monkeypatch.setattr(folder, "SMALL_BYTES", 0)
    run = make_trainer(open_model(tmp_path, "flux2-klein-4b", bits), tmp_path)
    base = [layer for _, layer in run.pipe.transformer.named_modules() if isinstance(layer, PackedLinear)]
    before = [np.array(layer.weight) for layer in base]
    run.advance()
    assert bits in {layer.bits for layer in base}
    assert all(np.array_equal(old, np.array(layer.weight)) for old, layer in zip(before, base, strict=True))
    assert all("lora" in name for name, _ in tree_flatten(run.masters))
    file = tmp_path / "lora.safetensors"
    loop.save_arrays(file, run.result(), {"format": "pt"})
    request = replace(run.sources[0].open().request, steps=1, loras=(Lora(str(file)),))
    *_, done = Pipeline.open(tmp_path / "model", "float32").run(request)
    with run.hold_average():
        *_, learned = run.pipe.run(replace(request, loras=()))
    assert np.abs(done.latents - learned.latents).max() < 1e-3  # the adapters' products are joined in another order


def is_unseen(transformer, name):
    """What the last double block does to the text is read by no one where no single block follows."""
    return not transformer.params.depth_single_blocks and "txt_" in name


@pytest.mark.sweep
@pytest.mark.parametrize("model", ["flux2-klein-4b", "flux2-klein-9b-kv", "selfflow-imagenet"])
def test_self_flow_on_what_takes_a_time_for_each_token(tmp_path, model):
    figures = make_trainer(open_model(tmp_path, model), tmp_path, self_flow=True).advance()
    assert -1 <= figures["likeness"] <= 1


@pytest.mark.first_case
@pytest.mark.parametrize("model", ["flux1-dev", "flux3-image-klein"])
def test_no_self_flow_on_what_takes_one_time(tmp_path, model):
    with pytest.raises(RequestError, match="one time for the whole picture"):
        make_trainer(open_model(tmp_path, model), tmp_path, self_flow=True)


def test_the_two_levels_of_noise_are_drawn_as_the_paper_says():
    """Two independent times of one distribution, the second on a quarter of the tokens; within 4 standard errors."""
    drawn = [objective.draw(0, number, (1, 64, 1), 0.4, 0.0) for number in range(400)]
    times, others = (np.array([getattr(one, name) for one in drawn]) for name in ("time", "other"))
    assert abs(np.mean([one.masked.mean() for one in drawn]) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / (400 * 64))
    assert abs(np.corrcoef(times, others)[0, 1]) < 4 / np.sqrt(400)
    for level in (times, others):  # its logit is normal around the shift
        assert abs(np.mean(np.log(level / (1 - level))) - 0.4) < 4 / np.sqrt(400)


def test_the_teacher_sees_the_cleaner_of_the_two(tmp_path, monkeypatch):
    run = make_trainer(open_model(tmp_path, "flux2-klein-4b"), tmp_path, self_flow=True)
    seen = []
    real = objective.run_per_token
    monkeypatch.setattr(objective, "run_per_token", lambda *given: seen.append(given[-1]) or real(*given))
    run.advance()
    teacher, student = seen
    assert len(np.unique(teacher)) == 1
    assert teacher[0, 0] == student.min()
    assert len(np.unique(student)) == 2


def test_the_teacher_s_words_go_with_its_time(tmp_path):
    """The deviation of equal floats isn't quite 0 for half of all times, so that it can't tell one time from two."""
    run = make_trainer(open_model(tmp_path, "flux2-klein-4b"), tmp_path, Size(80, 96))
    given = examples.features_of(run.pipe, run.store, run.sources[0])
    (condition,) = flux2.conditions(run.pipe, run.request, given.grid, [given.text], given.references)
    for number in (2, 3, 4):
        drawn = objective.draw(0, number, given.latents.shape, 0.0, 0.0)
        t = float(min(drawn.time, drawn.other))
        noisy = (1 - t) * given.latents + t * drawn.noise
        _, states = run.pipe.transformer.with_states(noisy, timestep_features([t]), condition)
        seen = objective.see_as_teacher(run.pipe, run.request, given, drawn)
        assert mx.allclose(seen, states[layer_at(TEACHER_LAYER, len(states))], rtol=1e-4, atol=1e-4), number


def test_times_for_each_token_that_are_all_alike_give_the_plain_loss(tmp_path):
    run = make_trainer(open_model(tmp_path, "flux2-klein-4b"), tmp_path)
    given = examples.features_of(run.pipe, run.store, run.sources[0])
    drawn = objective.draw(0, 0, given.latents.shape, 0.0, 0.0)
    plain = objective.flow_loss(run.pipe, run.request, given, drawn)
    alike = drawn._replace(other=drawn.time)
    head = partial(mx.zeros_like)
    error, _ = objective.self_flow_losses(run.pipe, run.request, given, alike, head, mx.zeros((1, 16, 64)))
    assert error.item() == pytest.approx(plain.item(), rel=1e-5)  # float32 sums in another order
