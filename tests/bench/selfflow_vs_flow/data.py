"""The pictures that all runs share, drawn and encoded once: latents, words, and what the frozen encoder sees.

They lie in files of CHUNK pictures, each whole or not there, so that this can be stopped and goes on.
"""

from pathlib import Path
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from tests.mirror import recipe
from tests.mirror.autoencoder import AutoEncoder
from tests.mirror.names import to_torch
from tests.mirror.samples import AT_ONCE, signed

from . import encoders, world

ASSETS = Path(__file__).parents[3] / "assets" / "mini"
TRAIN, TEST, CHUNK = 1920, 96, 96
LENGTH = 20  # tokens of a prompt
PAD = "<|endoftext|>"


class Data(NamedTuple):
    """`asked` says what the test's pictures show; `features` are there for training alone."""

    ids: torch.Tensor  # (n, LENGTH) int64
    real: torch.Tensor  # (n, LENGTH) bool
    latents: torch.Tensor  # (n, N, C)
    features: torch.Tensor  # (n, N, WIDTH), or none
    asked: list[world.Asked]


def open_autoencoder() -> AutoEncoder:
    """The built-in model's."""
    (file,) = (ASSETS / "autoencoder").glob("*.safetensors")
    model = AutoEncoder(recipe.AUTOENCODER)
    model.load_state_dict(to_torch(mx.load(str(file))))
    return model.to(memory_format=torch.channels_last).eval()


def list_asked(test: bool) -> list[world.Asked]:
    rng = np.random.default_rng(int(test))
    return [world.draw_asked(rng, test) for _ in range(TEST if test else TRAIN)]


def tokenize(prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, LENGTH) ids, and which are words. Raises ValueError for a prompt that is too long."""
    tokenizer = Tokenizer.from_file(str(ASSETS / "tokenizer" / "tokenizer.json"))
    rows = [tokenizer.encode(prompt).ids for prompt in prompts]
    if max(map(len, rows)) > LENGTH:
        raise ValueError(f"a prompt has {max(map(len, rows))} tokens")
    pad = tokenizer.token_to_id(PAD)
    ids = torch.tensor([row + [pad] * (LENGTH - len(row)) for row in rows])
    return ids, torch.tensor([[i < len(row) for i in range(LENGTH)] for row in rows])


@torch.no_grad()
def encode(model: AutoEncoder, asked: list[world.Asked], test: bool) -> dict[str, torch.Tensor]:
    """One chunk's latents and features, float16."""
    shown = [world.draw(one) for one in asked]
    parts = [shown[i : i + AT_ONCE] for i in range(0, len(shown), AT_ONCE)]
    made = {"latents": torch.cat([model.encode(signed(part)) for part in parts]).half()}
    if not test:
        made["features"] = torch.cat([encoders.see_places(part) for part in parts]).half()
    return {name: x.contiguous() for name, x in made.items()}


def prepare(folder: Path, test: bool, turn: int = 0) -> Data:
    """Read, and made where it is not there; processes that begin at different turns share the work."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = list_asked(test)
    files = [folder / f"{'test' if test else 'train'}_{first:05}.safetensors" for first in range(0, len(asked), CHUNK)]
    for i in range(len(files)):
        number = (i + turn * len(files) // 3) % len(files)
        if not files[number].exists():
            partial = files[number].with_suffix(f".{turn}.partial")
            save_file(encode(open_autoencoder(), asked[number * CHUNK : (number + 1) * CHUNK], test), partial)
            partial.replace(files[number])
    chunks = [load_file(file) for file in files]
    ids, real = tokenize([one.prompt for one in asked])
    latents = torch.cat([chunk["latents"] for chunk in chunks]).float()
    features = torch.empty(0) if test else torch.cat([chunk["features"] for chunk in chunks])
    return Data(ids, real, latents, features, asked)
