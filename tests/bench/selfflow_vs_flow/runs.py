"""A run of one method with one seed: its network, its loss, its steps, and its checkpoint.

All methods with one seed start from the same weights and see the same pictures, noise and times in the same order;
chance depends on the seed and the number of the step alone, so that a run which goes on is one that never stopped.
"""

import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from mlx_model.nets import flux2, text_qwen3
from mlx_model.training.flow import MASK_RATIO, STUDENT_LAYER, WEIGHT, layer_at
from tests.mirror import checkpoint, recipe
from tests.mirror.flow import (
    Batch,
    TextToFlow,
    Two,
    feature_head,
    initialise,
    run_states,
    sample_times,
    self_flow_losses,
    velocity_error,
)
from tests.mirror.optimizer import MuonAndAdam

from . import encoders, world
from .data import Data

METHODS = {"flow": "flow matching", "selfflow": "Self-Flow", "aligned": "aligned to a frozen encoder"}
# The built-in model's blocks, words and rates, in less width: a core has to train nine of them.
TEXT = text_qwen3.Params(64, 192, 4, 2, 16, (2, 3, 4), vocab_size=1024, rope_theta=1e4)
NET = flux2.Params(96, 3, 2, 4, TEXT.width, in_channels=64, axes_dim=(4, 12, 12, 4), theta=50.0)
BATCH = 16
AVERAGE = 0.99  # a step: the teacher, and what is measured
ALIGNMENT = 0.5  # REPA's weight (Yu et al. 2410.06940); its features go in at the same depth as Self-Flow's
BLOCKS = NET.depth + NET.depth_single_blocks


class Learner(nn.Module):
    """The network, with the head that a method has beside it."""

    def __init__(self, method: str, seed: int):
        super().__init__()
        self.flow = TextToFlow(TEXT, NET)
        initialise(self.flow, seed)
        torch.manual_seed(seed)
        wanted = {"selfflow": NET.hidden_size, "aligned": encoders.WIDTH}.get(method)
        self.head = feature_head(NET.hidden_size, wanted) if wanted else None


class Run:
    """Restored from its folder where it is begun."""

    def __init__(self, folder: Path, method: str, seed: int):
        self.folder, self.method, self.seed = folder / f"{method}-{seed}", method, seed
        self.file, self.step, self.seconds = self.folder / "state.safetensors", 0, 0.0
        self.learner, self.teacher = Learner(method, seed), TextToFlow(TEXT, NET)
        self.optimizer = MuonAndAdam(self.learner, recipe.MUON_RATE, recipe.ADAM_RATE)
        self.average = {name: x.clone() for name, x in self.learner.flow.state_dict().items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.file.exists():
            self._restore()

    def _restore(self) -> None:
        arrays, facts = checkpoint.load(self.file)
        self.learner.load_state_dict(arrays["model"])
        checkpoint.restore_moments(self.learner, self.optimizer, arrays["optimizer"])
        self.average = {name: arrays["ema"][name] for name in self.average}  # in their order
        self.step, self.seconds = facts["step"], facts["seconds"]

    def save(self) -> None:
        facts = {"step": self.step, "seconds": self.seconds}
        checkpoint.save(self.file, self.learner, self.average, self.optimizer, torch.Generator(), facts)

    def keep_average(self) -> Path:
        """The weights that are measured, of this step."""
        file = self.folder / f"{self.step:06}.safetensors"
        save_file(self.average, file)
        return file

    def advance(self, data: Data) -> None:
        began = time.thread_time()
        batch, features, noise, two = draw_batch(data, self.seed, self.step)
        self._loss(batch, features, noise, two).backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), recipe.CLIP)
        self.optimizer.step(min(1.0, (self.step + 1) / recipe.WARMUP))
        self.step += 1
        self._blend(min(AVERAGE, self.step / (self.step + 10)))
        self.seconds += time.thread_time() - began

    def _loss(self, batch: Batch, features: torch.Tensor, noise: torch.Tensor, two: Two) -> torch.Tensor:
        model, head = self.learner.flow, self.learner.head
        if self.method == "selfflow":
            self.teacher.load_state_dict(self.average)
            error, likeness = self_flow_losses(model, head, self.teacher, batch, noise, two)
            return error - WEIGHT * likeness
        v, states = run_states(model, batch, noise)
        error = velocity_error(v, batch, noise)
        if head is None:
            return error
        predicted = head(states[layer_at(STUDENT_LAYER, BLOCKS)])
        return error - ALIGNMENT * F.cosine_similarity(predicted, features, -1).mean()

    @torch.no_grad()
    def _blend(self, decay: float) -> None:
        torch._foreach_lerp_(list(self.average.values()), list(self.learner.flow.state_dict().values()), 1 - decay)


def draw_batch(data: Data, seed: int, step: int) -> tuple[Batch, torch.Tensor, torch.Tensor, Two]:
    """The same for every method."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    at = torch.randint(len(data.ids), (BATCH,), generator=generator)
    latents = data.latents[at]
    times, others = (sample_times(generator, BATCH, recipe.TIME_SHIFT) for _ in range(2))
    noise = torch.randn(latents.shape, generator=generator)
    masked = torch.rand(latents.shape[:2], generator=generator) < MASK_RATIO
    batch = Batch(data.ids[at], data.real[at], latents, None, (world.GRID,), times, torch.ones(latents.shape[:2]))
    return batch, data.features[at].float(), noise, Two(others, masked)


def open_average(file: Path) -> TextToFlow:
    model = TextToFlow(TEXT, NET)
    model.load_state_dict(load_file(file))
    return model.eval()
