"""Adapters that become part of the weights when a model is converted, before anything is packed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlx_model.errors import LayoutError
from mlx_model.request import Lora
from mlx_model.store import lora_files, lora_names
from mlx_model.store.folder import sha256_of
from mlx_model.store.lora import Scaled, delta, describe, gather, put, shift_vector
from mlx_model.store.lora_files import Network
from mlx_model.store.lora_kinds import Change, Vector
from mlx_model.store.weights import build

Arrays = dict[str, mx.array]


def bake(
    targets: Arrays, role: str, family: str, params: Any, networks: dict[str, Network], loras: Sequence[Lora]
) -> set[str]:
    """Add the adapters of `role` to its arrays, lazily and in float32; the names of those that changed.

    What adapters may change of the role is put into `networks`; whether the files fit the model is told by list_notes,
    once all roles are known. Raises RequestError (no such file), LayoutError (damaged, of another size; a bias for a
    layer that has none).
    """
    if not loras:
        return set()
    networks[role] = describe(build(role, family, params), family)
    changed = set()
    for layer, scaled in gather(networks, loras, [], whole=False)[role].items():
        if isinstance(scaled[0][1].change, Vector):
            name = f"{layer}.{networks[role].vectors[layer][0]}"
            targets[name] = shift_vector(targets[name], scaled)
            changed.add(name)
        else:
            changed |= _bake_layer(targets, layer, scaled, networks[role].sizes[layer])
    return changed


def list_notes(networks: dict[str, Network], loras: Sequence[Lora]) -> list[str]:
    """What of the files is left out, once all `networks` are known. Raises what bake raises."""
    notes: list[str] = []
    gather(networks, loras, notes)
    return notes


def adapts_encoder(lora: Lora) -> bool:
    """Whether a file has parts for a text encoder. Raises LayoutError."""
    return lora_names.adapts_encoder(lora_names.read_header(Path(lora.path).expanduser()).shapes)


def _bake_layer(targets: Arrays, layer: str, scaled: list[Scaled], sizes: tuple[int, int]) -> set[str]:
    matrix, bias = f"{layer}.weight", f"{layer}.bias"
    base, changed = targets[matrix].astype(mx.float32), set()
    for scale, one in scaled:
        change = one.change
        assert isinstance(change, Change)
        if change.addition is not None:
            added = scale * delta(change.addition, one.place, *sizes, base)
            targets[matrix] = targets[matrix].astype(mx.float32) + added
            changed.add(matrix)
        if change.bias is not None:
            if bias not in targets:
                raise LayoutError(
                    f"A LoRA gives {layer} a bias, which this model's has not.",
                    "Use the LoRA beside the model instead.",
                )
            shifted = targets[bias].astype(mx.float32) + put(scale * change.bias, one.place, *sizes, axis=0)
            targets[bias] = shifted
            changed.add(bias)
    return changed


def widen(targets: Arrays, loras: Sequence[Lora]) -> Path | None:
    """Let the entry of a transformer take what a control LoRA wants beside the latents; its file, where one does.

    As BFL does: the new inputs count for nothing until the LoRA is added. Raises LayoutError.
    """
    name = f"{lora_files.ENTRY}.weight"
    for path in [Path(lora.path).expanduser() for lora in loras if name in targets]:
        width = targets[name].shape[1]
        wanted = lora_files.count_inputs(path) if path.is_file() else 0
        if wanted > width and wanted % width == 0:
            targets[name] = mx.pad(targets[name], [(0, 0), (0, wanted - width)])
            return path
    return None


def record(loras: Sequence[Lora]) -> list[dict[str, Any]]:
    """What model.json says about them: the file's name, never its path."""
    paths = [(Path(lora.path).expanduser(), lora.scale) for lora in loras]
    return [{"name": path.name, "sha256": sha256_of(path), "scale": scale} for path, scale in paths]
