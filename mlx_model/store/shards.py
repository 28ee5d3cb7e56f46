"""Safetensors files: tensors loaded lazily, shards written one tensor at a time.

The writer streams: the arrays may be lazy (read, changed, packed), and only one is in memory at a time.
"""

import errno
import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ..errors import DiskFull, LayoutError, say_reason
from ..files import make_folders, sync, sync_folder
from .headers import Entry, header

SHARD_BYTES = 4_000_000_000
CHUNK = 32 * 2**20
NAMES = {
    mx.float32: "F32",
    mx.float16: "F16",
    mx.bfloat16: "BF16",
    mx.uint32: "U32",
    mx.int32: "I32",
    mx.uint8: "U8",
}

# A lazy array, or a callable with the shape, dtype and nbytes of the array that it makes when its turn comes.
Unmade = Any


def load_lazily(file: Path) -> dict[str, mx.array]:
    """The tensors of a file, unread until evaluated. Raises LayoutError.

    The header is checked first: mx.load itself accepts overlapping tensors.
    """
    header(file)
    try:
        arrays = mx.load(str(file), format="safetensors")
    except (RuntimeError, ValueError) as error:
        raise LayoutError(f"{file.name} can't be read: {say_reason(error)}.") from error
    if not isinstance(arrays, dict):
        raise LayoutError(f"{file.name} can't be read: it has no names.")
    return arrays


def write_shards(
    folder_dir: Path, name: str, arrays: dict[str, Unmade], shard_bytes: int = SHARD_BYTES
) -> Generator[str, None, dict[str, dict[str, Any]]]:
    """Write `arrays` as NAME/00001.safetensors ... in `folder_dir`; yields each tensor's name once it is written.

    Returns {path inside the folder: {"bytes", "sha256"}}. Takes `arrays` over: it is empty afterwards. Raises DiskFull.
    """
    make_folders(folder_dir / name)
    files = {}
    for number, names in enumerate(_split(arrays, shard_bytes), 1):
        path = f"{name}/{number:05}.safetensors"
        shard = {key: arrays.pop(key) for key in names}
        files[path] = yield from _write(folder_dir / path, shard)
    sync_folder(folder_dir / name)
    return files


def _split(arrays: dict[str, Unmade], limit: int) -> list[list[str]]:
    """Names in order, in runs of at most `limit` bytes (one tensor at least)."""
    runs: list[list[str]] = [[]]
    used = 0
    for name, array in arrays.items():
        if runs[-1] and used + array.nbytes > limit:
            runs.append([])
            used = 0
        runs[-1].append(name)
        used += array.nbytes
    return runs


def _write(file: Path, arrays: dict[str, Unmade]) -> Generator[str, None, dict[str, Any]]:
    """One safetensors file; empties `arrays`. Returns its size and sha256, computed on the way."""
    names = sorted(arrays, key=lambda name: -arrays[name].dtype.size)  # wide types first keeps all of them aligned
    digest = hashlib.sha256()
    with disk_full(file), file.open("wb") as stream:
        entries = {name: (NAMES[arrays[name].dtype], tuple(arrays[name].shape)) for name in names}
        head = make_header(entries, {name: arrays[name].nbytes for name in names})
        digest.update(head)
        stream.write(head)
        for name in names:
            for piece in _pieces(name, arrays.pop(name)):
                digest.update(piece)
                stream.write(piece)
            yield name
        stream.flush()
        sync(stream.fileno())
        return {"bytes": stream.tell(), "sha256": digest.hexdigest()}


def make_header(entries: Mapping[str, Entry], sizes: Mapping[str, int]) -> bytes:
    """The start of a file whose tensors follow in the order of `entries`; `sizes`: the bytes of each."""
    listed, start = {}, 0
    for name, (dtype, shape) in entries.items():
        end = start + sizes[name]
        listed[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(listed, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _pieces(name: str, array: Unmade) -> Iterator[memoryview]:
    """The bytes of an array, evaluated here, without a copy of the whole. Raises LayoutError for NaN and infinity.

    A packed matrix shows them in its scales.
    """
    with unbroken(name):
        values = mx.contiguous(array() if callable(array) else array).reshape(-1)
        del array
        mx.eval(values)
    if not _finite(values):
        raise LayoutError(f"{name} holds numbers that are not finite.", "Is the file damaged? Download it again.")
    flat = values.view(mx.uint8)
    mx.eval(flat)
    view = np.array(flat, copy=False).data
    for start in range(0, len(view), CHUNK):
        yield view[start : start + CHUNK]


def _finite(values: mx.array) -> bool:
    """Of a flat array that is evaluated; piece by piece, since a token table has 400 million numbers."""
    if not mx.issubdtype(values.dtype, mx.floating):
        return True
    starts = range(0, values.size, CHUNK)
    return all(mx.isfinite(values[start : start + CHUNK]).all().item() for start in starts)


@contextmanager
def unbroken(what: str) -> Iterator[None]:
    """Turn MLX's error for bytes that are no longer there, told when they are read at last, into LayoutError."""
    try:
        yield
    except RuntimeError as error:
        if "[read]" not in str(error):
            raise
        message = f"{what} could not be read to its end: its file was cut short, or its disk went away meanwhile."
        raise LayoutError(message, "Look at the disk and at the file, and try again.") from error


@contextmanager
def disk_full(target: Path) -> Iterator[None]:
    """Turn "no space left" into DiskFull; any other error of the disk names `target`."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            error.filename = error.filename or str(target)
            raise
        raise DiskFull(f"The disk is full: {target} could not be written.", "Free some space and try again.") from error
