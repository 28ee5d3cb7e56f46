"""A run's state.safetensors: what the product's trainer writes and reads (training/loop.py), and what the mirror adds.

model:NAME, ema:NAME                           weights and their moving average
optimizer:states.0.NAME.v                      Muon's velocity
optimizer:states.1.NAME.m, .v                  Adam's moments
mirror:generator                               torch's random generator; numpy's and all counts are in the metadata
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .flow import TextToFlow
from .optimizer import MuonAndAdam

GENERATOR = "mirror:generator"


def moments(model: TextToFlow, optimizer: MuonAndAdam) -> dict[str, torch.Tensor]:
    """The optimisers' state by the product's names."""
    arrays = {f"states.0.{name}.v": velocity for name, velocity in optimizer.velocity.items()}
    steps = 0
    for name, parameter in model.named_parameters():
        state = optimizer.adam.state.get(parameter)
        if state:
            arrays |= {f"states.1.{name}.m": state["exp_avg"], f"states.1.{name}.v": state["exp_avg_sq"]}
            steps = int(state["step"])
    for number, rate in enumerate((optimizer.muon_rate, optimizer.adam_rate)):
        arrays[f"states.{number}.step"] = torch.tensor(steps)
        arrays[f"states.{number}.learning_rate"] = torch.tensor(rate)
    return arrays


def restore_moments(model: TextToFlow, optimizer: MuonAndAdam, arrays: Mapping[str, torch.Tensor]) -> None:
    """Reversed."""
    steps = arrays["states.1.step"].float()
    for name, parameter in model.named_parameters():
        if name in optimizer.velocity:
            optimizer.velocity[name].copy_(arrays[f"states.0.{name}.v"])
        elif f"states.1.{name}.m" in arrays:
            first, second = (arrays[f"states.1.{name}.{kind}"].clone() for kind in "mv")
            optimizer.adam.state[parameter] = {"step": steps.clone(), "exp_avg": first, "exp_avg_sq": second}


def save(
    file: Path,
    model: TextToFlow,
    average: Mapping[str, torch.Tensor],
    optimizer: MuonAndAdam,
    generator: torch.Generator,
    facts: Mapping[str, Any],
) -> None:
    """Replaced atomically; the one before stays as `before.safetensors`."""
    groups = {"model": model.state_dict(), "ema": average, "optimizer": moments(model, optimizer)}
    arrays = {f"{group}:{name}": x.contiguous() for group, part in groups.items() for name, x in part.items()}
    partial = file.with_suffix(".partial.safetensors")
    metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
    save_file({**arrays, GENERATOR: generator.get_state()}, partial, metadata)
    if file.exists():
        os.replace(file, file.with_name("before.safetensors"))
    os.replace(partial, file)


def load(file: Path) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, Any]]:
    """-> (arrays by group and name, facts)."""
    groups: dict[str, dict[str, torch.Tensor]] = {}
    for name, x in load_file(file).items():
        group, _, name = name.partition(":")
        groups.setdefault(group, {})[name] = x
    with safe_open(file, "pt") as opened:
        facts = {name: json.loads(value) for name, value in (opened.metadata() or {}).items()}
    return groups, facts
