"""Enlarging tile by tile: no borders to be seen, shared noise, going on where it stopped, any size."""

import dataclasses
import itertools
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine import running
from mlx_model.enlarging import Tiles, find_limit, plan_tiles
from mlx_model.errors import RequestError
from mlx_model.events import Done, Note, Preview, Step
from mlx_model.geometry import Size
from mlx_model.request import Reference, Request, check, from_json
from mlx_model.run import enlarge as enlarging
from mlx_model.run.enlarge import Canvas, cut, enlarge, share_noise
from mlx_model.run.pictures import keep_tones, resize
from mlx_model.run.pipeline import Pipeline
from mlx_model.run.sampler import timesteps
from mlx_model.specs import SPECS
from mlx_model.store.cache import Cache

MINI = Path(__file__).parents[3] / "assets" / "mini"
SMALL = dataclasses.replace(SPECS["mini"], size=Size(96, 96))  # what these tests see doesn't depend on the size
KLEIN = SPECS["flux2-klein-4b"]
SHIFT = 2.0  # about that of FLUX.2 at a megapixel


@pytest.fixture(scope="module")
def pipeline():
    made = Pipeline.open(MINI, "float32")
    made.spec = SMALL
    return made


def slope(width=64, height=64):
    """A picture without edges of its own: a step in it is a border."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bands = 60 + x * 140 / width, 40 + y * 180 / height, 200 - (x + y) * 60 / (width + height)
    return np.stack(bands, axis=2).astype(np.uint8)


def request(pixels, **options):
    return Request("mini", "make it sharp", references=(Reference(pixels=pixels),), enlarge=2, **options)


def made(pipeline, asked):
    *_, last = enlarge(pipeline, asked)
    assert isinstance(last, Done)
    return last.pixels


def steps_at(pixels, places, axis):
    """How far neighbours differ, on average, across the lines at `places`, and elsewhere."""
    off = np.abs(np.diff(pixels.astype(float), axis=axis)).mean(axis=(2, 1 - axis))
    lines = np.zeros(len(off), bool)
    lines[[place - 1 for place in places if 0 < place < len(off)]] = True
    return off[lines].mean(), off[~lines].mean()


def borders(starts, side):
    return sorted({*starts, *(start + side for start in starts)})


@pytest.mark.sweep
def test_no_border_shows(pipeline, monkeypatch, tmp_path):
    """A step across the borders of tiles is no larger than one inside, and much larger where tiles just abut."""
    spec = dataclasses.replace(SMALL, size=Size(128, 128))
    monkeypatch.setattr(pipeline, "spec", spec)
    monkeypatch.setattr(pipeline, "cache", Cache(tmp_path / "kept"))
    asked, tiles = request(slope(160, 160), seed=1), plan_tiles(Size(320, 320), spec)
    assert tiles.amount == 9
    whole = made(pipeline, asked)
    monkeypatch.setattr(enlarging, "_fade", _paste)
    monkeypatch.setattr(enlarging, "keep_tones", lambda pixels, plain: pixels)
    abutting = made(pipeline, asked)
    for axis, starts in ((1, tiles.lefts), (0, tiles.tops)):
        across, inside = steps_at(whole, borders(starts, 128), axis)
        assert across <= 1.25 * inside
        across, inside = steps_at(abutting, starts, axis)
        assert across > 5 * inside


def _paste(canvas, pixels, start, end, axis):
    onto = [slice(None)] * 3
    onto[axis] = slice(start, start + pixels.shape[axis])
    canvas[tuple(onto)] = pixels


def test_tiles_share_the_noise_where_they_overlap(pipeline):
    size, tokens = Size(64, 64), (2, 2)
    one, right = (share_noise(3, place, size, pipeline).reshape(*tokens, -1) for place in ((0, 0), (32, 0)))
    assert np.array_equal(one[:, 1], right[:, 0])
    assert not np.array_equal(one[:, 0], right[:, 0])
    below = share_noise(3, (0, 32), size, pipeline).reshape(*tokens, -1)
    assert np.array_equal(one[1], below[0])


@given(st.integers(128, 8192), st.integers(128, 8192), st.sampled_from([SPECS["mini"], KLEIN]))
def test_tiles_cover_any_size(width, height, spec):
    tiles = plan_tiles(Size(width, height), spec)
    for side, tile, starts in zip((width, height), tiles.size, (tiles.lefts, tiles.tops), strict=True):
        assert starts[0] == 0
        assert side <= starts[-1] + tile < side + spec.size_multiple
        assert all(start % spec.size_multiple == 0 for start in starts)
        for one, after in itertools.pairwise(starts):
            assert one < after <= one + tile - tile // 8 + spec.size_multiple


class Untouched:
    """A pipeline whose runs give a tile as it came; it has a family's schedule."""

    def __init__(self, spec):
        self.spec, self.cache, self.channels, self.runs, self.given_noise = spec, None, 4, 0, None
        self.family = SimpleNamespace(schedule=lambda pipe, part, tokens: timesteps(part.steps, SHIFT))

    def grid(self, part):
        return part.size.grid(self.spec.size_multiple)

    def run(self, part):
        self.runs += 1
        assert part.references[0].pixels.shape[:2] == (part.height, part.width)
        yield Done(0.1, pixels=part.references[0].pixels)


@pytest.mark.sweep
def test_4096_pixels_a_side_in_tiles_of_the_model_s_size():
    """What the tiles hold is the plainly enlarged picture, and so is what they are put together to."""
    pipe, picture = Untouched(KLEIN), slope(2048, 2048)
    pixels = made(pipe, dataclasses.replace(request(picture), model=KLEIN.name))
    assert (pixels.shape, pipe.runs) == ((4096, 4096, 3), 25)
    assert np.abs(pixels.astype(int) - resize(picture, Size(4096, 4096))).max() <= 1


def test_a_picture_of_any_shape_comes_out_at_its_size():
    pipe, picture = Untouched(SPECS["mini"]), slope(301, 97)
    pixels = made(pipe, request(picture))
    assert np.abs(pixels.astype(int) - resize(picture, Size(602, 194))).max() <= 1


def test_it_starts_late_in_the_schedule(pipeline):
    """A few steps from little noise, whatever the model's own steps are."""
    run = enlarging._Run(Untouched(KLEIN), check(request(slope(64, 64)), KLEIN), slope(64, 64))
    part = run.part
    start = timesteps(part.steps, SHIFT)[part.steps - 2]
    assert abs(start - 0.35) < 0.03


def test_tones_stay_and_detail_comes():
    rng = np.random.default_rng(0)
    plain = slope(64, 64)
    detailed = np.clip(plain.astype(int) + rng.integers(-20, 20, plain.shape) + 25, 0, 255).astype(np.uint8)
    kept = keep_tones(detailed, plain).astype(int) - plain
    assert np.abs(kept.reshape(4, 16, 4, 16, 3).mean(axis=(1, 3))).max() < 3
    assert kept.std() > 8


def test_what_was_stopped_goes_on(pipeline, tmp_path, monkeypatch):
    asked = request(slope(), seed=2, steps=1)
    whole = made(pipeline, asked)
    monkeypatch.setattr(pipeline, "cache", Cache(tmp_path / "kept"))
    with closing(enlarge(pipeline, asked)) as events:
        steps = [next(event for event in events if isinstance(event, Step)) for _ in range(3)]
    assert [(step.step, step.total) for step in steps] == [(1, 4), (2, 4), (3, 4)]
    runs, run = [], pipeline.run
    monkeypatch.setattr(pipeline, "run", lambda part: runs.append(part) or run(part))
    events = list(enlarge(pipeline, asked))
    assert len(runs) == 2  # of four tiles two were finished
    assert any("2 tiles had been made before." in event.text for event in events if isinstance(event, Note))
    assert np.array_equal(events[-1].pixels, whole)


@pytest.mark.parametrize("other", [{"seed": 3}, {"strength": 0.5}, {"steps": 3}, {"prompt": "make it night"}])
def test_what_was_kept_of_another_picture_is_not_used(pipeline, other):
    asked = check(request(slope()), SMALL)
    names = [
        enlarging._Run(pipeline, one, picture)._name((0, 0))
        for one, picture in (
            (asked, slope()),
            (check(dataclasses.replace(request(slope()), **other), SMALL), slope()),
            (asked, 255 - slope()),
        )
    ]
    assert len(set(names)) == 3


def test_previews_show_what_is_done(pipeline):
    events = list(enlarge(pipeline, request(slope(), seed=1, steps=1), previews=True))
    shown = [event.pixels for event in events if isinstance(event, Preview)]
    assert [one.shape for one in shown] == [(128, 128, 3)] * 3
    assert pipeline.given_noise is None


def test_a_model_that_can_t_edit_enlarges_plainly_and_says_so():
    picture, spec = slope(), SPECS["flux1-schnell"]
    pipe = SimpleNamespace(spec=spec)  # nothing of it is used
    note, last = enlarge(pipe, dataclasses.replace(request(picture), model=spec.name))
    assert "Lanczos alone" in note.text
    assert np.array_equal(last.pixels, resize(picture, Size(128, 128)))
    assert find_limit(KLEIN, Size(2000, 100))
    assert not find_limit(KLEIN, Size(200, 100))


@pytest.mark.parametrize(
    "wrong",
    [{"enlarge": 3}, {"enlarge": 0}, {"width": 64, "height": 64}, {"strength": 0.0}, {"outpaint": (0, 0, 9, 0)}],
)
def test_what_it_can_t_do_is_refused(wrong):
    with pytest.raises(RequestError):
        check(dataclasses.replace(request(slope()), **wrong), KLEIN)


def test_a_checked_request_says_the_same_again():
    checked = check(request(slope()), KLEIN)
    assert (checked.width, checked.height, checked.steps) == (128, 128, 2)
    again = from_json(checked.to_json())
    assert check(again, KLEIN) == again == checked


def test_the_forecast_is_that_of_one_tile(monkeypatch):
    asked = []
    monkeypatch.setattr(running, "require_room", lambda folder, size, *rest: asked.append(size))
    for side in (1024, 2048):
        one = check(dataclasses.replace(request(slope(side, side)), model=KLEIN.name), KLEIN)
        running.require_memory(SimpleNamespace(spec=KLEIN), one)
    assert asked == [KLEIN.size] * 2


def test_rows_fade_into_each_other():
    tiles = Tiles(Size(64, 64), (0, 32), (0, 32))
    canvas = Canvas(tiles, Size(96, 96), slope(48, 48))
    for tone, (left, top) in zip((0, 80, 160, 240), ((0, 0), (32, 0), (0, 32), (32, 32)), strict=True):
        canvas.add(np.full((64, 64, 3), tone, np.uint8), left, top)
    off = [np.abs(np.diff(canvas.pixels.astype(int), axis=axis)).max() for axis in (0, 1)]
    assert max(off) <= 160 / 32 + 1


def test_a_part_is_cut_as_the_whole_would_be():
    picture = np.random.default_rng(1).integers(0, 256, (80, 96, 3), np.uint8)
    whole = resize(picture, Size(192, 160))
    part = cut(picture, Size(64, 32), Size(64, 64), 2)
    assert np.abs(part.astype(int) - whole[32:96, 64:128]).max() <= 1
