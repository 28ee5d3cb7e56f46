"""Pictures, clips and sounds in one transformer, in torch: the network and the losses of training/joint.py.

Axis letters: B batch, T words, N tokens of a clip, C numbers of one, h width.
"""

from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from mlx_model.nets import flux2, text_qwen3
from mlx_model.training.flow import STUDENT_LAYER, TEACHER_LAYER, layer_at
from mlx_model.training.patches import Codec, Places

from .flow import TextToFlow, feature_head


class Batch(NamedTuple):
    """Examples of one kind; some tokens are `masked`: they have the second times `others`."""

    kind: str
    clean: torch.Tensor  # (B, N, C)
    noise: torch.Tensor
    words: torch.Tensor  # (B, T) int64
    real: torch.Tensor  # (B, T) bool
    times: torch.Tensor  # (B,)
    others: torch.Tensor
    masked: torch.Tensor  # (B, N) bool


class Joint(TextToFlow):
    """Text encoder and blocks for all kinds, each kind's way in and out, and the head that predicts the teacher."""

    def __init__(self, text: text_qwen3.Params, blocks: flux2.Params, codecs: dict[str, Codec]):
        super().__init__(text, blocks)
        hidden, widths = blocks.hidden_size, {kind: codec.width for kind, codec in codecs.items()}
        self.places: dict[str, Places] = {kind: codec.places for kind, codec in codecs.items()}
        self.ways_in = nn.ModuleDict({kind: nn.Linear(width, hidden, False) for kind, width in widths.items()})
        self.ways_out = nn.ModuleDict({kind: nn.Linear(hidden, width, False) for kind, width in widths.items()})
        self.head = feature_head(hidden, hidden)

    def run(self, batch: Batch, noisy: torch.Tensor, two: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Velocity (B, N, C), and tokens (B, N, h) after every block; `two`: at both times of the batch."""
        times = torch.stack([batch.times, batch.others], 1) if two else batch.times
        text, masked = self.text_encoder(batch.words, batch.real), batch.masked if two else None
        grids = self.places[batch.kind]
        v, states = self.transformer.with_states(self.ways_in[batch.kind](noisy), times, text, None, grids, masked)
        return self.ways_out[batch.kind](v), states


def run(model: Joint, batch: Batch, two: bool = False) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What the model makes of the batch's clips at their times."""
    t = batch.times[:, None]
    if two:
        t = torch.where(batch.masked, batch.others[:, None], t)
    t = t[..., None]
    return model.run(batch, (1 - t) * batch.clean + t * batch.noise, two)


def flow_error(model: Joint, batch: Batch) -> torch.Tensor:
    return _error(run(model, batch)[0], batch)


def self_flow_losses(model: Joint, teacher: Joint, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The velocity's error at two times, and the cosine to the teacher's tokens at the cleaner of the two."""
    v, states = run(model, batch, two=True)
    with torch.no_grad():
        _, seen = run(teacher, batch._replace(times=torch.minimum(batch.times, batch.others)))
    predicted = model.head(states[layer_at(STUDENT_LAYER, len(states))])
    wanted = seen[layer_at(TEACHER_LAYER, len(seen))]
    return _error(v, batch), F.cosine_similarity(predicted, wanted, -1).mean()


def _error(v: torch.Tensor, batch: Batch) -> torch.Tensor:
    return (v - (batch.noise - batch.clean)).square().mean()
