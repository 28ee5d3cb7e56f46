"""GGUF files: metadata and tensor table read strictly, tensors decoded one at a time by the `gguf` package.

Its own reader trusts every count in a file, so the table is read here; what a block of each type stands for is its
dequantiser's business alone. Source: ggml docs/gguf.md; llama.cpp conversion/llama.py for the order of rows.
"""

import math
import mmap
import struct
from bisect import bisect_right
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlx_model.errors import ConvertError, UnsafeFile
from mlx_model.store.headers import Entry
from mlx_model.store.shards import make_header

from .streamed import Streamed, load

MAGIC, VERSIONS = b"GGUF", (2, 3)
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MAX_TENSORS, MAX_FIELDS, MAX_NAME, MAX_SIDES, MAX_WORDS, MAX_KEPT = 2**16, 2**16, 2**10, 4, 2**22, 64
PLAIN = {0: "F32", 1: "F16", 30: "BF16"}  # what MLX reads as it is
CHUNK = 2**20  # numbers that are decoded at once
# In these llama.cpp turns pairs of channels, so that the two halves of each head of q and k are interleaved.
TURNED = ("llama", "mistral3")
SHAPE = "comfy.gguf.orig_shape."
AGAIN = "Download it again."


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies and how: `form` is the number of its type, `kind` what its numbers are called decoded."""

    form: int
    kind: str
    shape: tuple[int, ...]
    start: int
    bytes: int


@dataclass(frozen=True)
class Table:
    """What a file holds: scalars, text and short lists of its metadata, and its tensors by name."""

    file: Path
    fields: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def entries(self) -> dict[str, Entry]:
        return {name: (tensor.kind, tensor.shape) for name, tensor in self.tensors.items()}


class Reader:
    """Takes numbers and text from a mapped file, never beyond its end. Raises UnsafeFile."""

    def __init__(self, file: Path, data: mmap.mmap, kept: Container[str] = ()):
        self.file, self.data, self.kept, self.place, self.words = file, data, kept, 0, 0

    def refuse(self, what: str) -> UnsafeFile:
        return UnsafeFile(f"{self.file.name} is no sound GGUF file: {what}.", AGAIN)

    def skip(self, count: int) -> int:
        """Where the next `count` bytes begin."""
        start, self.place = self.place, self.place + count
        if count < 0 or self.place > len(self.data):
            raise self.refuse("it ends inside its table")
        return start

    def take(self, form: str) -> Any:
        return struct.unpack_from("<" + form, self.data, self.skip(struct.calcsize("<" + form)))[0]

    def take_count(self, limit: int, what: str) -> int:
        count = int(self.take("Q"))
        if count > limit:
            raise self.refuse(f"it says to hold {count} {what}")
        return count

    def take_text(self, limit: int | None = None) -> str:
        count = self.take_count(len(self.data) if limit is None else limit, "letters in a name")
        start = self.skip(count)
        return self.data[start : start + count].decode("utf-8", "replace")

    def take_value(self, name: str) -> Any:
        """A value; None in place of a long list that is not to be kept."""
        form = self.take("I")
        if form == STRING:
            return self.take_text()
        return self._take_list(name in self.kept) if form == ARRAY else self.take(self._find_scalar(form))

    def _find_scalar(self, form: int) -> str:
        if form not in SCALARS:
            raise self.refuse(f"a value has the unknown type {form}")
        return SCALARS[form]

    def _take_list(self, kept: bool) -> list[Any] | None:
        form, count = self.take("I"), self.take_count(len(self.data), "values in a list")
        if form != STRING:
            letter = self._find_scalar(form)
            start = self.skip(count * struct.calcsize("<" + letter))
            kept = kept or count <= MAX_KEPT
            return list(struct.unpack_from(f"<{count}{letter}", self.data, start)) if kept else None
        self.words += count
        if self.words > MAX_WORDS:
            raise self.refuse(f"it holds lists of {self.words} words")
        if kept:
            return [self.take_text() for _ in range(count)]
        for _ in range(count):
            self.skip(self.take("Q"))
        return None


def is_gguf(file: Path) -> bool:
    """By the extension, whatever its case."""
    return file.suffix.lower() == ".gguf"


def read_table(file: Path, kept: Container[str] = ()) -> Table:
    """Metadata and tensors, all of it checked against the file's size; `kept`: lists that are wanted however long.

    Raises UnsafeFile, ConvertError.
    """
    with file.open("rb") as stream:
        if stream.read(4) != MAGIC:
            raise UnsafeFile(f"{file.name} is no GGUF file: it does not begin as one.", AGAIN)
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(Reader(file, data, kept))


def _read(reader: Reader) -> Table:
    reader.skip(len(MAGIC))
    version = reader.take("I")
    if version not in VERSIONS:
        raise ConvertError(f"{reader.file.name} is GGUF of version {version}, which can't be read.", AGAIN)
    tensors, fields = reader.take_count(MAX_TENSORS, "tensors"), reader.take_count(MAX_FIELDS, "fields")
    values: dict[str, Any] = {}
    for _ in range(fields):
        name = reader.take_text(2**16)
        if name in values:
            raise reader.refuse(f"it says {name[:80]!r} twice")
        values[name] = reader.take_value(name)
    pieces = values.get("split.count")
    if isinstance(pieces, int) and pieces > 1:
        hint = "Join them with llama-gguf-split (its merge), or get the model in one file."
        raise ConvertError(f"{reader.file.name} is one of {pieces} pieces of a model.", hint)
    listed = [_read_info(reader) for _ in range(tensors)]
    return Table(reader.file, values, _place_tensors(reader, values, listed))


def _read_info(reader: Reader) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape (outermost first), number of the type, offset."""
    name, sides = reader.take_text(MAX_NAME), reader.take("I")
    if sides > MAX_SIDES:
        raise reader.refuse(f"{name[:80]!r} has {sides} dimensions")
    shape = tuple(int(reader.take("Q")) for _ in range(sides))
    return name, shape[::-1], reader.take("I"), int(reader.take("Q"))


def _place_tensors(
    reader: Reader, fields: dict[str, Any], listed: list[tuple[str, tuple[int, ...], int, int]]
) -> dict[str, Tensor]:
    align = fields.get("general.alignment", 32)
    if type(align) is not int or not 0 < align <= 2**20 or align & (align - 1):
        raise reader.refuse(f"its alignment is {str(align)[:20]}")
    begin, end = -(-reader.place // align) * align, len(reader.data)
    tensors: dict[str, Tensor] = {}
    for name, shape, form, offset in listed:
        count = _count_bytes(reader, name, shape, form)
        if offset % align or begin + offset + count > end:
            raise reader.refuse(f"{name[:80]!r} lies outside of the file")
        if name in tensors:
            raise reader.refuse(f"it holds {name[:80]!r} twice")
        told = _find_shape(reader, name, shape, fields.get(SHAPE + name))
        tensors[name] = Tensor(form, PLAIN.get(form, "F32"), told, begin + offset, count)
    used = sorted((tensor.start, tensor.start + tensor.bytes) for tensor in tensors.values())
    if any(first[1] > second[0] for first, second in pairwise(used)):
        raise reader.refuse("two tensors overlap")
    return tensors


def _count_bytes(reader: Reader, name: str, shape: tuple[int, ...], form: int) -> int:
    """The bytes of a tensor. Raises ConvertError for a type that can't be decoded."""
    block, size = _find_block(reader.file, name, form)
    if math.prod(shape) > 2**40 or (shape[-1] if shape else 1) % block:
        raise reader.refuse(f"{name[:80]!r} has the shape {shape}")
    return math.prod(shape) // block * size


def _find_block(file: Path, name: str, form: int) -> tuple[int, int]:
    """Numbers and bytes of a block of the type."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(form)
        block, size = GGML_QUANT_SIZES[kind]
        if form not in PLAIN:
            _decode(np.zeros((1, size), np.uint8), form)
    except (ValueError, KeyError, NotImplementedError) as error:
        what = next((kind.name for kind in GGMLQuantizationType if kind == form), f"type {form}")
        message = f"{file.name}: {name[:80]} is stored as {what}, which can't be converted."
        raise ConvertError(message, "Get another quantisation of the model, such as Q8_0 or Q4_K_M.") from error
    return block, size


def _decode(blocks: np.ndarray, form: int) -> np.ndarray:
    """(n, bytes of a block) uint8 -> (n, numbers of a block) float32."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    with np.errstate(all="ignore"):  # what is not finite is refused when it is written
        return np.asarray(dequantize(blocks, GGMLQuantizationType(form)), np.float32)


def _find_shape(reader: Reader, name: str, shape: tuple[int, ...], told: Any) -> tuple[int, ...]:
    """The shape before ComfyUI's converter bent the tensor to whole blocks, where it was."""
    if told is None:
        return shape
    if not isinstance(told, list) or any(type(side) is not int or side < 0 for side in told):
        raise reader.refuse(f"the shape of {name[:80]!r} can't be read")
    if len(told) > MAX_SIDES + 1 or math.prod(told) != math.prod(shape):
        raise reader.refuse(f"{name[:80]!r} of the shape {shape} can't have been {tuple(told)}")
    return tuple(told)


class Decoded(Streamed):
    """The tensors of a GGUF file as a safetensors file that is made while it is read."""

    def __init__(self, table: Table):
        self.file, tensors = table.file, sorted(table.tensors.items(), key=lambda item: item[1].kind != "F32")
        sizes = {name: math.prod(tensor.shape) * (4 if tensor.kind == "F32" else 2) for name, tensor in tensors}
        entries = {name: (tensor.kind, tensor.shape) for name, tensor in tensors}
        self.head = make_header(entries, sizes)
        self.tensors, self.starts, size = [tensor for _, tensor in tensors], [], len(self.head)
        for name, _ in tensors:
            self.starts.append(size)
            size += sizes[name]
        super().__init__(size)

    def fill(self, start: int, buffer: memoryview) -> None:
        if start < len(self.head):
            buffer[:] = self.head[start : start + len(buffer)]
            return
        number = bisect_right(self.starts, start) - 1
        done = start - self.starts[number]
        for piece in self._decode_pieces(self.tensors[number], done, len(buffer)):
            buffer[: len(piece)] = piece
            buffer = buffer[len(piece) :]

    def _decode_pieces(self, tensor: Tensor, done: int, count: int) -> Iterator[memoryview]:
        """The `count` bytes of a decoded tensor from `done` on, in whole blocks."""
        if tensor.form in PLAIN:
            block, size, width = 1, 1, 1
        else:
            block, size = _find_block(self.file, "", tensor.form)
            width = 4 * block
        if done % width or count % width:
            raise ValueError("a read that does not begin or end with a block")
        start, end = tensor.start + done // width * size, tensor.start + (done + count) // width * size
        step = max(1, CHUNK // block) * size
        for place in range(start, end, step):
            piece = np.fromfile(self.file, np.uint8, min(step, end - place), offset=place)
            made = piece if tensor.form in PLAIN else _decode(piece.reshape(-1, size), tensor.form)
            yield np.ascontiguousarray(made).reshape(-1).view(np.uint8).data


def load_table(table: Table) -> dict[str, mx.array]:
    """The tensors by the names in the file, unread until evaluated. Raises ConvertError."""
    arrays = load(Decoded(table)) if table.tensors else {}
    arch = table.fields.get("general.architecture")
    for part, count in (("q", "head_count"), ("k", "head_count_kv")) if arch in TURNED else ():
        heads = table.fields.get(f"{arch}.attention.{count}", table.fields.get(f"{arch}.attention.head_count"))
        for name in [name for name in arrays if name.endswith(f".attn_{part}.weight")]:
            arrays[name] = _turn_back(name, arrays[name], heads)
    return arrays


def _turn_back(name: str, matrix: mx.array, heads: Any) -> mx.array:
    """Rows of each head from pairs (first, second half) to one half after the other, as transformers has them."""
    if type(heads) is not int or heads < 1 or matrix.shape[0] % (2 * heads):
        raise ConvertError(f"{name} can't be of {str(heads)[:20]} heads: {tuple(matrix.shape)}.", AGAIN)
    pairs = matrix.reshape(heads, matrix.shape[0] // heads // 2, 2, -1)
    return pairs.swapaxes(1, 2).reshape(matrix.shape)


def read_config(table: Table) -> dict[str, Any]:
    """What config.json would say of an encoder."""
    arch = table.fields.get("general.architecture")
    known = {name: table.fields.get(f"{arch}.block_count") for name in ("num_layers", "num_hidden_layers")}
    counts = {name: value for name, value in known.items() if isinstance(value, int)}
    told = {
        "head_dim": table.fields.get(f"{arch}.attention.key_length"),
        "rope_theta": table.fields.get(f"{arch}.rope.freq_base"),
        "rms_norm_eps": table.fields.get(f"{arch}.attention.layer_norm_rms_epsilon"),
    }
    # 1e-6 is stored in 32 bits: the shortest number that means the same is the one that was meant.
    found = {name: float(str(np.float32(value))) for name, value in told.items() if isinstance(value, int | float)}
    return {**found, **counts, "model_type": str(arch)}
