"""Reads the tensors of a PyTorch `.pt` or `.pth` file without running it, and writes them as a safetensors file.

Such a file is a zip with one pickle (the tree of names) and one raw block per storage. A pickle is a program;
pickle_machine runs the few instructions that a state dict needs and refuses everything else.
Everything is bounded by the size of the file before memory is taken; blocks are read when asked for.
Source: the format as torch.save writes it (torch/serialization.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from mlx_model.errors import UnsafeFile, say_reason
from mlx_model.store.shards import disk_full, make_header

from .pickle_machine import HINT, STORAGES, Machine, Storage, Stored

PICKLE_LIMIT = 16 * 2**20  # bytes; a thousand tensors take 0.1 MB
CHUNK = 2**24  # numbers that are written at once
REUSE = 8  # all tensors together may hold this many times the bytes of the file (tied weights are stored once)
LOCAL_HEADER, LOCAL_MAGIC = 30, b"PK\x03\x04"
# Where a checkpoint of a training run keeps its weights; the averaged ones first.
NESTS = ("ema", "model", "state_dict", "module")
PREFIXES = ("module.", "_orig_mod.")  # of wrapped models


def read_tensors(file: Path, nest: str | None = None) -> dict[str, Stored]:
    """The state dict of a file by name, unread. `nest`: which of several (by default the averaged weights: "ema").

    Raises UnsafeFile: an old or damaged file, anything but tensors, more than the file's size can hold.
    """
    file = Path(file)
    _refuse_old(file)
    try:
        with ZipFile(file) as archive:
            blocks = Blocks(file, archive)
            state = Machine(file, blocks).run(blocks.pickle())
    except BadZipFile as error:
        raise UnsafeFile(f"{file.name} is a damaged PyTorch file: it is cut off or no archive.", HINT) from error
    except (NotImplementedError, EOFError, OSError, ValueError, OverflowError, RuntimeError) as error:
        raise UnsafeFile(f"{file.name} is a damaged PyTorch file: {say_reason(error)}.", HINT) from error
    found = _unwrap(_find_state(state, file, nest))
    total = sum(tensor.nbytes for tensor in found.values())
    if total > REUSE * file.stat().st_size:
        raise UnsafeFile(f"{file.name} would unfold to {total} bytes, far more than it holds.", HINT)
    return found


def _refuse_old(file: Path) -> None:
    with file.open("rb") as stream:
        start = stream.read(4)
    if start.startswith(LOCAL_MAGIC):
        return
    old = start[:1] == b"\x80"
    what = "is a plain pickle (torch.save's form before 1.6)" if old else "is no PyTorch file: it does not begin as one"
    raise UnsafeFile(f"{file.name} {what}.", HINT)


class Blocks:
    """The entries of the zip: the one pickle, and the raw blocks."""

    def __init__(self, file: Path, archive: ZipFile):
        self.file, self.archive, self.size = file, archive, file.stat().st_size
        self.infos: dict[str, ZipInfo] = {}
        self.storages: dict[str, Storage] = {}
        for info in archive.infolist():
            self._admit(info)
        pickles = [name for name in self.infos if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1 or any(name.endswith("/constants.pkl") for name in self.infos):
            raise UnsafeFile(f"{file.name} holds {len(pickles)} trees of weights, or a program.", HINT)
        self.root = pickles[0].removesuffix("data.pkl")
        order = self.infos.get(self.root + "byteorder")
        if order and (order.file_size > 16 or archive.read(order) != b"little"):
            raise UnsafeFile(f"{file.name} has its numbers in another byte order.", HINT)

    def _admit(self, info: ZipInfo) -> None:
        if info.compress_type != ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise UnsafeFile(f"{self.file.name} holds a compressed or locked entry, {info.filename[:80]!r}.", HINT)
        if info.filename in self.infos:
            raise UnsafeFile(f"{self.file.name} holds {info.filename[:80]!r} twice.", HINT)
        if info.header_offset + LOCAL_HEADER + info.file_size > self.size:
            raise UnsafeFile(f"{self.file.name} ends inside its entry {info.filename[:80]!r}.", HINT)
        self.infos[info.filename] = info

    def pickle(self) -> bytes:
        info = self.infos[self.root + "data.pkl"]
        if info.file_size > PICKLE_LIMIT:
            raise UnsafeFile(f"{self.file.name} has a tree of {info.file_size} bytes.", HINT)
        return self.archive.read(info)

    def storage(self, name: str, key: str, count: int) -> Storage:
        """The block `key`, which must hold `count` numbers of the kind `name`, no more and no fewer."""
        kind = STORAGES[name][1]
        info = self.infos.get(f"{self.root}data/{key}")
        if info is None or not key.isdecimal():
            raise UnsafeFile(f"{self.file.name} has no block {key[:40]!r}.", HINT)
        if count < 0 or count * kind.itemsize != info.file_size:
            raise UnsafeFile(f"{self.file.name}: block {key} has {info.file_size} bytes, not {count} numbers.", HINT)
        made = self.storages.setdefault(key, Storage(self.file, name, count, self._start(info), info.CRC))
        if made.name != name:
            raise UnsafeFile(f"{self.file.name}: block {key} is said to hold two kinds of numbers.", HINT)
        return made

    def _start(self, info: ZipInfo) -> int:
        """Where the bytes of an entry begin: behind its local header."""
        with self.file.open("rb") as stream:
            stream.seek(info.header_offset)
            header = stream.read(LOCAL_HEADER)
        start = info.header_offset + LOCAL_HEADER + int.from_bytes(header[26:28], "little")
        start += int.from_bytes(header[28:30], "little")
        if header[:4] != LOCAL_MAGIC or start + info.file_size > self.size:
            raise UnsafeFile(f"{self.file.name} is damaged at {info.filename[:80]!r}.", HINT)
        return start


def _find_state(tree: Any, file: Path, nest: str | None) -> dict[str, Stored]:
    """The dict of tensors: the tree itself, or what lies under `nest` or the first of NESTS that it has."""
    for _ in range(3):
        if type(tree) is not dict:
            break
        if tree and nest is None and all(type(value) is Stored for value in tree.values()):
            return _check_names(tree, file)
        below = [key for key in ((nest,) if nest else NESTS) if type(tree.get(key)) is dict]
        if not below:
            break
        tree, nest = tree[below[0]], None
    found = sorted({type(value).__name__ for value in tree.values()}) if type(tree) is dict else [type(tree).__name__]
    keys = ", ".join(repr(key)[:40] for key in list(tree)[:5]) if type(tree) is dict else "no names"
    raise UnsafeFile(f"{file.name} holds no dict of tensors but {', '.join(found) or 'nothing'} ({keys}).", HINT)


def _check_names(tree: dict[Any, Stored], file: Path) -> dict[str, Stored]:
    odd = [key for key in tree if type(key) is not str]
    if odd:
        raise UnsafeFile(f"{file.name} has a tensor called {odd[0]}, which is no text.", HINT)
    return tree


def _unwrap(state: dict[str, Stored]) -> dict[str, Stored]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def write_safetensors(tensors: Mapping[str, Stored], file: Path) -> Path:
    """Write `tensors` into `file`, holding one at a time. Raises UnsafeFile (a checksum is wrong), DiskFull."""
    # Wide numbers first, so that all stay aligned.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].storage.kind.itemsize)
    entries = {name: (tensor.dtype, tensor.shape) for name, tensor in ordered}
    file.parent.mkdir(parents=True, exist_ok=True)
    with disk_full(file), file.open("wb") as stream:
        stream.write(make_header(entries, {name: tensor.nbytes for name, tensor in ordered}))
        for _, tensor in ordered:
            _write(stream, tensor.raw())
    return file


def _write(stream: BinaryIO, values: np.ndarray) -> None:
    if not values.flags.c_contiguous or values.size == 0:
        stream.write(np.ascontiguousarray(values).tobytes())
        return
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        stream.write(flat[start : start + CHUNK].tobytes())
