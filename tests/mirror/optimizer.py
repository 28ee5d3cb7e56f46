"""Muon (K. Jordan 2024) on matrices inside blocks and layers, Adam on all the rest, as mlx_model/training/loop.py."""

import torch
import torch.nn as nn

MOMENTUM, STEPS = 0.95, 5
QUINTIC = (3.4445, -4.7750, 2.0315)
LONG = 3  # from this ratio of the sides on, going through the Gram matrix is less work


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz: the same singular vectors, all singular values near 1."""
    if matrix.shape[0] < matrix.shape[1]:
        return orthogonal(matrix.mT).mT
    x = matrix / (matrix.norm() + 1e-7)
    if x.shape[0] >= LONG * x.shape[1]:
        return x @ polynomial(x.mT @ x)
    a, b, c = QUINTIC
    for _ in range(STEPS):
        gram = x.mT @ x
        x = a * x + x @ (b * gram + c * gram @ gram)
    return x


def polynomial(gram: torch.Tensor) -> torch.Tensor:
    """What x is multiplied by over all steps, from x'x alone: each step's factor is a polynomial of it."""
    (a, b, c), one = QUINTIC, torch.eye(len(gram))
    product = one
    for _ in range(STEPS):
        factor = a * one + b * gram + c * gram @ gram
        product, gram = product @ factor, factor @ gram @ factor
    return product


def in_block(name: str, parameter: torch.Tensor) -> bool:
    """Whether it is Muon's."""
    return parameter.ndim == 2 and ("blocks." in name or "layers." in name)


class MuonAndAdam:
    """Both optimisers of a model; `step` takes the gradients that its parameters hold, and forgets them."""

    def __init__(self, model: nn.Module, muon_rate: float, adam_rate: float):
        named = list(model.named_parameters())
        self.matrices = {name: p for name, p in named if in_block(name, p)}
        self.velocity = {name: torch.zeros_like(p) for name, p in self.matrices.items()}
        self.muon_rate, self.adam_rate = muon_rate, adam_rate
        rest = [p for name, p in named if name not in self.matrices]
        self.adam = torch.optim.AdamW(rest, adam_rate, betas=(0.9, 0.98), weight_decay=0.0)

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """One step at this share of the rates."""
        for name, parameter in self.matrices.items():
            self._turn(parameter, self.velocity[name], share * self.muon_rate)
        for group in self.adam.param_groups:
            group["lr"] = share * self.adam_rate
        self.adam.step()
        for parameter in (*self.matrices.values(), *self.adam.param_groups[0]["params"]):
            parameter.grad = None

    def _turn(self, parameter: torch.Tensor, velocity: torch.Tensor, rate: float) -> None:
        gradient = parameter.grad
        velocity.lerp_(gradient, 1 - MOMENTUM)
        rows, columns = parameter.shape
        parameter.add_(orthogonal(gradient.lerp(velocity, MOMENTUM)), alpha=-rate * max(1, rows / columns) ** 0.5)

    def state(self) -> dict:
        """What a checkpoint holds of it."""
        return {"velocity": self.velocity, "adam": self.adam.state_dict()}

    def restore(self, state: dict) -> None:
        for name, velocity in self.velocity.items():
            velocity.copy_(state["velocity"][name])
        self.adam.load_state_dict(state["adam"])
