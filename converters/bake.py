"""Adapters that become part of the weights when a model is converted, before anything is packed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.request import Lora
from mlx_model.store.folder import sha256_of
from mlx_model.store.lora import delta, gather, layer_sizes
from mlx_model.store.weights import build


def bake(targets: dict[str, mx.array], family: str, params: Any, loras: Sequence[Lora]) -> set[str]:
    """Add the adapters to the matrices of a transformer, lazily and in float32; the names of those that changed.

    Raises RequestError (no such file), LayoutError (not for this model).
    """
    sizes, changed = layer_sizes(build("transformer", family, params)) if loras else {}, set()
    for layer, adapters in gather(family, sizes, loras).items():
        name = f"{layer}.weight"
        additions = [delta(scale, adapter, *sizes[layer]) for scale, adapter in adapters]
        targets[name] = targets[name].astype(mx.float32) + sum(additions)
        changed.add(name)
    return changed


def record(loras: Sequence[Lora]) -> list[dict[str, Any]]:
    """What model.json says about them: the file's name, never its path."""
    paths = [(Path(lora.path).expanduser(), lora.scale) for lora in loras]
    return [{"name": path.name, "sha256": sha256_of(path), "scale": scale} for path, scale in paths]
