"""Several kinds in one network: what chance decides, what a step learns from, and going on to the bit."""

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.nets import flux2, text_qwen3
from mlx_model.training import joint
from mlx_model.training.learner import OTHERS
from mlx_model.training.needs import Settings
from mlx_model.training.patches import Bands, Pixels, Sound

TEXT = text_qwen3.Params(16, 32, 2, 1, 8, (1,), vocab_size=32, rope_theta=1e4)
NET = flux2.Params(32, 2, 1, 1, TEXT.width, in_channels=32, axes_dim=(4, 4, 4, 4), theta=50.0)
CODECS = {"image": Pixels(1, 8, (1, 4)), "video": Pixels(4, 8, (2, 4)), "audio": Sound(Bands(8, 8, (2, 8)))}
SIZES = joint.Sizes(CODECS, TEXT, NET)
BOTH = pytest.mark.parametrize("self_flow", [False, True])


def make_clips(kind: str, count: int = 3) -> list[joint.Clip]:
    rng, codec = np.random.default_rng(len(kind)), CODECS[kind]
    shape = (int(np.prod(codec.places)), codec.width)
    words = rng.integers(0, 32, (count, 6)).astype(np.int32)
    return [joint.Clip(rng.normal(size=shape).astype(np.float32), one, 4) for one in words]


def make_run(self_flow: bool, **further) -> joint.JointLearner:
    settings = Settings(rank=None, rate=1e-2, batch=2, self_flow=self_flow, seed=5, **further)
    return joint.JointLearner({kind: make_clips(kind) for kind in CODECS}, SIZES, settings)


def flat(tree) -> dict[str, mx.array]:
    return dict(tree_flatten(tree))


@pytest.mark.sweep
@BOTH
def test_going_on_is_never_having_stopped(tmp_path, self_flow):
    whole, begun, gone_on = (make_run(self_flow) for _ in range(3))
    wanted = [whole.advance() for _ in range(4)]
    figures = [begun.advance() for _ in range(2)]
    begun.save(tmp_path)
    gone_on.restore(tmp_path)
    figures += [gone_on.advance() for _ in range(2)]
    assert figures == wanted
    ours, theirs = flat(gone_on.result()), flat(whole.result())
    assert all(mx.array_equal(array, ours[name]) for name, array in theirs.items())


@BOTH
def test_every_kind_is_told_apart_and_all_count_alike(self_flow):
    figures = make_run(self_flow).advance()
    assert figures["loss"] == pytest.approx(np.mean([figures[kind] for kind in CODECS]))
    assert ("video_likeness" in figures) == self_flow


def test_a_step_is_the_sum_of_its_examples():
    """Whether they go through the network together or alone, as the processes of mlx.launch have them."""
    run = make_run(True)
    for _ in range(2):
        run.advance()  # from nothing, the last layer lets nothing through
    (together, _), gradients = run.learn(("audio", [7, 9]))
    alone = [run.learn(("audio", [number])) for number in (7, 9)]
    assert together.item() == pytest.approx(sum(one.item() for (one, _), _ in alone), rel=1e-5)
    parts = [flat(one) for _, one in alone]
    for name, gradient in flat(gradients).items():
        assert mx.allclose(gradient, parts[0][name] + parts[1][name], rtol=1e-3, atol=1e-5), name


def test_chance_is_of_the_number_and_differs_between_kinds():
    clips = make_clips("video")
    one, again = (joint.draw_batch(3, "video", [OTHERS + n for n in numbers], clips) for numbers in ((4, 5), (5,)))
    assert mx.array_equal(one.noise[1:], again.noise)
    assert one.times[1] == again.times[0]
    assert np.array_equal(one.masked[1], again.masked[0])
    other = joint.draw_batch(3, "video", [2 * OTHERS + 5], clips)
    assert not mx.array_equal(other.noise, again.noise)


@pytest.mark.parametrize(("kind", "share"), [("image", 0.25), ("video", 0.1), ("audio", 0.5)])
def test_so_many_tokens_have_the_second_time(kind, share):
    batch = joint.draw_batch(0, kind, list(range(400)), make_clips(kind))
    assert batch.masked.mean() == pytest.approx(share, abs=0.05)
    assert batch.masked.any(0).all()
    assert np.corrcoef(batch.times, batch.others)[0, 1] == pytest.approx(0, abs=0.2)


def test_a_clip_at_one_time_is_itself_with_so_much_noise():
    batch = joint.draw_batch(0, "image", [1, 2], make_clips("image"))
    assert mx.array_equal(joint.mix(batch, np.zeros(2)), batch.clean)
    assert mx.array_equal(joint.mix(batch, np.ones(2)), batch.noise)
    mixed = joint.mix(batch, np.where(batch.masked, 1.0, 0.0))
    assert np.array_equal(np.array(mixed)[batch.masked], np.array(batch.noise)[batch.masked])
    assert np.array_equal(np.array(mixed)[~batch.masked], np.array(batch.clean)[~batch.masked])


def test_equal_times_for_all_tokens_are_one_time():
    run = make_run(False)
    run.advance()
    batch = joint.draw_batch(0, "video", [1, 2], run.clips["video"])
    same = batch._replace(masked=np.zeros_like(batch.masked))
    error, _ = joint.self_flow_losses(run.model, same, joint.see_as_teacher(run.model, same))
    assert error.item() == pytest.approx(joint.flow_error(run.model, batch).item(), rel=1e-5)


def test_the_teacher_sees_the_cleaner_of_the_two_times():
    run = make_run(True)
    batch = joint.draw_batch(0, "audio", [1, 2], run.clips["audio"])
    swapped = batch._replace(times=batch.others, others=batch.times)
    seen = joint.see_as_teacher(run.model, batch)
    assert mx.array_equal(seen, joint.see_as_teacher(run.model, swapped))
    assert not mx.array_equal(seen, joint.see_as_teacher(run.model, batch._replace(times=batch.others)))


def test_samples_have_the_size_of_clips_and_depend_on_the_seed_alone():
    run = make_run(False)
    clips = run.clips["audio"]
    made = joint.sample(run.model, "audio", clips, 1, steps=2)
    assert made.shape == (3, *clips[0].tokens.shape)
    assert np.allclose(joint.sample(run.model, "audio", clips[:2], 1, steps=2), made[:2], atol=1e-5)
