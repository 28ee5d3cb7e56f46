"""Swin2SR against transformers' implementation, on random weights: the published names, then the numbers."""

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.errors import LayoutError
from mlx_model.nets.swin2sr import Params
from mlx_model.run.upscale import open_upscaler

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TINY = {"embed_dim": 12, "depths": (2, 2), "num_heads": 2}


def build(p):
    return transformers.Swin2SRForImageSuperResolution(
        transformers.Swin2SRConfig(
            embed_dim=p.embed_dim, depths=list(p.depths), num_heads=[p.num_heads] * len(p.depths), upscale=p.upscale,
        )
    )  # fmt: skip


@pytest.fixture(scope="module", params=[2, 4])
def reference(request):
    """All weights random, so that none of them does nothing."""
    torch.manual_seed(5)
    net = build(Params(request.param, **TINY)).eval()
    with torch.no_grad():
        for name, one in net.named_parameters():
            one.copy_(torch.randn_like(one) * 0.2 + float("layernorm" in name and "weight" in name))
    return net


@pytest.fixture
def file(reference, tmp_path):
    reference.save_pretrained(tmp_path)
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("size", [(16, 16), (24, 40)])
def test_numbers(reference, file, size):
    images = np.random.default_rng(3).uniform(size=(1, *size, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = reference(torch.tensor(images).permute(0, 3, 1, 2)).reconstruction.permute(0, 2, 3, 1).numpy()
    net = open_upscaler(file, {"upscale": reference.config.upscale, **TINY})
    made = np.array(net(mx.array(images)))
    assert made.shape == wanted.shape
    assert wanted.std() > 1e-2, "it says something"
    assert np.abs(made - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("factor", [2, 4])
def test_the_published_ones_have_these_shapes(factor):
    from mlx.utils import tree_flatten

    from mlx_model.nets.swin2sr import Swin2SR

    with torch.device("meta"):
        wanted = {name: tuple(one.shape) for name, one in build(Params(factor)).state_dict().items()}
    made = {name: tuple(one.shape) for name, one in tree_flatten(Swin2SR(Params(factor)).parameters())}
    assert {n: (s[0], s[3], s[1], s[2]) if len(s) == 4 else s for n, s in made.items()} == wanted


def test_another_checkpoint_is_refused_by_the_names_that_do_not_fit(file, reference):
    with pytest.raises(LayoutError, match="is not Swin2SR"):
        open_upscaler(file, {"upscale": reference.config.upscale, **TINY, "embed_dim": 24})
