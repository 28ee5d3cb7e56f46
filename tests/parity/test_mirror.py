"""The torch mirror of the built-in model against MLX: networks, loss, gradients, and one step of the optimiser."""

import dataclasses

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

from mlx.utils import tree_flatten, tree_unflatten  # noqa: E402

from converters.keys import autoencoder as keys_autoencoder  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from mlx_model.nets import autoencoder, flux2, text_qwen3  # noqa: E402
from mlx_model.nets.ops import timestep_features  # noqa: E402
from mlx_model.training import flow, loop  # noqa: E402
from tests.mirror import autoencoder as torch_autoencoder  # noqa: E402
from tests.mirror import flow as torch_flow  # noqa: E402
from tests.mirror import optimizer as torch_optimizer  # noqa: E402
from tests.mirror.names import to_mlx, to_torch  # noqa: E402

PICTURES = autoencoder.Params(ch=8, decoder_ch=16, ch_mult=(1, 1, 2, 4), num_res_blocks=1, z_channels=4, groups=4)
TEXT = text_qwen3.Params(32, 64, 4, 2, 16, (1, 2), vocab_size=64, rope_theta=1e4)
NET = flux2.Params(64, 2, 2, 2, TEXT.width, in_channels=16, axes_dim=(4, 12, 12, 4), theta=50.0)
GRIDS = ((3, 4), (2, 4), (4, 2))


def distance(ours: mx.array, theirs: torch.Tensor) -> float:
    """Largest difference, as a share of the largest number."""
    theirs = theirs.detach().numpy()
    return float(np.abs(np.array(ours) - theirs).max() / np.abs(theirs).max())


def both_models() -> tuple[flow.TextToFlow, torch_flow.TextToFlow]:
    """Random everywhere: norms are not 1, the last layer is not 0."""
    theirs = torch_flow.TextToFlow(TEXT, NET)
    generator = torch.Generator().manual_seed(3)
    torch_flow.initialise(theirs)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    ours = flow.TextToFlow(TEXT, NET)
    ours.load_weights(list(to_mlx(theirs.state_dict()).items()), strict=True)
    return ours, theirs


def both_batches(references: int = 2) -> tuple[flow.Batch, torch_flow.Batch, np.ndarray]:
    """The same batch twice, and noise (B, N, C) for its pictures."""
    rng, grids = np.random.default_rng(0), GRIDS[: 1 + references]
    sizes = [rows * columns for rows, columns in grids]
    ids, real = rng.integers(0, 64, (3, 7)), np.arange(7) < np.array([[7], [4], [1]])
    clean, beside = (rng.normal(size=(3, n, 16)).astype(np.float32) for n in (sizes[0], sum(sizes[1:])))
    times, weights = flow.sample_times(rng, 3, 0.4), rng.uniform(1, 3, (3, sizes[0])).astype(np.float32)
    noise = rng.normal(size=clean.shape).astype(np.float32)
    parts = (ids, real, clean, beside if references else None)
    ours = (None if x is None else mx.array(x) for x in parts)
    theirs = (None if x is None else torch.from_numpy(x) for x in parts)
    return (
        flow.Batch(*ours, grids, times, mx.array(weights)),
        torch_flow.Batch(*theirs, grids, torch.from_numpy(times).float(), torch.from_numpy(weights)),
        noise,
    )


def our_loss(model: flow.TextToFlow, batch: flow.Batch, noise: np.ndarray) -> mx.array:
    """training.flow.velocity_loss on given noise."""
    t, noise = mx.array(batch.times.astype(np.float32))[:, None, None], mx.array(noise)
    v = model.transformer(
        (1 - t) * batch.latents + t * noise, timestep_features(batch.times.astype(np.float32)), model.condition(batch)
    )
    return (batch.weights * (v - (noise - batch.latents)).square().mean(-1)).mean()


@pytest.mark.parametrize("patch", [1, 2])
def test_autoencoder(patch):
    """Converted as a checkpoint is, its Params read from the shapes alone."""
    torch.manual_seed(patch)
    params = dataclasses.replace(PICTURES, pixel_patch=patch)
    theirs = torch_autoencoder.AutoEncoder(params)
    theirs.bn.running_mean.normal_()
    theirs.bn.running_var.uniform_(0.5, 2)
    made = apply(keys_autoencoder.BFL, {name: mx.array(x.numpy()) for name, x in theirs.state_dict().items()})
    found = keys_autoencoder.read_sizes({name: x.shape for name, x in made.items()}, {"norm_num_groups": 4})
    assert autoencoder.Params(**found) == params
    ours = autoencoder.AutoEncoder(params)
    ours.load_weights(list(made.items()), strict=True)
    images, latents = torch.rand(2, 3, 64, 96) * 2 - 1, torch.randn(2, 6, 16)
    rows, columns = 64 // 16 // patch, 96 // 16 // patch
    latents = torch.randn(2, rows * columns, 16)
    encoded = np.array(ours.encode(mx.array(images.numpy().transpose(0, 2, 3, 1)))).reshape(2, rows * columns, 16)
    decoded = np.array(ours.decode(mx.array(latents.numpy().reshape(2, rows, columns, 16)))).transpose(0, 3, 1, 2)
    assert distance(mx.array(encoded), theirs.encode(images)) < 1e-4
    assert distance(mx.array(decoded), theirs.decode(latents, (rows, columns))) < 1e-4


@pytest.mark.parametrize("references", [0, 1, 2])
def test_velocity(references):
    ours, theirs = both_models()
    batch, their_batch, noise = both_batches(references)
    text = ours.text_encoder(batch.ids, batch.real)
    assert distance(text, theirs.text_encoder(their_batch.ids, their_batch.real)) < 1e-5
    features = timestep_features(batch.times.astype(np.float32))
    v = ours.transformer(mx.array(noise), features, ours.condition(batch))
    assert distance(v, theirs(torch.from_numpy(noise), their_batch)) < 1e-4


def test_loss_and_gradients():
    ours, theirs = both_models()
    batch, their_batch, noise = both_batches()
    value, gradients = nn.value_and_grad(ours, lambda: our_loss(ours, batch, noise))()
    loss = torch_flow.velocity_loss(theirs, their_batch, torch.from_numpy(noise))
    loss.backward()
    assert value.item() == pytest.approx(loss.item(), rel=1e-5)
    found = dict(tree_flatten(gradients))
    assert set(found) == {name for name, _ in theirs.named_parameters()}
    for name, parameter in theirs.named_parameters():
        assert distance(found[name], parameter.grad) < 1e-3, name


def test_self_flow_and_its_gradients():
    """Two noise levels in one picture, a teacher with weights of its own, and the head."""
    _, theirs = both_models()
    ours, teacher = flow.Student(TEXT, NET), flow.TextToFlow(TEXT, NET)
    head, their_teacher = torch_flow.feature_head(NET.hidden_size, NET.hidden_size), torch_flow.TextToFlow(TEXT, NET)
    their_teacher.load_state_dict({name: 0.9 * x for name, x in theirs.state_dict().items()})
    teacher.load_weights(list(to_mlx(their_teacher.state_dict()).items()), strict=True)
    named = {**theirs.state_dict(), **{f"head.{name}": x for name, x in head.state_dict().items()}}
    ours.load_weights(list(to_mlx(named).items()), strict=True)
    batch, their_batch, _ = both_batches()
    batch = batch._replace(times=batch.times.astype(np.float32))  # in float64 the sinusoids differ by 3e-4
    others = flow.sample_times(np.random.default_rng(5), 3, 0.4).astype(np.float32)
    masked = flow.token_times(np.random.default_rng(6), np.zeros(3), np.ones(3), GRIDS[0][0] * GRIDS[0][1]) == 1
    mx.random.seed(7)
    noise = torch.from_numpy(np.array(mx.random.normal(batch.latents.shape)))

    def loss():
        mx.random.seed(7)
        return flow.self_flow_loss(ours, teacher, batch, others, np.random.default_rng(6))[0]

    value, gradients = nn.value_and_grad(ours, loss)()
    two = torch_flow.Two(torch.from_numpy(others), torch.from_numpy(masked))
    error, likeness = torch_flow.self_flow_losses(theirs, head, their_teacher, their_batch, noise, two)
    their_loss = error - flow.WEIGHT * likeness
    their_loss.backward()
    assert value.item() == pytest.approx(their_loss.item(), rel=1e-5)
    found = dict(tree_flatten(gradients))
    for name, parameter in (*theirs.named_parameters(), *head.named_parameters(prefix="head")):
        assert distance(found[name], parameter.grad) < 1e-3, name


def test_two_steps_of_the_optimisers():
    """On the same gradients: Newton-Schulz and Adam's first steps would blow up the last bits of two networks' own."""
    ours, theirs = both_models()
    optimizer = loop.muon_and_adam(ours, 0.02, 1e-3)
    their_optimizer = torch_optimizer.MuonAndAdam(theirs, 0.02, 1e-3)
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        for parameter in theirs.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
        optimizer.update(ours, tree_unflatten(list(to_mlx(gradients).items())))
        their_optimizer.step()
    moved = dict(tree_flatten(ours.parameters()))
    for name, parameter in theirs.named_parameters():
        assert distance(moved[name], parameter) < 1e-5, name


def test_both_start_alike():
    """The same network where it isn't random: gates, norms and the last layer."""
    theirs, ours = torch_flow.TextToFlow(TEXT, NET), flow.TextToFlow(TEXT, NET)
    torch_flow.initialise(theirs)
    flow.initialise(ours)
    converted = to_mlx(theirs.state_dict())
    for name, x in tree_flatten(ours.parameters()):
        spread = np.array(x).std(), np.array(converted[name]).std()
        assert spread[0] == pytest.approx(spread[1], rel=0.15, abs=1e-3), name
    gate = slice(2 * NET.hidden_size, 3 * NET.hidden_size)
    ours_gate = ours.transformer.single_stream_modulation.lin.weight[gate, 0]
    assert mx.array_equal(ours_gate, converted["transformer.single_stream_modulation.lin.weight"][gate, 0])


def test_names_go_both_ways():
    state = torch_flow.TextToFlow(TEXT, NET).state_dict()
    again = to_torch(to_mlx(state))
    assert all(torch.equal(again[name], x) for name, x in state.items())


@pytest.mark.parametrize("shape", [(64, 64), (192, 64), (64, 512), (96, 64)])
def test_newton_schulz(shape):
    """Long matrices go through their Gram matrix: the same result."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    theirs = loop.optim.Muon(0.1)._zeropower_via_newtonschulz5(mx.array(matrix.numpy()), torch_optimizer.STEPS)
    assert distance(theirs, torch_optimizer.orthogonal(matrix)) < 1e-4
