"""Depth Anything V2 against transformers' implementation, on random weights: the published names, then the numbers."""

import dataclasses

import mlx.core as mx
import numpy as np
import pytest

from mlx_model.errors import LayoutError
from mlx_model.geometry import Size
from mlx_model.nets.depth_anything import DepthAnything, Params
from mlx_model.run.depth import choose_size, find_depth, open_depth

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TINY = Params(
    hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=70, out_indices=(1, 2, 3, 4),
    neck_hidden_sizes=(8, 12, 16, 24), fusion_hidden_size=16, head_hidden_size=8,
)  # fmt: skip


def build(p):
    backbone = transformers.Dinov2Config(
        hidden_size=p.hidden_size, num_hidden_layers=p.num_hidden_layers, num_attention_heads=p.num_attention_heads,
        mlp_ratio=p.mlp_ratio, image_size=p.image_size, patch_size=p.patch_size, out_indices=list(p.out_indices),
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    return transformers.DepthAnythingForDepthEstimation(
        transformers.DepthAnythingConfig(
            backbone_config=backbone, reassemble_hidden_size=p.hidden_size, patch_size=p.patch_size,
            neck_hidden_sizes=list(p.neck_hidden_sizes), reassemble_factors=list(p.reassemble_factors),
            fusion_hidden_size=p.fusion_hidden_size, head_hidden_size=p.head_hidden_size,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    """All weights random, so that none of them does nothing."""
    torch.manual_seed(5)
    net = build(TINY).eval()
    with torch.no_grad():
        for name, one in net.named_parameters():
            one.copy_(torch.randn_like(one) * 0.15 + (1.0 if "norm" in name and "weight" in name else 0.0))
        net.head.conv3.bias.fill_(1.0)
    return net


@pytest.fixture(scope="module")
def folder(reference, tmp_path_factory):
    path = tmp_path_factory.mktemp("depth")
    reference.save_pretrained(path)
    return path


@pytest.mark.parametrize("size", [(70, 70), (70, 98), (126, 56), (14, 84)])
def test_numbers(reference, folder, size):
    images = np.random.default_rng(3).normal(size=(1, *size, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = reference(torch.tensor(images).permute(0, 3, 1, 2)).predicted_depth.numpy()
    made = np.array(open_depth(folder / "model.safetensors", TINY)(mx.array(images)))
    assert made.shape == wanted.shape
    assert wanted.std() > 1e-3, "it says something"
    assert np.abs(made - wanted).max() < 1e-4 * max(1.0, np.abs(wanted).max())


def test_the_small_one_has_the_published_shapes():
    with torch.device("meta"):
        wanted = build(Params()).state_dict()
    from mlx.utils import tree_flatten

    count = sum(value.size for _, value in tree_flatten(DepthAnything(Params()).parameters()))
    assert count == sum(tensor.numel() for tensor in wanted.values())
    assert 24.7e6 < count < 24.9e6


@pytest.mark.parametrize(("size", "seen"), [((640, 480), (686, 518)), ((480, 640), (518, 686)), ((518, 518),) * 2])
def test_the_size_that_it_sees_is_the_processor_s(size, seen):
    """As transformers' own code, which needs torchvision to be imported, answers (640 x 480 gives 686 x 518)."""
    assert choose_size(Size(*size), 518, 14) == seen


def drain(events):
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def test_a_map_is_grey_as_large_as_the_photo_and_the_same_each_time(folder):
    net = open_depth(folder / "model.safetensors", TINY)
    photo = np.random.default_rng(1).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    made = drain(find_depth(net, photo))
    assert (made.shape, made.dtype) == (photo.shape, np.uint8)
    assert np.ptp(made, axis=2).max() == 0
    assert made.max() - made.min() > 200
    assert np.array_equal(drain(find_depth(net, photo)), made)


def test_another_file_is_refused_by_name(folder):
    with pytest.raises(LayoutError, match=r"not Depth Anything V2 Small.*head\.conv1"):
        open_depth(folder / "model.safetensors", dataclasses.replace(TINY, head_hidden_size=16, fusion_hidden_size=32))
