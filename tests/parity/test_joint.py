"""Several kinds in one network, by torch: velocity, both losses, and their gradients."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

from mlx.utils import tree_flatten  # noqa: E402

from mlx_model.training import joint  # noqa: E402
from mlx_model.training.flow import WEIGHT  # noqa: E402
from tests.mirror import flow as torch_flow  # noqa: E402
from tests.mirror import joint as torch_joint  # noqa: E402
from tests.mirror.names import to_mlx  # noqa: E402
from tests.model.training.test_joint import CODECS, NET, SIZES, TEXT, make_clips  # noqa: E402


def both_models() -> tuple[joint.Joint, torch_joint.Joint, torch_joint.Joint]:
    """The same twice, random everywhere, and a teacher with weights of its own."""
    theirs, teacher = (torch_joint.Joint(TEXT, NET, CODECS) for _ in range(2))
    generator = torch.Generator().manual_seed(3)
    torch_flow.initialise(theirs)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    teacher.load_state_dict({name: 0.9 * x for name, x in theirs.state_dict().items()})
    return load(theirs), theirs, teacher


def load(theirs: torch_joint.Joint) -> joint.Joint:
    ours = joint.Joint(SIZES)
    ours.load_weights(list(to_mlx(theirs.state_dict()).items()), strict=True)
    return ours


def both_batches(kind: str) -> tuple[joint.Batch, torch_joint.Batch]:
    ours = joint.draw_batch(1, kind, [3, 4, 5], make_clips(kind))
    ours = ours._replace(times=ours.times.astype(np.float32), others=ours.others.astype(np.float32))
    theirs = [torch.from_numpy(np.array(part)) for part in ours[1:]]
    return ours, torch_joint.Batch(kind, *theirs)


def check(value: mx.array, gradients: dict, loss: torch.Tensor, theirs: torch_joint.Joint) -> None:
    """Gradients of the parts that this kind goes through; of the others MLX has zeros, torch none."""
    loss.backward()
    assert value.item() == pytest.approx(loss.item(), rel=1e-5)
    found = dict(tree_flatten(gradients))
    assert set(found) == {name for name, _ in theirs.named_parameters()}
    for name, parameter in theirs.named_parameters():
        wanted = np.zeros(parameter.shape) if parameter.grad is None else parameter.grad.numpy()
        assert np.abs(np.array(found[name]) - wanted).max() <= 1e-3 * np.abs(wanted).max(), name


@pytest.mark.parametrize("kind", CODECS)
def test_flow_matching(kind):
    ours, theirs, _ = both_models()
    batch, their_batch = both_batches(kind)
    value, gradients = nn.value_and_grad(ours, lambda: joint.flow_error(ours, batch))()
    check(value, gradients, torch_joint.flow_error(theirs, their_batch), theirs)


@pytest.mark.parametrize("kind", CODECS)
def test_self_flow(kind):
    ours, theirs, their_teacher = both_models()
    batch, their_batch = both_batches(kind)
    seen = joint.see_as_teacher(load(their_teacher), batch)

    def loss() -> mx.array:
        error, likeness = joint.self_flow_losses(ours, batch, seen)
        return error - WEIGHT * likeness

    value, gradients = nn.value_and_grad(ours, loss)()
    error, likeness = torch_joint.self_flow_losses(theirs, their_teacher, their_batch)
    check(value, gradients, error - WEIGHT * likeness, theirs)
