"""Self-Flow's SiT against golden vectors: one time, a time per token, features; its samplers; SD's autoencoder."""

import json
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlx_model.errors import NotFinite
from mlx_model.nets import autoencoder, selfflow
from mlx_model.nets.ops import Walk
from mlx_model.request import Request
from mlx_model.run import selfflow as run_selfflow
from mlx_model.run.sampler import denoise
from tests.golden import FOLDER, inp, recipe_weights, vectors

TOLERANCE = 1e-5
GOLDEN = vectors("selfflow_tiny")
SIZES = json.loads((FOLDER / "selfflow_tiny.json").read_text())["params"]
PARAMS = selfflow.Params(
    input_size=SIZES["input_size"],
    hidden_size=SIZES["hidden_size"],
    depth=SIZES["depth"],
    num_heads=SIZES["num_heads"],
    num_classes=SIZES["num_classes"],
)
LAYER = 2  # of the golden features


def network() -> selfflow.Transformer:
    model = selfflow.Transformer(PARAMS)
    shapes = {name: tuple(x.shape) for name, x in tree_flatten(model.parameters()) if name != "pos_embed"}
    model.load_weights([(name, mx.array(x)) for name, x in recipe_weights(shapes).items()], strict=False)
    return model


def test_positions():
    model = network()
    assert np.abs(np.array(model.pos_embed[0, 5]) - GOLDEN["pos_embed_row5"]).max() < 1e-6
    full = selfflow.position_embedding(selfflow.Params())
    assert full.shape == (1, 256, 1152)
    assert full[0, 16, :576].tolist() == full[0, 0, :576].tolist()  # the first half is the column's


@pytest.mark.parametrize(("times", "name"), [
    ([0.7], "out_scalar_t"),
    (np.linspace(0.1, 0.9, 16)[None], "out_per_token_t"),
])  # fmt: skip
def test_velocity(times, name):
    model = network()
    made = model(inp(0, (1, 16, 16)), model.time_features(times), model.condition([3]))
    assert np.abs(np.array(made) - GOLDEN[name]).max() < TOLERANCE


def test_equal_times_per_token_are_one_time():
    model = network()
    one = model(inp(0, (1, 16, 16)), model.time_features([0.4]), model.condition([3]))
    each = model(inp(0, (1, 16, 16)), model.time_features(np.full((1, 16), 0.4)), model.condition([3]))
    assert mx.abs(one - each).max().item() < 1e-5


def test_features():
    model = network()
    features = model.time_features(np.linspace(0.1, 0.9, 16)[None])
    state = model.with_states(inp(0, (1, 16, 16)), features, model.condition([3]))[1][LAYER - 1]
    assert np.abs(np.array(state) - GOLDEN["raw_feature"]).max() < TOLERANCE
    assert np.abs(np.array(model.projector(state)) - GOLDEN["projected_feature"]).max() < TOLERANCE


def test_sampler_times():
    times = run_selfflow.sde_times()
    assert len(times) == 251
    assert times[[0, -2, -1]].tolist() == pytest.approx([1, 0.04, 0])
    assert np.ptp(np.diff(times[:-1])) < 1e-12
    assert run_selfflow.ode_times(4).tolist() == [1, 0.75, 0.5, 0.25, 0]


def velocity_to(target: mx.array, times: np.ndarray):
    """The exact velocity field of a data set of one picture: straight lines from any point to it."""
    return lambda x, i: (x - target) / float(times[i])


def test_ode_goes_straight_to_the_only_picture():
    times, target = run_selfflow.ode_times(7), inp(1, (1, 16, 16))
    *_, last = denoise(velocity_to(target, times), inp(0, (1, 16, 16)), times)
    assert mx.abs(last.latents - target).max().item() < 1e-5


def test_sde_keeps_the_distribution_of_a_gaussian():
    """Data N(0, s^2): the velocity is known exactly, and samples must come out with deviation s."""
    s, times = 0.5, run_selfflow.sde_times()

    def velocity(x, i):
        t = times[i]
        return float((t - (1 - t) * s * s) / (t * t + (1 - t) ** 2 * s * s)) * x

    rng = np.random.default_rng(0)
    draw = lambda _: mx.array(rng.standard_normal((1, 400, 16)).astype(np.float32))  # noqa: E731
    made = list(denoise(velocity, draw(0), times, solver=run_selfflow.euler_maruyama(draw)))
    assert len(made) == 250
    assert made[-1].latents.std().item() == pytest.approx(s, rel=0.03)
    # The random part matters: without it the spread would be too small.
    quiet = run_selfflow.euler_maruyama(lambda _: mx.zeros((1, 400, 16)))
    still = list(denoise(velocity, draw(0), times, solver=quiet))
    assert still[-1].latents.std().item() < 0.5 * s


def test_sde_says_when_numbers_break():
    times, solver = run_selfflow.sde_times(3), run_selfflow.euler_maruyama(lambda _: mx.zeros((1, 4, 4)))
    with pytest.raises(NotFinite):
        next(denoise(lambda x, _: x * float("nan"), inp(0, (1, 4, 4)), times, solver=solver))


def test_full_size():
    """Names and shapes are checked in tests/converters/keys/test_layouts_more.py; this is what SPECS will say."""
    p = selfflow.Params()
    assert (p.in_channels, p.side, p.null_class) == (16, 16, 1000)
    count = sum(x.size for _, x in tree_flatten(selfflow.Transformer(p).parameters()))
    assert count == 680_441_504


def test_the_autoencoder_of_stable_diffusion_fits():
    """autoencoder.Params have all it needs; latents are (mean * 0.18215), packed in the order that the SiT takes."""
    p = autoencoder.Params(ch=8, groups=4, z_channels=4, num_res_blocks=1, packed_norm=False, scale=0.18215)
    model = autoencoder.AutoEncoder(p)
    images = mx.clip(inp(0, (1, 32, 32, 3)), -1, 1)
    latents = model.encode(images)
    assert latents.shape == (1, 2, 2, selfflow.Params().in_channels)
    assert mx.abs(autoencoder.unpack(latents) - 0.18215 * model.mean(images)).max().item() < 1e-6
    assert model.decode(latents).shape == images.shape


def test_guidance_works_while_the_released_sampler_guides():
    """Its sample.py guides for t in [0, 0.7], t = 1 being noise; before that the class alone leads, in one run."""
    times = run_selfflow.sde_times(250)
    asked = []

    def one(condition: float, latents: mx.array, i: int) -> Walk:
        asked.append((condition, i))
        return Walk(latents, iter(()), lambda x: mx.array(condition))

    pipe = SimpleNamespace(transformer=Stub(one), step_cache=None)
    request = Request("selfflow-imagenet", guidance=3.0)
    velocity = run_selfflow.velocity(pipe, request, (16, 16), [1.0, 0.0], None, times)
    for i in range(250):
        guided = times[i] <= 0.7
        assert velocity(mx.array(0.0), i).item() == (3.0 if guided else 1.0)
    assert sum(condition == 0.0 for condition, _ in asked) == sum(times[:-1] <= 0.7) < 250
    even = run_selfflow.velocity(pipe, request, (16, 16), [1.0, 0.0], None, run_selfflow.ode_times(10))
    assert [even(mx.array(0.0), i).item() for i in (2, 3)] == [1.0, 3.0]  # 0.7 itself is within


class Stub:
    """A network that answers with its condition."""

    def __init__(self, one):
        self.one = one

    def time_features(self, times):
        return mx.array(times)

    def walk(self, latents, features, condition):
        return self.one(condition, latents, 0)
