"""A `.pt` file as a safetensors file, written tensor by tensor, so that the rest of a conversion reads it lazily."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlx_model.store.shards import disk_full

from .pickle_machine import Stored

CHUNK = 2**24  # numbers


def to_safetensors(tensors: Mapping[str, Stored], file: Path) -> Path:
    """Write `tensors` into `file`, holding one at a time. Raises UnsafeFile (a checksum is wrong), DiskFull."""
    # Wide numbers first, so that all stay aligned.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].storage.kind.itemsize)
    entries, start = {}, 0
    for name, tensor in ordered:
        end = start + tensor.nbytes
        entries[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with disk_full(file), file.open("wb") as stream:
        stream.write(len(head).to_bytes(8, "little") + head)
        for _, tensor in ordered:
            _write(stream, tensor.raw())
    return file


def _write(stream, values: np.ndarray) -> None:
    if not values.flags.c_contiguous or values.size == 0:
        stream.write(np.ascontiguousarray(values).tobytes())
        return
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        stream.write(flat[start : start + CHUNK].tobytes())
