"""Twice as much takes about twice as many steps: readers of weights, counted in lines and calls, never in seconds."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.board.data import new_board
from app.board.history import History
from app.engine.jobs import Job, Queue
from converters.formats import files, gguf_file
from mlx_model.events import Cancelled
from mlx_model.request import Request
from mlx_model.store import headers, lora_files
from tests.converters.formats.test_gguf import info, raw

MOST = 2.3  # times the steps; a power shows as 4
Work = Callable[[], object]
ONE = np.zeros((1, 1), np.float32)


def count_steps(work: Work) -> int:
    """Lines of Python, and calls of what is written in C."""
    steps = 0

    def see(frame, event, given):
        nonlocal steps
        steps += 1
        return see

    def call(frame, event, given):
        nonlocal steps
        steps += event == "c_call"

    tracing, profiling = sys.gettrace(), sys.getprofile()
    sys.settrace(see)
    sys.setprofile(call)
    try:
        work()
    finally:
        sys.settrace(tracing)
        sys.setprofile(profiling)
    return steps


def read_header(place: Path, size: int) -> Work:
    save_file({f"layer.{number}.weight": ONE for number in range(size)}, file := place / "a.safetensors")
    return lambda: headers.header(file)


def read_index(place: Path, size: int) -> Work:
    """A shard for each tensor."""
    names = {f"w{number}": f"part{number}.safetensors" for number in range(size)}
    for name, file in names.items():
        save_file({name: ONE}, place / file)
    (place / "index.json").write_text(json.dumps({"weight_map": names}))
    return lambda: files.list_shards(place, place / "index.json")


def read_gguf(place: Path, size: int) -> Work:
    infos = b"".join(info(f"w{number}", (4, 4), 0, 64 * number) for number in range(size))
    (file := place / "a.gguf").write_bytes(raw(infos, size, data=64 * size))
    return lambda: gguf_file.read_table(file)


def sort_lora(place: Path, size: int) -> Work:
    names = {f"lora_unet_nothing_{number}.lora_down.weight": ("F32", (1, 1)) for number in range(size)}
    return lambda: lora_files._sort(place, names, {})


def undo_all(place: Path, size: int) -> Work:
    def work() -> None:
        history = History(new_board(), limit=size)
        for number in range(size):
            history.do("x", new_board(str(number)))
        while history.can_undo:
            history.undo()

    return work


def fill_queue(place: Path, size: int) -> Work:
    """Jobs wait, are looked for, run and end; half of them in slots that somebody looks at."""

    def work() -> None:
        queue = Queue()
        for number in range(2 * size):
            queue.add(Job(f"j{number}", "1A", Request("mini"), "mini", slot=f"s{number}" if number % 2 else None))
        for number in range(2 * size):
            queue.find(f"j{number}")
            queue.drop(f"j{number}") if number % 3 else queue.start_next()
            if queue.running:
                queue.apply(queue.running.id, Cancelled())

    return work


READERS = {
    "safetensors": (read_header, 200),
    "an index of shards": (read_index, 40),
    "GGUF": (read_gguf, 100),
    "names of a LoRA": (sort_lora, 100),
    "undo": (undo_all, 50),
    "a queue": (fill_queue, 100),
}


@pytest.mark.first_case
@pytest.mark.parametrize("name", READERS)
def test_twice_as_much_takes_twice_the_steps(tmp_path, name):
    make, size = READERS[name]
    steps = []
    for count in (size, 2 * size):
        (place := tmp_path / str(count)).mkdir()
        work = make(place, count)
        work()  # what is kept from then on
        steps.append(count_steps(work))
    assert steps[0] > size
    assert steps[1] < MOST * steps[0]
