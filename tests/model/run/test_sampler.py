"""FLUX.2's schedule against the official functions' values, and the sampling loop on velocities that are known."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.errors import NotFinite
from mlx_model.run.sampler import Repaint, denoise, empirical_mu, start_step, timesteps
from tests.golden import vectors


@pytest.mark.parametrize("row", vectors("schedules")["flux2"], ids=lambda row: f"{row['seq']}-{row['steps']}")
def test_schedule(row):
    mu = empirical_mu(row["seq"], row["steps"])
    assert mu == pytest.approx(row["mu"], abs=1e-8)
    assert np.abs(timesteps(row["steps"], mu) - row["t"]).max() < 1e-6


def test_the_shift_jumps_past_4300_tokens():
    assert empirical_mu(4300, 4) - empirical_mu(4301, 4) > 1


@pytest.mark.parametrize(("strength", "start"), [(None, 0), (1.0, 0), (0.5, 5), (0.8, 2), (0.01, 9)])
def test_start_step(strength, start):
    assert start_step(10, strength) == start


def test_a_part_of_a_step_counts_as_one():
    """As in diffusers' get_timesteps; and one step is always left."""
    assert [start_step(5, strength) for strength in (0.3, 0.5, 0.99, 1e-9)] == [3, 2, 0, 4]


def test_a_straight_path_is_followed_exactly():
    data, noise = mx.random.normal((1, 6, 4)), mx.random.normal((1, 6, 4))
    steps = list(denoise(lambda x, i: noise - data, noise, timesteps(7, 1.3)))
    assert [progress.step for progress in steps] == list(range(7))
    assert mx.abs(steps[-1].latents - data).max().item() < 1e-5
    assert all(mx.abs(step.clean - data).max().item() < 1e-5 for step in steps)


def test_closing_stops_before_the_next_step():
    calls = []

    def velocity(x, i):
        calls.append(i)
        return mx.random.normal(x.shape)

    run = denoise(velocity, mx.random.normal((1, 6, 4)), timesteps(7, 1.0))
    next(run)
    run.close()
    assert calls == [0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_finite(bad):
    run = denoise(lambda x, i: mx.full(x.shape, bad), mx.random.normal((1, 6, 4)), timesteps(3, 1.0))
    with pytest.raises(NotFinite):
        next(run)


def test_a_constant_is_no_picture():
    noise = mx.random.normal((1, 6, 4))
    with pytest.raises(NotFinite):
        list(denoise(lambda x, i: noise, noise, timesteps(3, 1.0)))


def test_repaint_keeps_what_is_outside_the_mask():
    source, noise = mx.random.normal((1, 6, 4)), mx.random.normal((1, 6, 4))
    mask = mx.array([1.0, 1, 1, 0, 0, 0]).reshape(1, 6, 1)
    *_, last = denoise(lambda x, i: 3 * x, noise, timesteps(5, 1.0), repaint=Repaint(source, noise, mask))
    assert mx.abs(last.latents - source)[:, 3:].max().item() < 1e-6
    assert mx.abs(last.latents - source)[:, :3].max().item() > 0.1
