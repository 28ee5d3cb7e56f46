"""The engine: a queue of jobs and the worker process that runs them. QtCore only; never imports mlx."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QObject, QProcess, QProcessEnvironment, QTimer, Signal

from mlx_model import files
from mlx_model.events import Cancelled, Done, Event, Failed, Step

from . import protocol
from .jobs import Job, JobState, Queue

RESULTS = 200  # pictures whose files are kept
LAST = (Done, Failed, Cancelled)
JOB_ID = re.compile(r"[\w-]{1,64}")


@dataclass(frozen=True)
class Patience:
    """Seconds. A silent worker is asked to end and killed at last: a killed Metal process may keep its memory."""

    start: float = 60.0  # until it is ready
    beat: float = 30.0  # without a word; it says something every second
    cancel: float = 60.0  # for a step to end, or four times the length of a step
    grace: float = 10.0  # between asking to end and killing
    restarts: tuple[float, ...] = (0.2, 1.0, 4.0)  # before each attempt after a death


class Worker(QObject):
    """One process after the other that runs jobs; each ends with `died`, unless it was asked to end."""

    ready = Signal()
    said = Signal(str, object)  # job id, Event
    died = Signal(object)  # Failed

    def __init__(self, words: Sequence[str], log: Path, patience: Patience, parent: QObject | None = None):
        super().__init__(parent)
        self.words, self.log, self.patience = list(words), log, patience
        self.is_ready = False
        self._reason = ""  # why it was ended
        self._silent = self._ending = 0.0
        self._log_start = 0
        self._lines = protocol.Lines()
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._end)
        self._process.errorOccurred.connect(self._error)
        self._tick = QTimer(self, interval=int(1000 * min(1.0, patience.beat / 4, patience.grace / 4)))
        self._tick.timeout.connect(self._watch)

    @property
    def alive(self) -> bool:
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def pid(self) -> int:
        return self._process.processId()

    def start(self) -> None:
        """Start a fresh process; `ready` or `died` follows."""
        self.is_ready, self._reason, self._silent, self._ending = False, "", 0.0, 0.0
        self._lines = protocol.Lines()
        log, self._log_start = protocol.open_log(self.log)
        self._process.setStandardErrorFile(log, QProcess.OpenModeFlag.Append)
        self._process.setProcessEnvironment(_environment())
        self._process.start(self.words[0], self.words[1:])
        self._tick.start()

    def send(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.Run):
            self._silent = 0.0
            self._tick.start()
        self._process.write(protocol.line(message))

    def end(self, reason: str) -> None:
        """Ask the process to end, and kill it after `grace` seconds; `died` says the reason."""
        if self.alive and not self._reason:
            self._reason, self._ending = reason, self.patience.grace
            self._tick.start()
            self._process.terminate()

    def quit(self, step: float) -> None:
        """End it now, politely where it ends within about `step` seconds; nothing is told."""
        self._tick.stop()
        self._process.blockSignals(True)
        if self.alive:
            self.send(protocol.Quit())
            self._process.closeWriteChannel()
            wait = int(1000 * min(3.0, self.patience.grace))
            if not self._process.waitForFinished(max(wait, int(1000 * min(60.0, 2 * step)))):
                self._process.terminate()
            if self.alive and not self._process.waitForFinished(wait):
                self._process.kill()
                self._process.waitForFinished(wait)
        self._process.blockSignals(False)

    def _watch(self) -> None:
        """While it starts and while a job runs. Ticks are counted: a clock would go on while the computer sleeps."""
        seconds = self._tick.interval() / 1000
        self._silent += seconds
        if self._reason:
            self._ending -= seconds
            if self._ending <= 0:
                self._process.kill()
        elif self._silent > (self.patience.beat if self.is_ready else self.patience.start):
            self.end("It stopped answering." if self.is_ready else "It did not get ready.")

    def _read(self) -> None:
        self._silent, data = 0.0, bytes(self._process.readAllStandardOutput().data())
        if self._reason:  # it is being ended: what it still says counts no more
            return
        try:
            for text in self._lines.feed(data):
                self._receive(protocol.from_worker(text))
        except protocol.ProtocolError as error:
            protocol.add_to_log(self.log, f"the worker said what can't be understood: {error} ({error.__cause__})")
            self.end("It said something that can't be understood.")

    def _receive(self, message: protocol.Message) -> None:
        if isinstance(message, protocol.Ready):
            self._tick.stop()
            self.is_ready = True
            self.ready.emit()
        elif isinstance(message, protocol.Happened):
            event = message.event()
            if isinstance(event, LAST):
                self._tick.stop()
            self.said.emit(message.job, event)

    def _error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._tick.stop()
            self.died.emit(protocol.explain_death(f"It could not be started: {self._process.errorString()}.", None, ""))

    def _end(self, code: int, status: QProcess.ExitStatus) -> None:
        self._tick.stop()
        self._read()
        self.is_ready = False
        number = code if status == QProcess.ExitStatus.CrashExit else None
        self.died.emit(protocol.explain_death(self._reason, number, protocol.read_tail(self.log, self._log_start)))


def _environment() -> QProcessEnvironment:
    environment = QProcessEnvironment()
    for name, value in protocol.environment().items():
        environment.insert(name, value)
    return environment


class Engine(QObject):
    """Runs jobs one after the other in a worker process that keeps the model loaded.

    worker_state is one of "stopped", "starting", "ready", "busy", "restarting", "failed" (died too often in a row: jobs
    wait until resume or another submit); `worker` holds the last.
    """

    changed = Signal()  # the queue or the state of a job
    happened = Signal(str, object)  # job id, mlx_model.events.Event
    finished = Signal(str)  # job id: done, failed or cancelled
    worker_state = Signal(str)

    def __init__(
        self,
        parent: QObject | None = None,
        words: Sequence[str] | None = None,
        patience: Patience | None = None,
        log: Path | None = None,
    ):
        super().__init__(parent)
        self.paused, self.worker = False, "stopped"
        self.patience = patience or Patience()
        self._queue, self._deaths, self._waited, self._step = Queue(), 0, 0.0, 0.0
        self._results: list[Path] = []
        self._folder = files.make_scratch_folder()
        self._process = Worker(
            words or protocol.command_line("worker"), log or protocol.log_file(), self.patience, self
        )
        self._process.ready.connect(self._ready)
        self._process.said.connect(self._hear)
        self._process.died.connect(self._bury)
        self._restart = QTimer(self, singleShot=True)
        self._restart.timeout.connect(self._start)
        self._cancel_watch = QTimer(self, interval=int(250 * min(4.0, self.patience.cancel)))
        self._cancel_watch.timeout.connect(self._watch_cancel)
        if application := QCoreApplication.instance():
            application.aboutToQuit.connect(self.shutdown)

    def jobs(self) -> tuple[JobState, ...]:
        """The running job, the waiting ones in order, the last finished ones (newest last)."""
        return tuple(self._queue)

    def busy(self) -> int:
        """How many jobs are not over."""
        return self._queue.count_alive()

    def job(self, job_id: str) -> JobState | None:
        return self._queue.find(job_id)

    @property
    def worker_pid(self) -> int:
        """0 where no worker runs."""
        return self._process.pid if self._process.alive else 0

    def start(self) -> None:
        """Start the worker before there is work, so that the first picture doesn't wait for it."""
        if self.worker == "stopped":
            self._start()

    def submit(self, job: Job) -> None:
        """Put a job in line. Raises ValueError for an id that was submitted before."""
        if not JOB_ID.fullmatch(job.id):
            raise ValueError(f"{job.id!r} is no id of a job")
        replaced = self._queue.add(job)
        if self.worker == "failed":  # somebody tries again
            self._recover()
        running = self._queue.running
        if running and job.slot and running.job.slot == job.slot:
            self._stop_running("Replaced by a newer one.")
        self._tell(replaced)

    def release(self, job_id: str) -> None:
        """Take a job out of its slot: no newer one replaces it."""
        if self._queue.release(job_id):
            self.changed.emit()

    def cancel(self, job_id: str) -> None:
        """Cancel a waiting job at once, a running one within a step; any other id is ignored."""
        running = self._queue.running
        if running and running.id == job_id:
            self._stop_running("")
            self.changed.emit()
        elif self._queue.drop(job_id):
            self._tell([job_id])

    def cancel_all(self) -> None:
        for job_id in (waiting := list(self._queue.waiting)):
            self._queue.drop(job_id)
        if self._queue.running:
            self._stop_running("")
        self._tell(waiting)

    def move(self, job_id: str, position: int) -> None:
        """Put a waiting job at `position` among the waiting ones, 0 being next."""
        if self._queue.move(job_id, position):
            self.changed.emit()

    def pause(self) -> None:
        """Start no further job; the running one goes on."""
        self.paused = True
        self.changed.emit()

    def resume(self) -> None:
        """Go on, also after the worker had died too often."""
        self.paused = False
        if self.worker == "failed":
            self._recover()
        self._tell([])

    def unload(self) -> None:
        """Give the memory of the loaded model back once no job runs; the next job loads it again."""
        if self._process.is_ready:
            self._process.send(protocol.Unload())

    def shutdown(self) -> None:
        """Cancel everything and return when the worker is gone. The files of all jobs go with it."""
        self.paused = True
        self._restart.stop()
        self._cancel_watch.stop()
        over = [state.id for state in self._queue if not state.over]
        for job_id in list(self._queue.waiting):
            self._queue.drop(job_id)
        if self._queue.running:
            self._queue.apply(self._queue.running.id, Cancelled())
        for job_id in over:
            self.finished.emit(job_id)
        self._process.quit(self._step)
        self._set("stopped")
        files.remove_scratch_folder(self._folder)

    # the queue

    def _recover(self) -> None:
        self._deaths = 0
        self._set("stopped")

    def _tell(self, over: Sequence[str]) -> None:
        """Say what ended, start what can be started."""
        for job_id in over:
            self._forget_files(job_id)
            self.finished.emit(job_id)
        self._next()
        self.changed.emit()

    def _next(self) -> None:
        if self.paused or self._queue.running or not self._queue.waiting:
            return
        if self.worker == "stopped":
            self._start()
        elif self.worker == "ready" and (job := self._queue.start_next()):
            self._step = 0.0
            self._set("busy")
            self._process.send(protocol.order(job, self._folder / job.id, self._queue.list_alike(job)))

    def _stop_running(self, reason: str) -> None:
        """Ask for the end of the running job. Asking again changes nothing."""
        running = self._queue.running
        if running and not running.cancelling:
            self._queue.cancelling()
            self._process.send(protocol.Cancel(running.id, reason))
            self._waited = 0.0
            self._cancel_watch.start()

    def _watch_cancel(self) -> None:
        """A worker that doesn't end its step in time is ended itself."""
        self._waited += self._cancel_watch.interval() / 1000
        if self._waited > max(self.patience.cancel, 4 * self._step):
            self._process.end("It did not stop when it was asked to.")

    def _forget_files(self, job_id: str) -> None:
        """Of a job without a result, and of old results: whoever wants one has a copy by then."""
        state, folder = self._queue.find(job_id), self._folder / job_id
        self._results += [folder] if state and state.result else []
        gone = [folder] if folder not in self._results else self._results[:-RESULTS]
        self._results = self._results[-RESULTS:]
        for old in gone:
            shutil.rmtree(old, ignore_errors=True)

    # the worker

    def _set(self, state: str) -> None:
        if self.worker != state:
            self.worker = state
            self.worker_state.emit(state)

    def _start(self) -> None:
        self._set("starting")
        self._process.start()

    def _ready(self) -> None:
        self._set("ready")
        self._tell([])

    def _hear(self, job_id: str, event: Event) -> None:
        if not self._queue.apply(job_id, event):
            return
        self.happened.emit(job_id, event)
        state = self._queue.find(job_id)
        if isinstance(event, Step):
            self._step = max(self._step, event.seconds / event.step)
        if state and state.over:
            self._deaths = 0
            self._over(job_id)
        else:
            self.changed.emit()

    def _over(self, job_id: str) -> None:
        self._cancel_watch.stop()
        if self._process.is_ready:
            self._set("ready")
        self._tell([job_id])

    def _bury(self, failed: Failed) -> None:
        """The running job fails, or the first waiting one where the worker dies again and again before it is ready."""
        running, starting = self._queue.running, self.worker == "starting"
        stopped = running is not None and running.cancelling
        if not stopped:
            self._deaths += bool(running) or starting
        tired = self._deaths > len(self.patience.restarts)
        event = Cancelled("The worker had to be stopped.") if stopped else failed
        over = self._end_one(event, starting and tired)
        if tired:
            self._set("failed")
        elif self._deaths and self._queue.waiting:
            self._set("restarting")
            self._restart.start(int(1000 * self.patience.restarts[self._deaths - 1]))
        else:
            self._set("stopped")
        self._cancel_watch.stop()
        self._tell(over)

    def _end_one(self, event: Failed | Cancelled, first_waiting: bool) -> list[str]:
        """End the running job, or the first waiting one, by `event`; the ids of what ended."""
        if self._queue.running:
            job_id = self._queue.running.id
            self._queue.apply(job_id, event)
        elif first_waiting and self._queue.waiting:
            job_id = next(iter(self._queue.waiting))
            self._queue.end_waiting(job_id, event)
        else:
            return []
        self.happened.emit(job_id, event)
        return [job_id]
