"""Random adapters in the forms that people publish, and what they add to a dense matrix."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

Tensors = dict[str, np.ndarray]


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32) / 8


def low_rank(seed: int, outputs: int, inputs: int, rank: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """down (rank, inputs), up (outputs, rank)."""
    return random(seed, rank, inputs), random(seed + 1000, outputs, rank)


def peft(stem: str, down: np.ndarray, up: np.ndarray, ending: str = ".weight") -> Tensors:
    return {f"{stem}.lora_A{ending}": down, f"{stem}.lora_B{ending}": up}


def kohya(layer: str, down: np.ndarray, up: np.ndarray, alpha: float | None = None, prefix="lora_unet_") -> Tensors:
    stem = prefix + layer.replace(".", "_")
    made = {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}
    return made | (
        {} if alpha is None else {f"{stem}.alpha": np.array(alpha, np.float32 if isinstance(alpha, float) else None)}
    )


def save(file: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> str:
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, file, metadata)
    return str(file)
