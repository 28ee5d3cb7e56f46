"""TAEF1 and TAEF2 against golden vectors, and TAEF2's real weights on a picture with the statistics of a photo."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from converters.formats.pickle_free import read_tensors
from converters.keys import taef
from converters.keys.rules import apply
from mlx_model.nets import autoencoder, tiny_autoencoder
from mlx_model.run.pictures import to_pixels, to_signed
from tests.golden import FOLDER, array, inp, recipe_weights

GOLDEN = json.loads((FOLDER / "taef_tiny.json").read_text())
REAL = Path(__file__).parents[4] / "shared" / "weights" / "taef2"
PARAMS = {"taef1": tiny_autoencoder.Params(16, False), "taef2": tiny_autoencoder.Params(32, True)}


def network(name: str) -> tiny_autoencoder.AutoEncoder:
    """The recipe goes by the names of each native file alone: encoder and decoder are numbered apart."""
    model = tiny_autoencoder.AutoEncoder(PARAMS[name])
    for side, rules in (("encoder", taef.ENCODER), ("decoder", taef.DECODER)):
        ours = {n: x for n, x in tree_flatten(model.parameters()) if n.startswith(side)}
        shapes = {
            n.removeprefix(f"{side}."): tuple(x.transpose(0, 3, 1, 2).shape) if x.ndim == 4 else tuple(x.shape)
            for n, x in ours.items()
        }
        weights = apply(rules, {n: mx.array(x) for n, x in recipe_weights(shapes).items()})
        assert set(weights) == set(ours)
        model.load_weights(list(weights.items()), strict=False)
    return model


def channels_first(x: mx.array) -> np.ndarray:
    return np.array(x).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", PARAMS)
def test_encode(name):
    images = 2 * inp(0, (1, 3, 16, 16)).transpose(0, 2, 3, 1) - 1  # the native nets take [0, 1]
    latents = autoencoder.unpack(network(name).encode(images))
    assert np.abs(channels_first(latents) - array(GOLDEN[name]["encode"])).max() < 1e-5


@pytest.mark.parametrize("name", PARAMS)
def test_decode(name):
    z = inp(1, (1, PARAMS[name].z_channels, 2, 2)).transpose(0, 2, 3, 1)
    images = (network(name).decode(autoencoder.pack(z)) + 1) / 2
    assert np.abs(channels_first(images) - array(GOLDEN[name]["decode"])).max() < 1e-5


def test_large_latents_are_squashed():
    model = network("taef2")
    bright = model.decode(mx.full((1, 1, 1, 128), 1e4))
    assert mx.abs(bright - model.decode(mx.full((1, 1, 1, 128), 1e5))).max().item() < 1e-5


@pytest.mark.parametrize(("dtype", "bound"), [(mx.float16, 0.02), (mx.bfloat16, 0.15)])
def test_half_precision_stays_near(dtype, bound):
    model = network("taef2")
    z = inp(1, (1, 2, 2, 128))
    exact = model.decode(z)
    model.set_dtype(dtype)
    half = model.decode(z)
    assert half.dtype == mx.float32
    assert mx.abs(half - exact).max().item() < bound


def photo(side: int = 128, seed: int = 3) -> np.ndarray:
    """Not a photo, but with what makes one: 1/f clouds in three related colours, soft light, hard edges, a gradient."""
    rng = np.random.default_rng(seed)
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    fall = 1 / np.maximum(np.hypot(fy, fx), 1 / side) ** 1.2
    clouds = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * fall).real for _ in range(3)]
    clouds = np.stack([c / c.std() for c in clouds], -1) @ np.array([[0.9, 0.8, 0.7], [0.2, 0, -0.2], [0, 0.1, -0.1]])
    y, x = np.mgrid[:side, :side] / side
    picture = 120 + 28 * clouds + 60 * (0.5 - y)[..., None]
    for cx, cy, radius, colour in ((0.3, 0.6, 0.18, (200, 90, 60)), (0.7, 0.65, 0.14, (60, 110, 180))):
        inside = np.hypot(x - cx, y - cy) < radius
        light = 1 - 0.9 * np.hypot(x - cx + radius / 3, y - cy + radius / 3) / radius / 2
        picture[inside] = (0.8 * np.array(colour) * light[..., None] + 0.2 * picture)[inside]
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


needs_real_weights = pytest.mark.skipif(
    not REAL.is_dir(), reason="the published TAEF2 weights are not beside the repository"
)


def real_network() -> tiny_autoencoder.AutoEncoder:
    """TAEF2 as it is published."""
    weights = {}
    for side, rules in (("encoder", taef.ENCODER), ("decoder", taef.DECODER)):
        weights |= apply(rules, {n: t.array() for n, t in read_tensors(REAL / f"taef2_{side}.pth").items()})
    model = tiny_autoencoder.AutoEncoder(PARAMS["taef2"])
    model.load_weights(list(weights.items()), strict=True)
    return model


@needs_real_weights
def test_real_weights_carry_a_picture():
    model = real_network()
    pixels = photo()
    psnr = {}
    for dtype in (mx.float32, mx.float16):
        model.set_dtype(dtype)
        latents = model.encode(to_signed(pixels[None]))
        made = to_pixels(model.decode(latents))[0].astype(float)
        psnr[str(dtype)] = 10 * np.log10(255**2 / np.mean((made - pixels) ** 2))
        print(f"TAEF2 {dtype}: {psnr[str(dtype)]:.2f} dB; latents of deviation {latents.std().item():.2f}")
        assert 0.3 < latents.std().item() < 3
        assert psnr[str(dtype)] > 26
    assert abs(psnr["mlx.core.float32"] - psnr["mlx.core.float16"]) < 0.1
