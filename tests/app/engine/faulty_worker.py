"""The real worker with a scripted pipeline that breaks where the prompt says: "abort at load", "kill at step 2" ..."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np

from app.cli.group import cli  # noqa: F401  what the real command loads too
from app.engine import running, worker
from mlx_model import memory
from mlx_model.errors import NotFinite
from mlx_model.events import Done, Loaded, Preview, Stage, Step

STEPS = 4
PIPE = None


class Pipeline:
    def run(self, request, previews=0, ahead=tuple):
        self.prompt = request.prompt
        yield from self._steps(request)
        self._here("decode")
        yield Stage("decode")
        pixels = np.full((request.height, request.width, 3), request.seed % 251, np.uint8)
        yield Done(0.1, seed=request.seed, pixels=pixels, latents=np.zeros((4, 32), np.float32))

    def _steps(self, request):
        self._here("load")
        yield Loaded(request.model, 0.01)
        yield Stage("denoise", total=STEPS)
        for step in range(1, STEPS + 1):
            time.sleep(0.5 if "slow" in self.prompt else 0.005)
            self._here(f"step {step}")
            yield Step(step, STEPS, 0.01 * step, 0.01 * (STEPS - step))
            yield Preview(step, pixels=np.zeros((64, 64, 3), np.uint8))

    def _here(self, place):
        for name, fault in FAULTS.items():
            if f"{name} at {place}" in self.prompt:
                fault()


def abort():
    """As MLX does where Metal fails."""
    print("libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer "
          "execution failed: Insufficient Memory", file=sys.stderr, flush=True)  # fmt: skip
    os.abort()


METAL = {  # what Metal says of a command buffer, as MLX passes it on
    "gpu timeout": "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)",
    "gpu memory": "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)",
    "gpu screen": "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)",
    "gpu victim": "Discarded (victim of GPU error/recovery) (00000005:kIOGPUCommandBufferCallbackErrorInnocentVictim)",
    "gpu ignored": "Ignored (for causing prior/excessive GPU errors) "
    "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)",
    "gpu hang": "Caused GPU Hang Error (00000003:kIOGPUCommandBufferCallbackErrorHang)",
    "gpu address": "Caused GPU Address Fault Error (0000000b:kIOGPUCommandBufferCallbackErrorPageFault)",
}


def abort_by_metal(words):
    print("libc++abi: terminating due to uncaught exception of type std::runtime_error: [METAL] Command buffer "
          f"execution failed: {words}", file=sys.stderr, flush=True)  # fmt: skip
    os.abort()


def fail():
    raise NotFinite("The latents are not finite.", "Try float32.")


def say(data):
    """Past all that keeps the pipe clean."""
    PIPE.write(data)
    time.sleep(60)


FAULTS = {
    "abort": abort,
    **{name: partial(abort_by_metal, words) for name, words in METAL.items()},
    "crash": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),  # no heartbeat, and deaf to SIGTERM
    "exit": lambda: os._exit(3),
    "linger": lambda: time.sleep(60),  # alive, but the step doesn't end
    "fail": fail,
    "bug": lambda: 1 / 0,
    "print": lambda: os.write(1, b"what a library prints on stdout\n"),
    "garbage": lambda: say(b"\x00\xffnonsense\n"),
    "json": lambda: say(b'{"is":"happened","job":7}\n'),
    "event": lambda: say(b'{"is":"happened","job":"%s","what":{"event":"boo"}}\n' % b"a"),
    "endless": lambda: say(b"x" * (5 * 2**20)),
    "half": lambda: (PIPE.write(b'{"is":"happ'), os._exit(0)),
}


class Opened(worker.Worker):
    def __init__(self, source, out, teach):
        global PIPE
        PIPE = out
        super().__init__(source, out, teach)


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    running.open_pipeline = lambda folder, dtype: Pipeline()
    if sys.argv[1:] == ["tiny"]:
        memory.machine = lambda openblas=False: memory.Machine("toy", 2**20, 2**20, 1, False, 0.1)
    running.load_mlx = running.clear_cache = lambda: None
    worker.Worker = Opened
    worker.main(lambda folder, lesson: iter(()))


main()
