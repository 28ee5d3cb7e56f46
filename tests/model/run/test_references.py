"""What is kept of references: what it takes is what is counted, and the old goes before the new is made."""

import dataclasses
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.nets import flux2
from mlx_model.request import Reference, Request
from mlx_model.run.latents import reference_ids
from mlx_model.run.pipeline import Pipeline
from mlx_model.run.references import Kept
from tests.bench.bank import made_network
from tests.measuring import exact_memory, held_by_mlx, peak_of_mlx

MINI = Path(__file__).parents[3] / "assets" / "mini"
SIZES = flux2.Params(256, 2, 2, 4, 64, in_channels=16)
GRIDS = [(16, 16)] * 2
COUNTED = 2 * 512 * 256 * 6 * 4  # K and V of 512 tokens, 256 wide, in 6 blocks, float32


@pytest.fixture(scope="module")
def network():
    return made_network(SIZES, mx.float32)


def bank_of(network, seed=1):
    latents = mx.random.normal((1, 512, 16), key=mx.random.key(seed))
    return network.reference_bank(latents, network.rope(reference_ids(GRIDS)))


def test_a_bank_holds_what_is_counted(network):
    kept = Kept()
    found, _ = held_by_mlx(lambda: kept.get("a", lambda: bank_of(network), network.bank_bytes(512)))
    assert kept.nbytes == network.bank_bytes(512) == COUNTED
    assert found <= 1.05 * COUNTED


@pytest.mark.sweep
def test_the_old_bank_goes_before_the_new_one_is_made(network):
    kept, held_then = Kept(limit=int(1.5 * COUNTED)), []

    def make(seed):
        mx.synchronize()
        held_then.append(mx.get_active_memory())
        return bank_of(network, seed)

    with exact_memory():
        for seed in range(1, 6):
            kept.get(seed, lambda seed=seed: make(seed), network.bank_bytes(512))
    assert max(held_then) - held_then[0] < 0.01 * COUNTED
    assert kept.misses == 5


@pytest.mark.sweep
def test_making_a_bank_takes_as_much_beside_it_however_many_blocks_there_are():
    beside = []
    for blocks in (4, 12):
        deep = made_network(dataclasses.replace(SIZES, depth_single_blocks=blocks), mx.float32)
        size = deep.bank_bytes(512)
        work = lambda deep=deep, size=size: Kept().get("a", lambda: bank_of(deep), size)  # noqa: E731
        beside.append(min(peak_of_mlx(work) for _ in range(5)) - size)
    assert beside[1] < 1.05 * beside[0]


def test_the_least_recently_used_goes_first():
    kept = Kept(limit=8)
    make = lambda: mx.ones((1,))  # noqa: E731
    for key in ("a", "b", "a", "c"):
        kept.get(key, make)
    kept.get("a", make)
    assert (kept.misses, kept.nbytes) == (3, 8)
    kept.get("b", make)
    assert kept.misses == 4


@pytest.mark.first_case
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_kept_bank_gives_the_bits_of_a_fresh_one(dtype):
    """With another prompt, seed and number of steps."""
    mini = dataclasses.replace(Pipeline.open(MINI).spec, reference_bank=True)

    def opened():
        banked = Pipeline.open(MINI, dtype)
        banked.spec = mini
        return banked

    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    first = Request("mini", "make it night", steps=2, references=(Reference(pixels=pixels),))
    other = dataclasses.replace(first, prompt="a beach", seed=7, steps=3)
    one = opened()
    list(one.run(first))
    *_, again = one.run(other)
    *_, fresh = opened().run(other)
    assert one.banks.misses == 1
    assert again.latents.tobytes() == fresh.latents.tobytes()
