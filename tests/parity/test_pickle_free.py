"""What torch.save really writes is read exactly as torch.load reads it; so are the published TAEF2 weights."""

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

from converters.formats.pickle_free import read_tensors  # noqa: E402
from mlx_model.errors import UnsafeFile  # noqa: E402

REAL = Path(__file__).parents[3] / "shared" / "weights" / "taef2"
KINDS = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def same(found, tensor) -> bool:
    assert found.array().shape == tuple(tensor.shape)
    assert found.dtype == KINDS[tensor.dtype]
    assert found.shape == tuple(tensor.shape)
    exact = tensor.to(torch.float32) if tensor.dtype == torch.bfloat16 else tensor
    ours = found.array()
    ours = np.array(ours.astype(mx.float32) if found.dtype == "BF16" else ours)
    return np.array_equal(ours, exact.detach().numpy(), equal_nan=True)


def all_same(found, state) -> bool:
    assert set(found) == set(state)
    return all(same(found[name], value) for name, value in state.items())


def odd_tensors():
    base = torch.randn(6, 10)
    return {
        "plain": base,
        "transposed": base.T,
        "part": base[1:4, 2:9:3],
        "row": base[2],
        "scalar": torch.tensor(3.25),
        "empty": torch.zeros(0, 4),
        "half": base.half(),
        "bfloat": base.bfloat16()[:, ::2],
        "whole": torch.arange(-3, 9).reshape(3, 4),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "special": torch.tensor([float("inf"), -float("inf"), float("nan"), -0.0]),
        "one-sided": torch.randn(1, 5)[:, 3:4],
    }


def test_odd_tensors(tmp_path):
    torch.save(odd_tensors() | {"tied": odd_tensors()["plain"]}, tmp_path / "x.pt")
    assert all_same(read_tensors(tmp_path / "x.pt"), torch.load(tmp_path / "x.pt"))


def test_a_module_with_its_versions_and_a_wrapper(tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    torch.save(module.state_dict(), tmp_path / "a.pt")
    assert all_same(read_tensors(tmp_path / "a.pt"), module.state_dict())
    wrapped = {f"module.{name}": value for name, value in module.state_dict().items()}
    optimizer = torch.optim.AdamW(module.parameters())
    sum(p.square().sum() for p in module.parameters()).backward()
    optimizer.step()
    training = {"model": wrapped, "opt": optimizer.state_dict(), "step": 7, "lr": 1e-4, "note": "ü", "flags": [True]}
    torch.save(training, tmp_path / "b.pt")
    assert all_same(read_tensors(tmp_path / "b.pt"), module.state_dict())


def test_parameters(tmp_path):
    state = {"w": torch.nn.Parameter(torch.randn(3, 3))}
    torch.save(state, tmp_path / "x.pt")
    assert all_same(read_tensors(tmp_path / "x.pt"), state)


def test_a_whole_module_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.pt")
    with pytest.raises(UnsafeFile, match=r"torch\.nn\.modules\.linear Linear"):
        read_tensors(tmp_path / "x.pt")


@pytest.mark.parametrize("value", [torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.bool)])
def test_other_numbers_are_refused_by_name(tmp_path, value):
    torch.save({"w": value}, tmp_path / "x.pt")
    with pytest.raises(UnsafeFile, match="Storage"):
        read_tensors(tmp_path / "x.pt")


def test_the_old_form_is_refused(tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(UnsafeFile, match=r"before 1\.6"):
        read_tensors(tmp_path / "x.pt")


def test_other_protocols_are_refused(tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "x.pt", pickle_protocol=4)
    with pytest.raises(UnsafeFile, match="protocol 4"):
        read_tensors(tmp_path / "x.pt")


@pytest.mark.skipif(not REAL.is_dir(), reason="the published TAEF2 weights are not beside the repository")
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_published_weights(side):
    file = REAL / f"taef2_{side}.pth"
    assert all_same(read_tensors(file), torch.load(file, weights_only=True))
