"""What was computed, on disk: prompt features, latents of pictures, K and V of references.

An entry is called by the sha256 of all that it depends on: the weights, the network's code, MLX, what was given. It
holds the length of a header, the header (JSON), the arrays' bytes and the sha256 of all before. A damaged one goes. The
folder and its files must be this user's own, and nobody else may write there; else nothing is read or written.
MLX is loaded by those who read and write, not by those who look how much there is.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import stat
import sys
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from ..errors import DiskFull, RequestError
from ..files import make_folders, write_new
from ..foreign import parse_json
from ..held import Held, hold, is_single
from .folder import Folder

if TYPE_CHECKING:
    import mlx.core as mx

LIMIT = 16 * 10**9  # bytes
SHARE = 0.1  # of the disk's free space and what is kept already
HEADER_LIMIT = 2**20  # bytes
DTYPES = {"float32": np.float32, "bfloat16": np.uint16, "float16": np.float16}
CODE = ("nets/*.py", "run/*.py", "store/lora*.py", "store/weights.py")  # the sources that decide what is computed
SUFFIX = ".kept"


class Amount(NamedTuple):
    entries: int
    bytes: int


class Cache:
    """One folder, which is made with the first entry; the entries used longest ago go beyond the limit."""

    def __init__(self, folder: Path, limit: int = LIMIT):
        self.folder, self.limit = folder, limit

    def get(self, key: str) -> Any:
        """The value of `key`, evaluated; None where there is none that can be trusted. Never raises OSError."""
        try:
            with hold(self.folder) as folder:
                return self._read(folder, f"{key}{SUFFIX}")
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read(self, folder: Held, name: str) -> Any:
        own = _require_own(folder)
        with open(folder.open(name), "rb") as handle:
            status = os.fstat(handle.fileno())
            if not is_single(status) or status.st_uid != own:
                raise PermissionError("others may have written it")
            try:
                value = _decode(handle, status.st_size)
            except (ValueError, KeyError, TypeError):
                folder.remove(name)
                raise
        with contextlib.suppress(OSError):
            os.utime(self.folder / name, follow_symlinks=False)
        return value

    def put(self, key: str, value: Any) -> None:
        """Keep `value`, evaluated arrays in lists or tuples, where there is room. Never raises OSError."""
        from mlx.utils import tree_flatten

        arrays: list[tuple[str, mx.array]] = list(dict(tree_flatten(value)).items())
        size = sum(array.nbytes for _, array in arrays)
        with contextlib.suppress(OSError, DiskFull, RequestError):
            if not self.folder.is_dir():
                make_folders(self.folder.parent)
                self.folder.mkdir(mode=0o700)
            with hold(self.folder) as folder:
                _require_own(folder)
            if self._make_room(size):
                file = self.folder / f"{key}{SUFFIX}"
                write_new(file, lambda handle: _encode(handle, arrays), force=True, lasting=False)

    def _make_room(self, size: int) -> bool:
        """Whether `size` bytes may be written, once the oldest entries have gone."""
        entries = sorted(self._list(), key=lambda entry: entry[1].st_mtime_ns)
        held = sum(status.st_size for _, status in entries)
        limit = min(self.limit, int(SHARE * (shutil.disk_usage(self.folder).free + held)))
        while entries and size <= limit < held + size:
            file, status = entries.pop(0)
            file.unlink(missing_ok=True)
            held -= status.st_size
        return held + size <= limit

    def _list(self) -> list[tuple[Path, os.stat_result]]:
        found = self.folder.glob(f"*{SUFFIX}") if self.folder.is_dir() and not self.folder.is_symlink() else ()
        return [(file, file.lstat()) for file in found]

    def measure(self) -> Amount:
        """How many entries there are, and their bytes."""
        entries = self._list()
        return Amount(len(entries), sum(status.st_size for _, status in entries))

    def clear(self) -> Amount:
        """Delete all entries, and the folder where nothing else is in it; what went. Raises OSError."""
        gone = self.measure()
        for file, _ in self._list():
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        return gone


def name_entry(folder: Folder, roles: Iterable[str], dtype: str, key: Hashable) -> str:
    """What an entry is called that the components `roles` of a folder made of `key`, of which repr tells all."""
    import mlx.core as mx

    parts = {role: part for role, part in folder.components.items() if role in roles}
    weights = [(role, part.family, part.params, _hashes(part.files)) for role, part in sorted(parts.items())]
    words = (folder.spec.template, folder.spec.max_tokens, folder.spec.token_step, _hashes(folder.tokenizer))
    device = (importlib.metadata.version("mlx"), sys.platform, str(mx.default_device()), dtype)
    return hashlib.sha256(repr((_stamp_code(), device, weights, words, key)).encode()).hexdigest()


def _hashes(files: dict[str, Any]) -> list[str]:
    return [facts["sha256"] for facts in files.values()]


@functools.cache
def _stamp_code() -> str:
    """Changes with every change of what computes; where the sources are packed away, with the version."""
    root = Path(__file__).parents[1]
    sources = sorted(file for pattern in CODE for file in root.glob(pattern))
    if not sources:
        return importlib.metadata.version("flux-local-studio")
    return hashlib.sha256(b"".join(file.read_bytes() for file in sources)).hexdigest()


def _require_own(folder: Held) -> int:
    """The folder's owner. Raises PermissionError where that is somebody else, or where others may write."""
    status = os.stat(folder.path) if folder.descriptor is None else os.fstat(folder.descriptor)
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or shared):
        raise PermissionError("it is not this user's alone")
    return status.st_uid


def _encode(handle: BinaryIO, arrays: list[tuple[str, mx.array]]) -> None:
    import mlx.core as mx

    digest = hashlib.sha256()

    def add(data: bytes | memoryview) -> None:
        digest.update(data)
        handle.write(data)

    described = [[name, str(array.dtype).rpartition(".")[2], list(array.shape)] for name, array in arrays]
    header = json.dumps(described).encode()
    add(len(header).to_bytes(8, "little"))
    add(header)
    for _, array in arrays:
        plain = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
        add(np.ascontiguousarray(np.array(plain)).tobytes())
    handle.write(digest.digest())


def _decode(handle: BinaryIO, size: int) -> Any:
    """Raises ValueError, KeyError, TypeError for what _encode did not write."""
    import mlx.core as mx
    from mlx.utils import tree_unflatten

    digest, arrays = hashlib.sha256(), []

    def take(count: int) -> bytes:
        data = handle.read(count)
        if len(data) != count:
            raise ValueError("it is cut short")
        digest.update(data)
        return data

    length = int.from_bytes(take(8), "little")
    if not 0 < length <= min(HEADER_LIMIT, size):
        raise ValueError("its header is too large")
    for name, kind, shape in parse_json(take(length).decode()):
        form = np.dtype(DTYPES[kind])
        count = int(np.prod([int(side) for side in shape], dtype=object))
        if not 0 <= count * form.itemsize <= size:
            raise ValueError("an array is larger than the file")
        array = mx.array(np.frombuffer(take(count * form.itemsize), form).reshape(shape))
        arrays.append((name, array.view(mx.bfloat16) if kind == "bfloat16" else array))
    if handle.read() != digest.digest():
        raise ValueError("its sha256 is another one")
    mx.eval([array for _, array in arrays])
    return tree_unflatten(arrays)
