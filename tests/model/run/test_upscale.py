"""Enlarging by Swin2SR in tiles: no borders to be seen, any size, told and stopped after each layer."""

import dataclasses

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_map

from mlx_model.enlarging import plan_tiles
from mlx_model.errors import SampleError
from mlx_model.events import Stage, Step
from mlx_model.geometry import Size
from mlx_model.helpers import find_enlarger
from mlx_model.nets.swin2sr import Params, Swin2SR
from mlx_model.run import upscale as module
from mlx_model.run.upscale import upscale
from tests.model.run.test_enlarge import borders, slope, steps_at

TILE = 32


@pytest.fixture(scope="module")
def net():
    """Random weights, the last ones so small that colours stay within their range."""
    mx.random.seed(2)
    made = Swin2SR(Params(2, embed_dim=12, depths=(2, 2), num_heads=2))
    made.update(tree_map(lambda one: one + 0.05 * mx.random.normal(one.shape), made.parameters()))
    last = made.upsample.final_convolution
    last.weight = 0.05 * last.weight
    mx.eval(made.parameters())
    return made


def row(tile=TILE):
    return dataclasses.replace(find_enlarger(2), size=Size(2 * tile, 2 * tile))


def make(net, pixels, tile=TILE):
    events = upscale(net, pixels, row(tile))
    found = []
    while True:
        try:
            found.append(next(events))
        except StopIteration as end:
            return end.value, found


@pytest.mark.sweep
def test_no_border_shows(net, monkeypatch):
    """What tiles change of the whole jumps no more at their borders than inside, and much where tiles just abut."""
    pixels, lefts = slope(72, 72), plan_tiles(Size(144, 144), row()).lefts
    assert len(lefts) == 3
    whole = make(net, pixels, tile=72)[0].astype(float)
    faded = make(net, pixels)[0] - whole
    monkeypatch.setattr(module.Canvas, "add", _paste)
    abutting = make(net, pixels)[0] - whole
    assert np.abs(faded).mean() < 0.5
    for axis in (0, 1):
        across, inside = steps_at(faded, borders(lefts, 2 * TILE), axis)
        assert across <= 1.25 * inside
        across, inside = steps_at(abutting, lefts[1:], axis)
        assert across > 3 * inside


def _paste(canvas, pixels, left, top):
    canvas._whole[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels


@pytest.mark.first_case
@pytest.mark.parametrize("size", [(64, 64), (65, 71), (130, 40)])
def test_a_picture_of_any_shape_comes_out_twice_as_large(net, size):
    made, events = make(net, slope(*size))
    assert made.shape == (2 * size[1], 2 * size[0], 3)
    assert isinstance(events[0], Stage)
    assert [one.step for one in events[1:] if isinstance(one, Step)] == list(range(1, events[0].total + 1))


def test_it_stops_after_a_layer_and_tells_broken_weights(net):
    events = upscale(net, slope(72, 72), row())
    assert isinstance(next(events), Stage)
    assert (next(events).step, next(events).total) == (1, 9 * (net.stops + 1))
    events.close()
    broken = Swin2SR(net.params)
    broken.update(tree_map(lambda one: one * np.nan, net.parameters()))
    with pytest.raises(SampleError, match="no numbers"):
        make(broken, slope(64, 64))
