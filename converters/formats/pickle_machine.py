"""The stack machine of pickle_free: the two dozen pickle instructions that a state dict needs, on values of our own.

Names of Python objects are compared with a short list and never looked up, so there is nothing that could be called.
Source: Python's pickletools; the format as torch.save writes it (torch/serialization.py, protocol 2).
"""

import math
import pickletools
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import mlx.core as mx
import numpy as np

from mlx_model.errors import UnsafeFile

STACK_LIMIT, OPCODE_LIMIT, DEPTH_LIMIT, RANK_LIMIT = 100_000, 2_000_000, 12, 8
LARGEST = 2**48  # numbers along an axis
CHUNK = 2**24  # bytes that are checked at once
HINT = "Get the .safetensors form of the model."
STORAGES: dict[str, tuple[str, np.dtype]] = {
    "torch FloatStorage": ("F32", np.dtype("<f4")),
    "torch HalfStorage": ("F16", np.dtype("<f2")),
    "torch BFloat16Storage": ("BF16", np.dtype("<u2")),
    "torch LongStorage": ("I64", np.dtype("<i8")),
}
REBUILD, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
ORDERED = "collections OrderedDict"


class Name(NamedTuple):
    """Stands in for a Python object that the pickle asks for; `text` is "module name"."""

    text: str


@dataclass
class Storage:
    """A raw block of `file`: `count` numbers from `offset` on."""

    file: Path
    name: str
    count: int
    offset: int
    crc: int
    checked: bool = False

    @property
    def dtype(self) -> str:
        return STORAGES[self.name][0]

    @property
    def kind(self) -> np.dtype:
        return STORAGES[self.name][1]

    def read(self, start: int, count: int) -> np.ndarray:
        """`count` numbers from `start` on; the checksum of the block is compared once. Raises UnsafeFile.

        They are read, not mapped: a file that is cut short while it is mapped ends the process.
        """
        self._check()
        found = np.fromfile(self.file, self.kind, count, offset=self.offset + start * self.kind.itemsize)
        if found.size != count:
            raise UnsafeFile(f"{self.file.name} was cut short while it was read.", HINT)
        return found

    def _check(self) -> None:
        if self.checked:
            return
        crc, left = 0, self.count * self.kind.itemsize
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            while left and (piece := stream.read(min(left, CHUNK))):
                crc, left = zlib.crc32(piece, crc), left - len(piece)
        if left or crc != self.crc:
            raise UnsafeFile(f"{self.file.name} is damaged: a block of weights has another checksum.", HINT)
        self.checked = True


@dataclass(frozen=True)
class Stored:
    """A tensor, unread: `dtype` as safetensors calls it, `shape`, and where its numbers are."""

    storage: Storage
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers, not bytes

    @property
    def dtype(self) -> str:
        return self.storage.dtype

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.storage.kind.itemsize

    def raw(self) -> np.ndarray:
        """The numbers in their shape, read; bfloat16 as uint16. Raises UnsafeFile (checksum, cut short)."""
        strides = tuple(stride * self.storage.kind.itemsize for stride in self.strides)
        steps = sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        block = self.storage.read(self.start, 1 + steps if math.prod(self.shape) else 0)
        return np.lib.stride_tricks.as_strided(block, self.shape, strides, writeable=False)

    def array(self) -> mx.array:
        values = mx.array(np.array(self.raw(), order="C"))
        return values.view(mx.bfloat16) if self.dtype == "BF16" else values


class Archive(Protocol):
    """Where the machine gets the raw blocks from."""

    def storage(self, name: str, key: str, count: int) -> Storage: ...


MARK = object()


class Machine:
    """Runs the instructions of one pickle on values of our own. `memo` is what the pickle remembers by number."""

    def __init__(self, file: Path, blocks: Archive):
        self.file, self.blocks = file, blocks
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.depths: dict[int, tuple[int, tuple]] = {}  # of tuples, by id; holds them so that no id is used again

    def refuse(self, what: str) -> UnsafeFile:
        return UnsafeFile(f"{self.file.name} holds {what}, which no file of plain weights does.", HINT)

    def run(self, pickle: bytes) -> Any:
        """What the pickle makes. Raises UnsafeFile."""
        try:
            for number, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
                if opcode.name == "STOP":
                    return self.check(self.take_only())
                self.step(opcode.name, argument)
                if number > OPCODE_LIMIT or len(self.stack) > STACK_LIMIT:
                    raise self.refuse("an endless or very deep tree")
        except (IndexError, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise self.refuse(f"a broken tree ({type(error).__name__})") from error
        raise self.refuse("an unfinished tree")

    def take_only(self) -> Any:
        if len(self.stack) != 1:
            raise self.refuse(f"{len(self.stack)} trees")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        if name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in PLAIN:
            self.stack.append(argument)
        elif name in FRESH:
            self.stack.append(FRESH[name]())
        elif name in STEPS:
            STEPS[name](self, argument)
        else:
            raise self.refuse(f"the pickle instruction {name}")

    # the instructions

    def protocol(self, version: int) -> None:
        if version != 2:
            raise self.refuse(f"a pickle of protocol {version}")

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        self.stack.append(self.memo[number])

    def name(self, text: str) -> None:
        if text not in (*STORAGES, REBUILD, PARAMETER, ORDERED):
            raise self.refuse(f"the Python object {text[:80]!r}")
        self.stack.append(Name(text))

    def take_marked(self) -> list[Any]:
        """What lies above the last mark, taken off together with it."""
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise IndexError
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items

    def make_tuple(self, count: int | None) -> None:
        items = self.take_marked() if count is None else self.stack[len(self.stack) - count :]
        if count:
            if len(items) != count:
                raise IndexError
            del self.stack[-count:]
        depth = 1 + max((self.depths[id(item)][0] for item in items if id(item) in self.depths), default=0)
        if depth > DEPTH_LIMIT:
            raise self.refuse("an endless or very deep tree")
        made = tuple(items)
        if made:
            self.depths[id(made)] = depth, made
        self.stack.append(made)

    def set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise TypeError
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) not in (str, int):
                raise self.refuse("names that are no text")
            target[key] = value

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError
        self.stack[-1].extend(items)

    def take_two(self) -> list[Any]:
        value, key = self.stack.pop(), self.stack.pop()
        return [key, value]

    def storage(self) -> None:
        """The reference to a raw block: ("storage", kind, key, device, count)."""
        tag, kind, key, _, count = self.stack.pop()
        if tag != "storage" or type(kind) is not Name or type(key) is not str or type(count) is not int:
            raise TypeError
        if kind.text not in STORAGES:
            raise self.refuse(f"numbers of the kind {kind.text[:80]!r}")
        self.stack.append(self.blocks.storage(kind.text, key, count))

    def call(self) -> None:
        """The three calls that exist: an empty dict, a tensor, a parameter."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise self.refuse("a call of something that is no name")
        if function.text == ORDERED and not arguments:
            self.stack.append({})
        elif function.text == REBUILD:
            self.stack.append(self.tensor(*arguments[:4]))
        elif function.text == PARAMETER and type(arguments[0]) is Stored:
            self.stack.append(arguments[0])
        else:
            raise self.refuse(f"a call of {function.text[:80]!r}")

    def tensor(self, storage: Storage, start: int, shape: tuple, strides: tuple) -> Stored:
        whole = type(storage) is Storage and type(start) is int and type(shape) is tuple and type(strides) is tuple
        if not whole or len(shape) != len(strides) or len(shape) > RANK_LIMIT:
            raise self.refuse("a tensor that is none")
        if any(type(n) is not int or not 0 <= n < LARGEST for n in (start, *shape, *strides)):
            raise self.refuse("a tensor of a negative or endless size")
        count = math.prod(shape)
        end = start + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + 1 if count else start
        if end > storage.count or count > storage.count:
            raise self.refuse(f"a tensor of {count} numbers that reaches beyond its block of {storage.count}")
        return Stored(storage, start, shape, strides)

    def build(self) -> None:
        """Attributes of a dict (torch notes versions there): dropped."""
        self.stack.pop()
        if type(self.stack[-1]) is not dict:
            raise self.refuse("an object with a state of its own")

    def check(self, root: Any) -> Any:
        """The tree, if it is not deep and never contains itself."""
        level, depth = [root], 0
        while level:
            depth += 1
            if depth > DEPTH_LIMIT or len(level) > OPCODE_LIMIT:
                raise self.refuse("an endless or very deep tree")
            unique = {id(node): node for node in level if type(node) in (dict, list, tuple)}
            level = [child for node in unique.values() for child in _list_children(node)]
        return root


def _list_children(node: Any) -> Iterator[Any]:
    return iter(node.values() if type(node) is dict else node)


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": MARK}
PLAIN = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE")
FRESH: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": Machine.protocol,
    "BINPUT": Machine.put,
    "LONG_BINPUT": Machine.put,
    "BINGET": Machine.get,
    "LONG_BINGET": Machine.get,
    "GLOBAL": Machine.name,
    "TUPLE": lambda m, _: m.make_tuple(None),
    "TUPLE1": lambda m, _: m.make_tuple(1),
    "TUPLE2": lambda m, _: m.make_tuple(2),
    "TUPLE3": lambda m, _: m.make_tuple(3),
    "SETITEM": lambda m, _: m.set_items(m.take_two()),
    "SETITEMS": lambda m, _: m.set_items(m.take_marked()),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.take_marked()),
    "BINPERSID": lambda m, _: m.storage(),
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.build(),
}
