"""Files whose bytes are made while MLX reads them: from several threads at once, and when they fail."""

import mlx.core as mx
import numpy as np

from converters.formats.streamed import Streamed, load
from mlx_model.store.shards import make_header

COUNT, WIDTH = 32, 4096


class Made(Streamed):
    """Tensor n holds n throughout."""

    def __init__(self, broken: int = -1):
        entries = {f"t{n}": ("F32", (WIDTH,)) for n in range(COUNT)}
        self.head, self.broken = make_header(entries, dict.fromkeys(entries, 4 * WIDTH)), broken
        super().__init__(len(self.head) + 4 * WIDTH * COUNT)

    def fill(self, start: int, buffer: memoryview) -> None:
        if start < len(self.head):
            buffer[:] = self.head[start : start + len(buffer)]
            return
        number = (start - len(self.head)) // (4 * WIDTH)
        if number == self.broken:
            raise OSError("the disk is gone")
        for place in range(0, len(buffer), 4):  # slow, so that threads take turns
            buffer[place : place + 4] = np.float32(number).tobytes()


def test_threads_do_not_mix_their_places():
    arrays = load(Made())
    mx.eval(list(arrays.values()))
    for name, array in arrays.items():
        assert mx.all(array == int(name[1:])).item(), name


def test_what_fails_is_not_a_number():
    arrays = load(Made(broken=3))
    mx.eval(list(arrays.values()))
    assert mx.isnan(arrays["t3"]).all().item()
    assert mx.isfinite(arrays["t4"]).all().item()
