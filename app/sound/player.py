"""Sound as it is heard, from any moment on. Without an output it is silent, and says why."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .clip import Clip, read_from

NO_OUTPUT = "No sound is heard: this computer has no output for it."
NO_LIBRARY = "No sound is heard: PortAudio is missing (on Debian: apt-get install libportaudio2)."


class Output(Protocol):
    """What a block is played on. `write` waits until there is room; `latency` is seconds until it is heard."""

    latency: float

    def write(self, block: np.ndarray) -> Any: ...
    def close(self) -> Any: ...


class Silent(Exception):
    """There is nothing to play on; the words say why."""


def open_output(rate: int) -> Output:
    """The system's own output, for two channels. Raises Silent."""
    try:
        import sounddevice  # type: ignore[import-untyped]  # it has no stubs
    except (OSError, ImportError) as error:
        raise Silent(NO_LIBRARY) from error
    try:
        stream = sounddevice.OutputStream(samplerate=rate, channels=2, dtype="float32", latency="low")
        stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise Silent(NO_OUTPUT) from error
    return stream  # type: ignore[no-any-return]  # it has no types of its own


class Player:
    """One sound at a time, in a thread of its own."""

    def __init__(self, output: Callable[[int], Output] = open_output):
        self._open, self._stop = output, threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""  # why nothing is heard

    @property
    def playing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, clip: Clip, at: float) -> float:
        """Play from `at` seconds on; below 0 it is silent that long first. How many seconds later it is heard."""
        self.stop()
        self.problem = ""
        try:
            output = self._open(clip.rate)
        except Silent as error:
            self.problem = str(error)
            return 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=_play, args=(output, clip, at, self._stop), daemon=True, name="sound")
        self._thread.start()
        return output.latency

    def stop(self) -> None:
        """Silent from now on; waits for the block that is being written."""
        self._stop.set()
        if self._thread:
            self._thread.join(2.0)
            self._thread = None


def _play(output: Output, clip: Clip, at: float, stop: threading.Event) -> None:
    try:
        for block in read_from(clip, at):
            if stop.is_set():
                break
            output.write(np.ascontiguousarray(block))
    except Exception:  # an output that was unplugged, in the words of whichever library plays
        return
    finally:
        output.close()
