"""A file for mx.load whose bytes are made while they are read, so that arrays stay unread until they are used.

mx.load asks for one tensor at a time, from several threads of its own. An error in such a thread ends the process, so
what can't be read becomes NaN, which no converted folder may hold (mlx_model.store.shards).
"""

import io
import re
import threading
from pathlib import Path
from typing import Any, BinaryIO, cast

import mlx.core as mx

BROKEN = b"\xff"  # four of them are a NaN in every type of floating-point numbers


class Streamed(io.RawIOBase):
    """`size` bytes that `fill` makes; every thread has its own place in them."""

    def __init__(self, size: int):
        super().__init__()
        self.size, self._own = size, threading.local()

    def fill(self, start: int, buffer: memoryview) -> None:
        """Write the bytes from `start` on into `buffer`."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(getattr(self._own, "place", 0))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        self._own.place = start + offset
        return self.tell()

    def readinto(self, buffer: Any) -> int:
        view, start = memoryview(buffer).cast("B"), self.tell()
        try:
            self.fill(start, view)
        except Exception:  # see above: whatever it is, the thread is not ours
            view[:] = BROKEN * len(view)
        self._own.place = start + len(view)
        return len(view)


class Renamed(Streamed):
    """A safetensors file whose number formats that MLX lacks are called U8."""

    def __init__(self, file: Path, kind: str):
        super().__init__(file.stat().st_size)
        self.file = file
        with file.open("rb") as stream:
            start = stream.read(8)
            head = stream.read(int.from_bytes(start, "little"))
        word = re.compile(rb'("dtype"\s*:\s*)"' + kind.encode() + b'"')
        self.head = start + word.sub(rb'\1"U8"' + b" " * (len(kind) - 2), head)

    def fill(self, start: int, buffer: memoryview) -> None:
        done = min(len(buffer), max(0, len(self.head) - start))
        buffer[:done] = self.head[start : start + done]
        with self.file.open("rb", buffering=0) as stream:
            stream.seek(start + done)
            while done < len(buffer):
                got = stream.readinto(buffer[done:])
                if not got:
                    raise EOFError(f"{self.file} ends too early")
                done += got


def load(stream: Streamed) -> dict[str, mx.array]:
    """The tensors, unread until evaluated."""
    arrays = mx.load(cast(BinaryIO, stream), format="safetensors")
    assert isinstance(arrays, dict)  # of safetensors, always
    return arrays
