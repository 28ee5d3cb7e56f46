"""The worker process: keeps a model loaded and makes one picture after the other, as app/engine/protocol.py asks it to.

The main thread loads and runs (MLX arrays belong to their thread), a second one reads, a third one sends heartbeats:
MLX lets go of the interpreter while it computes, so these come also in the middle of a long step.
"""

import faulthandler
import gc
import json
import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlx_model.events import Cancelled, Done, Event, Failed, Note, Stage
from mlx_model.helpers import HELPERS
from mlx_model.memory import machine
from mlx_model.request import Request, check
from mlx_model.store.folder import MANIFEST, Folder, open_folder

from ..base import faults
from ..models import depth, helpers, library
from ..pictures import inputs
from . import running
from .jobs import Lesson
from .protocol import (
    Beat,
    Cancel,
    Happened,
    Lines,
    Message,
    ProtocolError,
    Quit,
    Ready,
    Run,
    Teach,
    Unload,
    Write,
    line,
    raw,
    to_worker,
)

if TYPE_CHECKING:
    from mlx_model.run.pipeline import Pipeline

BEAT = 1.0  # seconds between two heartbeats
RESULT, TEXT = "result.png", "words.txt"
PREVIEW_TIME = 0.03  # of the steps' time


TeachFunction = Callable[[Path, Lesson], Generator[Event, None, None]]  # of a model's folder; app/training has it


def main(teach: TeachFunction, kind: "type[Worker] | None" = None) -> None:
    """Serve until the pipe ends, as a worker of this kind.

    Only messages reach the real stdout: whatever else is printed goes to the log.
    """
    faulthandler.enable()
    with os.fdopen(os.dup(1), "wb", buffering=0) as out:
        os.dup2(2, 1)
        (kind or Worker)(0, out, teach).serve()


class _Ended(Exception):
    """In the middle of a step: nobody waits for it any more."""


class Worker:
    """Reads messages from the file descriptor `source`, writes messages to `out`."""

    def __init__(self, source: int, out: BinaryIO, teach: TeachFunction):
        self.source, self.out, self.teach = source, out, teach
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._cancelled: dict[str, str] = {}  # job id -> reason
        self._quitting, self._busy = False, threading.Event()
        self._pipeline: Pipeline | None = None
        self._opened: tuple[Path, str | None, int] | None = None

    def serve(self) -> None:
        """Load MLX, say Ready, work until Quit or the end of the pipe."""
        running.load_mlx()
        threading.Thread(target=self._read, daemon=True).start()
        self.say(Ready(os.getpid()))
        threading.Thread(target=self._beat, daemon=True).start()
        try:
            while not isinstance(message := self._inbox.get(), Quit):
                if isinstance(message, Run | Teach | Write):
                    self._busy.set()
                    self._job(message)
                    self._busy.clear()
                elif isinstance(message, Unload):
                    self._unload()
        except (KeyboardInterrupt, BrokenPipeError):  # asked to end, or nobody listens any more
            pass

    def say(self, message: Message) -> None:
        with self._lock:
            self.out.write(line(message))

    def _beat(self) -> None:
        """While a job runs."""
        while self._busy.wait():
            time.sleep(BEAT)
            try:
                self.say(Beat())
            except OSError:
                return

    def _read(self) -> None:
        """Cancel works at once, everything else in its turn. A message that can't be read ends the worker."""
        lines = Lines()
        try:
            # Not sys.stdin: its lock, held by this thread, would abort Python at exit.
            while data := os.read(self.source, 65536):
                for text in lines.feed(data):
                    self._receive(to_worker(text))
        except ProtocolError:
            traceback.print_exc()
        self._receive(Quit())

    def _receive(self, message: Message) -> None:
        if isinstance(message, Cancel):
            self._cancelled[message.job] = message.reason
            return
        self._quitting = self._quitting or isinstance(message, Quit)
        self._inbox.put(message)

    def _job(self, message: Run | Teach | Write) -> None:
        """Every job ends with Done, Failed or Cancelled."""
        try:
            last = self._events(message)
        except KeyboardInterrupt:
            self._say_event(message.job, Cancelled("The worker was asked to end."))
            raise
        except _Ended:
            last = Cancelled(self._cancelled.get(message.job, ""))
        except Exception as error:
            last = _describe_failure(error)
        self._cancelled.pop(message.job, None)
        self._say_event(message.job, last)

    def _events(self, message: Run | Teach | Write) -> Event:
        """Say all events of a job but the last, which is returned."""
        with closing(self._begin(message)) as events:
            for event in events:
                if isinstance(event, Done):
                    return event
                self._say_event(message.job, event)
                if self._is_over(message.job):
                    break
        return Cancelled(self._cancelled.get(message.job, ""))

    def _begin(self, message: Run | Teach | Write) -> Generator[Event, None, None]:
        if isinstance(message, Write):
            return self._write(message)
        if isinstance(message, Teach):
            return self._teach(message)
        return self._help(message) if message.load_request().model in HELPERS else self._run(message)

    def _is_over(self, job: str) -> bool:
        return self._quitting or job in self._cancelled

    def _end_if_over(self, job: str) -> None:
        """Between the blocks of a model that is read from the disk, whose steps may be long. Raises _Ended."""
        if self._is_over(job):
            raise _Ended

    def _say_event(self, job: str, event: Event) -> None:
        self.say(Happened(job, raw(event.to_json())))

    def _find(self, message: Run) -> tuple[Folder, Request, Path]:
        """The model, the request with the places of its files here, and the folder of the result."""
        return open_folder(library.resolve(message.model)), message.load_request(), Path(message.folder)

    def _run(self, message: Run) -> Generator[Event, None, None]:
        folder, named, place = self._find(message)
        notes: list[str] = []
        maps = depth.Maps(partial(self._end_if_over, message.job))
        request = check(depth.with_maps(inputs.load(named, notes), folder.spec, notes, maps), folder.spec)
        yield from map(Note, notes)
        if not message.anyway:
            running.require_memory(folder, request, message.low_memory)
        place.mkdir(parents=True, exist_ok=True)  # here, where a full disk is told as an error of the job
        previews = place if message.previews else None
        output = running.Output(
            place / RESULT, previews, None, PREVIEW_TIME, message.cache, paths=False, low_memory=message.low_memory
        )
        with running.awake():
            pipeline = self._open(folder.path, request.dtype)
            pipeline.between = partial(self._end_if_over, message.job)
            yield from running.run_and_save(pipeline, request, output, message.look_ahead)

    def _help(self, message: Run) -> Generator[Event, None, None]:
        """A small network, beside the model that is kept loaded."""
        notes: list[str] = []
        request = helpers.prepare(inputs.load(message.load_request(), notes))
        yield from map(Note, notes)
        place = Path(message.folder)
        place.mkdir(parents=True, exist_ok=True)
        running.load_mlx()
        yield from running.help_and_save(request, running.Output(place / RESULT, paths=False))

    def _teach(self, message: Teach) -> Generator[Event, None, None]:
        """A model that learns is another one than that which is kept loaded."""
        self._unload()
        try:
            with running.awake():
                yield from self.teach(library.resolve(message.model), message.lesson)
        finally:
            self._unload()

    def _write(self, message: Write) -> Generator[Event, None, None]:
        """A language model is large: it and the one that paints are never loaded at once."""
        from mlx_model.run.write import Writer  # an extra

        began, draft, place = time.perf_counter(), message.draft, Path(message.folder)
        yield Stage("load", Path(draft.folder).name)
        self._unload()
        writer = Writer.open(Path(draft.folder), machine().usable)
        writer.between = partial(self._end_if_over, message.job)
        if draft.lines:
            text = json.dumps((yield from writer.write_scene(draft.lines, draft.words, draft.seed)))
        else:
            asked = draft.words, draft.references, draft.changes, draft.seed, draft.as_json
            text = yield from writer.write(*asked)
        del writer
        self._unload()
        place.mkdir(parents=True, exist_ok=True)
        (place / TEXT).write_text(text, "utf-8")
        yield Done(time.perf_counter() - began, str(place / TEXT))

    def _open(self, folder: Path, dtype: str | None) -> "Pipeline":
        """The loaded pipeline where it is this one; a folder that was installed anew counts as another."""
        wanted = (folder, dtype, (folder / MANIFEST).stat().st_mtime_ns)
        if self._pipeline is None or self._opened != wanted:
            self._unload()
            self._pipeline, self._opened = running.open_pipeline(folder, dtype), wanted
        return self._pipeline

    def _unload(self) -> None:
        self._pipeline = self._opened = None
        gc.collect()
        running.clear_cache()


def _describe_failure(error: Exception) -> Failed:
    told = faults.tell(error)
    if told:
        return Failed.of(told)
    traceback.print_exception(error)
    said = faults.say_plainly(str(error))
    return Failed(type(error).__name__, f"{faults.WRONG} {said}".strip(), faults.OUR_FAULT)
