"""The comparison of Self-Flow with flow matching: its judge, what the methods share, and going on after a stop."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

from tests.bench.selfflow_vs_flow import measure, report, runs, world  # noqa: E402
from tests.bench.selfflow_vs_flow.data import Data, tokenize  # noqa: E402
from tests.bench.selfflow_vs_flow.encoders import WIDTH, kernel_distance  # noqa: E402

ASKED = world.Asked("desert", "night", "frog", "kox", 3)


@pytest.fixture
def data():
    asked = [world.draw_asked(np.random.default_rng(i), False) for i in range(20)]
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(20, 36, 64, generator=generator)
    return Data(*tokenize([one.prompt for one in asked]), latents, torch.randn(20, 36, WIDTH).half(), asked)


def test_the_true_picture_is_right_in_everything():
    assert set(world.judge(ASKED, world.draw(ASKED)).values()) == {1.0}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"word": "kax"}, {"letters": 2 / 3, "word": 0.0}),
        ({"name": "pig"}, {"character": 0.0}),
        ({"light": "day"}, {"place": 0.0}),
        ({"place": "beach"}, {"place": 0.0}),
    ],
)
def test_what_is_wrong_is_seen_and_nothing_else(change, wrong):
    found = world.judge(ASKED, world.draw(ASKED._replace(**change)))
    assert found == pytest.approx({"letters": 1, "word": 1, "character": 1, "place": 1} | wrong | {"right": 0})


def test_grey_is_not_right():
    assert not world.is_right(ASKED, np.full_like(world.draw(ASKED), 128))


def test_another_layout_of_the_place_is_as_right():
    assert world.is_right(ASKED, world.draw(ASKED._replace(seed=6)))


def test_what_is_held_out_is_never_trained():
    trained, tested = ([world.draw_asked(np.random.default_rng(i), t) for i in range(60)] for t in (False, True))
    for part in (lambda asked: asked.word, lambda asked: (asked.place, asked.light, asked.name)):
        assert not {part(one) for one in trained} & {part(one) for one in tested}


def test_methods_of_one_seed_begin_alike(tmp_path):
    states = [runs.Run(tmp_path, method, 4).learner.flow.state_dict() for method in runs.METHODS]
    assert all(torch.equal(states[0][name], state[name]) for state in states for name in state)


@pytest.mark.parametrize("method", list(runs.METHODS))
def test_a_run_that_goes_on_is_one_that_never_stopped(tmp_path, method, data):
    torch.set_num_threads(1)
    whole, first = runs.Run(tmp_path / "whole", method, 0), runs.Run(tmp_path / "parts", method, 0)
    for _ in range(3):
        whole.advance(data)
    first.advance(data)
    first.save()
    second = runs.Run(tmp_path / "parts", method, 0)
    for _ in range(2):
        second.advance(data)
    assert second.step == whole.step
    assert all(torch.equal(whole.average[name], x) for name, x in second.average.items())


def test_samples_and_losses_are_the_same_twice(data):
    model = runs.TextToFlow(runs.TEXT, runs.NET)
    runs.initialise(model, 0)
    assert measure.flow_loss(model, data) == measure.flow_loss(model, data)
    assert torch.equal(measure.sample(model, data), measure.sample(model, data))


def test_the_distance_of_one_set_from_itself_is_near_nothing_and_grows_with_what_is_moved():
    a, b = (torch.randn(200, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    near, far = kernel_distance(a, b), kernel_distance(a, b + 0.5)
    assert abs(near) < 40
    assert far > 10 * abs(near)


def test_the_table_has_means_with_the_lowest_and_the_highest():
    scores = {
        f"{method}-{seed}": [
            dict.fromkeys(report.FIGURES, 0.1 * (1 + seed)) | {"step": step, "samples": 16 * step, "seconds": 9.0}
            for step in (100, 200)[: 2 - (seed == 2)]
        ]
        for method in runs.METHODS
        for seed in range(3)
    }
    table = report.make_table(scores)
    assert "after 1600 samples" in table  # the last that all runs have
    assert table.count("20 (10 to 30)") == 3 * 5
    assert report.draw_plot(scores).size[0] > 1000
