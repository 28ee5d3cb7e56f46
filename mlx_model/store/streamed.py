"""Networks whose blocks are read from the disk as they run: at work is one block, on its way the next.

The matrices of a block are lazy arrays of its file: MLX reads them when a result needs them. Here they are begun one
block ahead, on a stream of their own, and taken out for fresh lazy ones as soon as another block works. So whatever
uses a matrix gets the right one, and the numbers of a run are those of a network that is loaded whole.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ..errors import LayoutError
from .counting import block_of
from .folder import Folder
from .shards import load_lazily, unbroken
from .weights import build, in_dtype, locate, prepare

KEPT = "_streamer"  # of a network; MLX leaves names with _ alone
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Matrix:
    """One of a block: its name, its file, and where it belongs."""

    name: str
    file: Path
    parent: Any
    key: str | int


def open_streamed(folder: Folder, role: str, dtype: mx.Dtype, between: Callable[[], None]) -> nn.Module:
    """weights.open_component, but for the network's blocks; after each `between` is called, whose errors end the run.

    Raises LayoutError.
    """
    component = folder.components[role]
    module = build(role, component.family, component.params)
    stream(module, folder.files(role), dtype, between)
    return module


def stream(module: nn.Module, files: list[Path], dtype: mx.Dtype, between: Callable[[], None] = lambda: None) -> None:
    """Fill `module` as weights.load does, but for the matrices of its blocks, which come as they are used.

    Call it on the thread that runs the network. Raises LayoutError, then or while it runs.
    """
    prepare(module, files)
    streamer = Streamer(files, dtype, between)
    for file in files:
        for name, array in streamer.fetch_all(file).items():
            parent, key = locate(module, name)
            if block := block_of(name, array.ndim):
                streamer.add(block, Matrix(name, file, parent, key))
            else:
                with unbroken(file.name):
                    mx.eval(array)
                parent[key] = array
    arrays: dict[str, mx.array] = dict(tree_flatten(module.parameters()))
    names = (block_of(name, array.ndim) for name, array in arrays.items())
    streamer.put_in_order([block for block in dict.fromkeys(names) if block])
    for block in streamer.blocks:
        parent, key = locate(module, block)
        _hook(parent[key], streamer, block)
        streamer.let_go(block)
    setattr(module, KEPT, streamer)


def rest(module: nn.Module) -> None:
    """Let go of all blocks of a network that has run. Raises LayoutError where its files changed meanwhile."""
    streamer = getattr(module, KEPT, None)
    if streamer is not None:
        streamer.rest()


def close(module: nn.Module) -> None:
    """Of a network that is not needed any more: it and what reads for it know each other, which would keep both."""
    streamer = getattr(module, KEPT, None)
    if streamer is not None:
        streamer.blocks.clear()


class Streamer:
    """Which block is at work and which is on its way."""

    def __init__(self, files: list[Path], dtype: mx.Dtype, between: Callable[[], None]):
        self.blocks: dict[str, list[Matrix]] = {}
        self.dtype, self.between = dtype, between
        self.line = mx.new_stream(mx.cpu)  # reading waits for the disk beside the work
        self._stamps: dict[Path, Stamp] = {file: _stamp(file) for file in files}
        self._spare: dict[Path, dict[str, mx.array]] = {}
        self._following: dict[str, str] = {}  # what was used after each block
        self._at_work = self._ahead = ""
        self._inside = False

    def add(self, block: str, matrix: Matrix) -> None:
        self.blocks.setdefault(block, []).append(matrix)

    def put_in_order(self, blocks: list[str]) -> None:
        """As the network names them, until it is known what follows what."""
        self._following |= dict(pairwise(blocks))

    def fetch_all(self, file: Path) -> dict[str, mx.array]:
        """The tensors of a file in the dtype of the run, unread. Raises LayoutError where it has changed."""
        if _stamp(file) != self._stamps[file]:
            raise LayoutError(f"{file.name} was changed while it was read.", "Run it again.")
        with mx.stream(self.line):
            return {name: in_dtype(name, array, self.dtype, self.line) for name, array in load_lazily(file).items()}

    def use(self, block: str, work: Callable[[], Any]) -> Any:
        """The result of a block, evaluated, with its matrices there."""
        if self._inside:
            return work()
        self._enter(block)
        self._inside = True
        try:
            result = work()
            self._begin(self._following.get(block, ""))
            with unbroken("The model"):
                mx.eval(result)
        finally:
            self._inside = False
        self.between()
        return result

    def _enter(self, block: str) -> None:
        before = self._at_work
        if block == before:
            return
        ahead, self._ahead, self._at_work = self._ahead, "", block
        if before:
            self._following[before] = block
            self.let_go(before)
        if ahead != block:
            if ahead:
                self.let_go(ahead)
            self._read(block)

    def _begin(self, block: str) -> None:
        """Have a block read beside the work."""
        if block and not self._ahead and block != self._at_work:
            self._ahead = block
            self._read(block)

    def _read(self, block: str) -> None:
        for matrix in self.blocks[block]:
            if _stamp(matrix.file) != self._stamps[matrix.file]:
                raise LayoutError(f"{matrix.file.name} was changed while it was read.", "Run it again.")
            with unbroken(matrix.file.name):
                mx.async_eval(matrix.parent[matrix.key])

    def let_go(self, block: str) -> None:
        """Fresh lazy matrices take the place of those that were read."""
        for matrix in self.blocks[block]:
            spare = self._spare.get(matrix.file, {})
            if matrix.name not in spare:
                spare = self._spare[matrix.file] = self.fetch_all(matrix.file)
            matrix.parent[matrix.key] = spare.pop(matrix.name)

    def rest(self) -> None:
        """No block is at work or on its way."""
        for block in {self._at_work, self._ahead} - {""}:
            self.let_go(block)
        self._at_work = self._ahead = ""
        self._spare.clear()


def _stamp(file: Path) -> Stamp:
    try:
        found = os.stat(file)
    except OSError as error:
        raise LayoutError(f"{file.name} is no longer there.", "Look at the disk, and try again.") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _hook(block: nn.Module, streamer: Streamer, name: str) -> None:
    """Whatever the network calls of the block goes through the streamer; its names and layers stay as they are."""
    kind = type(block)
    called = [key for key in vars(kind) if key == "__call__" or not key.startswith("_")]
    methods = {key: _through(streamer, name, vars(kind)[key]) for key in called if callable(vars(kind)[key])}
    block.__class__ = type(f"Streamed{kind.__name__}", (kind,), methods)


def _through(streamer: Streamer, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def work(self: nn.Module, *given: Any, **named: Any) -> Any:
        return streamer.use(name, lambda: method(self, *given, **named))

    return work
