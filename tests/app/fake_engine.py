"""An engine for tests of views: the same interface, no process; the test says what the worker does.

engine = FakeEngine()
window = MainWindow(engine, ...)
...                               # the view submits a job
engine.step(4, 16)                # of the running job
engine.done(path)                 # or fail("reason"), or worker_dies()
"""

from PySide6.QtCore import QObject, Signal

from app.engine.jobs import Job, JobState, Queue
from mlx_model.events import Cancelled, Done, Event, Failed, Loaded, Preview, Stage, Step


class FakeEngine(QObject):
    """Starts the first waiting job at once, as the engine does with a ready worker, and then waits for the script.

    `cancels` makes a running job stop as soon as it is asked to; set it to False to test the time in between.
    """

    changed = Signal()
    happened = Signal(str, object)
    finished = Signal(str)
    worker_state = Signal(str)

    def __init__(self, parent: QObject | None = None, cancels: bool = True):
        super().__init__(parent)
        self.queue, self.paused, self.cancels = Queue(), False, cancels
        self.submitted: list[Job] = []
        self.unloaded = self.stopped = self.started = self.worker_pid = 0
        self.worker = "ready"

    # the interface of app.engine.Engine

    def jobs(self) -> tuple[JobState, ...]:
        return tuple(self.queue)

    def busy(self) -> int:
        return self.queue.count_alive()

    def job(self, job_id: str) -> JobState | None:
        return self.queue.find(job_id)

    def start(self) -> None:
        self.started += 1

    def submit(self, job: Job) -> None:
        replaced = self.queue.add(job)
        self.submitted.append(job)
        for job_id in replaced:
            self.finished.emit(job_id)
        running = self.queue.running
        if job.slot and running and running.job.slot == job.slot:
            self.cancel(running.id)
        self._next()

    def release(self, job_id: str) -> None:
        if self.queue.release(job_id):
            self.changed.emit()

    def cancel(self, job_id: str) -> None:
        if self.queue.drop(job_id):
            self.finished.emit(job_id)
        elif self.queue.running and self.queue.running.id == job_id:
            self.queue.cancelling()
            if self.cancels:
                self.say(Cancelled())
        self.changed.emit()

    def cancel_all(self) -> None:
        for job_id in list(self.queue.waiting):
            self.cancel(job_id)
        if self.queue.running:
            self.cancel(self.queue.running.id)

    def move(self, job_id: str, position: int) -> None:
        if self.queue.move(job_id, position):
            self.changed.emit()

    def pause(self) -> None:
        self.paused = True
        self.changed.emit()

    def resume(self) -> None:
        self.paused = False
        self._next()

    def unload(self) -> None:
        self.unloaded += 1

    def shutdown(self) -> None:
        self.cancel_all()
        self.stopped += 1

    # the script

    @property
    def running(self) -> JobState | None:
        return self.queue.running

    def say(self, event: Event) -> None:
        """Let an event of the running job arrive."""
        assert self.queue.running, "no job runs"
        job_id = self.queue.running.id
        self.queue.apply(job_id, event)
        self.happened.emit(job_id, event)
        if self.queue.find(job_id).over:
            self.finished.emit(job_id)
            self._next()
        self.changed.emit()

    def loaded(self) -> None:
        self.say(Stage("text"))
        self.say(Loaded(self.queue.running.job.model, 0.5))

    def step(self, step: int, total: int = 4, left: float = 1.0) -> None:
        if self.queue.running.stage != "denoise":
            self.say(Stage("denoise", total=total))
        self.say(Step(step, total, float(step), left))

    def preview(self, path, step: int = 1) -> None:
        self.say(Preview(step, str(path)))

    def done(self, path, seconds: float = 1.0) -> None:
        self.say(Done(seconds, str(path), self.queue.running.job.request.seed))

    def fail(self, message: str, hint: str = "", code: str = "SampleError") -> None:
        self.say(Failed(code, message, hint))

    def worker_dies(self, message: str = "The process that runs the model died.") -> None:
        """The running job fails, and a fresh worker takes the next one."""
        self.worker_state.emit("restarting")
        self.fail(message, code="WorkerDied")
        self.worker_state.emit("ready")

    def _next(self) -> None:
        if not self.paused and self.queue.start_next():
            self.worker_state.emit("busy")
        self.changed.emit()
