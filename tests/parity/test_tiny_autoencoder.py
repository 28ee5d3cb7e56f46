"""TAEF1 against diffusers' AutoencoderTiny, and Stable Diffusion's autoencoder against AutoencoderKL."""

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.parity

from converters.keys import autoencoder as keys_autoencoder  # noqa: E402
from converters.keys import selfflow, taef  # noqa: E402
from converters.keys.rules import apply  # noqa: E402
from mlx_model.nets import autoencoder, tiny_autoencoder  # noqa: E402


def arrays(module) -> dict[str, mx.array]:
    return {name: mx.array(x.detach().numpy()) for name, x in module.state_dict().items()}


def shapes(made):
    return {name: tuple(x.shape) for name, x in made.items()}


def first(x: mx.array) -> np.ndarray:
    return np.array(x).transpose(0, 3, 1, 2)


def last(x) -> mx.array:
    return mx.array(x.numpy().transpose(0, 2, 3, 1))


def test_taef1():
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderTiny(latent_channels=16).eval()
    made = apply(taef.list_diffusers_rules({}), arrays(theirs))
    ours = tiny_autoencoder.AutoEncoder(tiny_autoencoder.Params(**taef.read_sizes(shapes(made), {})))
    ours.load_weights(list(made.items()), strict=True)
    images, z = torch.rand(2, 3, 32, 48) * 2 - 1, 4 * torch.randn(1, 16, 4, 6)
    with torch.no_grad():
        encoded, decoded = theirs.encode(images).latents, theirs.decode(z).sample
    errors = [
        np.abs(first(autoencoder.unpack(ours.encode(last(images)))) - encoded.numpy()).max(),
        np.abs(first(ours.decode(autoencoder.pack(last(z)))) - decoded.numpy()).max(),
    ]
    print(f"TAEF1: encode {errors[0]:.1e}, decode {errors[1]:.1e}")
    assert max(errors) < 1e-5


def test_autoencoder_of_stable_diffusion():
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    theirs = diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16), layers_per_block=1, latent_channels=4, norm_num_groups=4, **blocks
    ).eval()
    source = arrays(theirs)
    former = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, old in former.items():
        source = {name.replace(f".{new}.", f".{old}."): x for name, x in source.items()}
    made = apply(selfflow.list_old_rules(shapes(source)), source)
    assert shapes(made) == shapes(apply(keys_autoencoder.list_diffusers_rules(shapes(arrays(theirs))), arrays(theirs)))
    sizes = keys_autoencoder.read_sizes(shapes(made), {"norm_num_groups": 4})
    ours = autoencoder.AutoEncoder(autoencoder.Params(**sizes))
    ours.load_weights(list(made.items()), strict=True)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        mean = theirs.encode(images).latent_dist.mode() * ours.params.scale
        decoded = theirs.decode(mean / ours.params.scale).sample
    latents = ours.encode(last(images))
    errors = [
        np.abs(first(autoencoder.unpack(latents)) - mean.numpy()).max(),
        np.abs(first(ours.decode(autoencoder.pack(last(mean)))) - decoded.numpy()).max(),
    ]
    print(f"SD autoencoder: encode {errors[0]:.1e}, decode {errors[1]:.1e}")
    assert max(errors) < 1e-5
