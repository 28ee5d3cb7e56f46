"""board render --machine: panels on several machines at once, each with one at a time.

A machine that is lost or refuses costs its panel the time and nothing else: the panel waits again for another.
"""

import dataclasses
import queue
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from app.board.data import Board, numbers
from app.engine import protocol
from app.engine.jobs import Job
from app.engine.machines import HERE, QUIT, Heard, Lost, Machine, command_for
from mlx_model import errors
from mlx_model.errors import FluxLocalError, ModelError, WillNotFit, WorkerDied
from mlx_model.events import Done, Event, Failed, Note, Stage
from mlx_model.store.folder import Folder

from ..say import Reporter

TRIES = 2  # machines that a panel may end
PATIENCE = 1.0  # seconds between two looks at who is silent
# What is wrong with a machine and not with a panel.
ITS_OWN = {"ModelError", "NotInstalled", "LayoutError", "FolderVersionError", "WillNotFit", "DiskFull", "OutOfMemory",
           "GpuFailed", "WorkerDied"}  # fmt: skip


class Maker(Protocol):
    """Who knows the board."""

    @property
    def board(self) -> Board: ...

    def prepare(self, panel_id: str, number: int) -> tuple[Job, Folder]: ...

    def keep(self, job: Job, done: Done) -> Done: ...


@dataclasses.dataclass(frozen=True)
class Task:
    """Take `number` of a panel; `tries`: machines that it ended."""

    panel: str
    number: int
    tries: int = 0


class Fleet:
    """The machines, and what is left to do."""

    def __init__(self, places: Sequence[str], maker: Maker, report: Reporter, cache: bool, low_memory: bool):
        commands = {place: command_for(place) for place in places}  # all of them, before any is started
        self.maker, self.report, self.cache, self.low_memory = maker, report, cache, low_memory
        self.total = 0
        self.heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self.waiting: list[Task] = []
        self.working: dict[Machine, tuple[Task, Job]] = {}
        self.failed: list[FluxLocalError] = []
        here = protocol.command_line("worker", "--far")
        self.machines = [Machine(name, words, self.heard) for name, words in ((HERE, here), *commands.items())]

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines:
            machine.ask_to_end()
        until = time.monotonic() + QUIT  # for all of them together
        for machine in self.machines:
            machine.end(until)

    def render(self, panels: Iterable[str], count: int) -> list[FluxLocalError]:
        """What failed. Raises what makes going on pointless: no model here, no machine left, a board that is gone."""
        self.waiting = [Task(panel, number) for panel in panels for number in range(count)]
        self.total = len(self.waiting)
        while self.waiting or self.working:
            self._hand_out()
            if not self._left():
                raise WorkerDied("No machine is left that renders.", "What was made is kept; render what is --missing.")
            if self.waiting or self.working:
                self._hear()
        self._tell_unready()
        return self.failed

    def _tell_unready(self) -> None:
        """Of machines that never came up, all the rest having been quicker."""
        for machine in self._left():
            if not machine.ready:
                self.report.note(f"{machine.name} had not answered when the last panel was done.")

    def _left(self) -> list[Machine]:
        return [machine for machine in self.machines if not machine.lost]

    def _hand_out(self) -> None:
        for machine in self._left():
            while machine.ready and machine not in self.working and (task := self._next()):
                self.waiting.remove(task)
                self._start(machine, task)

    def _next(self) -> Task | None:
        """The first that need not wait: for a panel that it starts from, or for another take of its own."""
        busy = {task.panel for task, _ in self.working.values()}
        open_ = busy | {task.panel for task in self.waiting}
        for task in self.waiting:
            source = self.maker.board.panel(task.panel).source
            before = source.panel if source.kind == "panel" else None
            if task.panel not in busy and (before is None or before == task.panel or before not in open_):
                return task
        return self.waiting[0] if self.waiting and not busy else None  # a circle

    def _start(self, machine: Machine, task: Task) -> None:
        label = numbers(self.maker.board)[task.panel]
        try:
            job, folder = self.maker.prepare(task.panel, task.number)
            machine.render(self._order(machine, job, folder), job.request)
        except (ModelError, WillNotFit):
            raise
        except FluxLocalError as error:
            self._fail(task, error)
            return
        self.working[machine] = (task, job)
        place = self.total - len(self.waiting)
        self.report(Stage("panel", f"{label} ({place} of {self.total}) on {machine.name}"))

    def _order(self, machine: Machine, job: Job, folder: Folder) -> protocol.Run:
        """Here the model is this folder, elsewhere the one of that name."""
        model = str(folder.path) if machine.name == HERE else folder.path.name
        return protocol.Run(
            job.id, model, protocol.raw("{}"), "", previews=False, weights=folder.identity, cache=self.cache,
            low_memory=self.low_memory,
        )  # fmt: skip

    def _hear(self) -> None:
        try:
            machine, message = self.heard.get(timeout=PATIENCE)
        except queue.Empty:
            for machine in self._left():
                if machine.is_silent():
                    machine.drop("It stopped answering.")
            return
        if isinstance(message, Lost):
            self._lose(machine, message.reason, "is lost" if not message.refused else "can't be used", 1)
        elif isinstance(message, protocol.Ready):
            machine.rest()
        elif machine in self.working:
            self._happen(machine, message)

    def _happen(self, machine: Machine, event: Event) -> None:
        task, job = self.working[machine]
        if isinstance(event, Note):
            self.report(event)
        elif isinstance(event, Done):
            self.report(self.maker.keep(job, dataclasses.replace(event, path=str(machine.picture))))
            self._finish(machine)
        elif isinstance(event, Failed) and event.code in ITS_OWN:
            if machine.name == HERE:
                raise _error(event)
            machine.drop(event.message)
            self._lose(machine, event.message, "can't render this board", 0)
        elif isinstance(event, Failed):
            self._finish(machine)
            self._fail(task, _error(event))

    def _finish(self, machine: Machine) -> None:
        del self.working[machine]
        machine.rest()

    def _lose(self, machine: Machine, reason: str, how: str, tries: int) -> None:
        if machine.lost:
            return
        machine.lost = True
        self.report.note(f"{machine.name} {how}: {reason}")
        if machine not in self.working:
            return
        task, _ = self.working.pop(machine)
        task = dataclasses.replace(task, tries=task.tries + tries)
        if task.tries >= TRIES:
            self._fail(task, WorkerDied(f"It ended the program on {TRIES} machines. {reason}"))
            return
        self.waiting.insert(0, task)
        self.report.note(f"Panel {numbers(self.maker.board)[task.panel]} waits for another machine.")

    def _fail(self, task: Task, error: FluxLocalError) -> None:
        self.failed.append(error)
        self.report.say_failure(error, numbers(self.maker.board)[task.panel])


def _error(event: Failed) -> FluxLocalError:
    kind = getattr(errors, event.code, errors.SampleError)
    return kind(event.message, event.what_to_do) if issubclass(kind, FluxLocalError) else FluxLocalError(event.message)
