"""Several processes that mlx.launch has started as one: who is the first, what they agree on, and their end."""

import hashlib
import os
import signal
import threading
from typing import TYPE_CHECKING

import numpy as np

from mlx_model.errors import RequestError

from .running import is_launched, load_mlx

if TYPE_CHECKING:
    from mlx.core.distributed import Group as Group

PART = 2**16
ENDED = "Ended from outside: another process of this run was lost, or somebody stopped it. mlx.launch says which."


def join() -> "Group | None":
    """The group of this process, None for one that is alone. Loads MLX where mlx.launch has started it."""
    if not is_launched():
        return None
    load_mlx()
    from mlx.core import distributed

    group = distributed.init()
    return group if group.size() > 1 else None


def agree(group: "Group", number: int) -> int:
    """The first process's number, below 2^64, for all."""
    import mlx.core as mx

    parts = [number // PART**i % PART if group.rank() == 0 else 0 for i in range(4)]
    agreed = np.array(mx.distributed.all_sum(mx.array(parts, mx.int32), group=group))
    return sum(int(part) * PART**i for i, part in enumerate(agreed))


def require_same(group: "Group", facts: str) -> None:
    """Raises RequestError where the first process has other facts than this one."""
    own = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:8], "big")
    if agree(group, own) != own:
        raise RequestError(
            "The first process of this run has another model or other words.",
            "Give all of them the same command, and each machine the same model in the same form.",
        )


def end_when_deaf(patience: float = 5.0) -> None:
    """From now on a signal to end, where the main thread does not hear it within `patience` seconds, ends the process.

    Where another process of the group is lost, MLX's ring may wait for it forever, deaf to what mlx.launch then sends.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    heard = threading.Event()

    def hear(number: int, _: object) -> None:
        heard.set()
        raise KeyboardInterrupt(*[ENDED] if number == signal.SIGTERM else [])

    def watch() -> None:
        os.read(read, 1)
        if not heard.wait(patience):
            os._exit(130)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    threading.Thread(target=watch, daemon=True).start()
