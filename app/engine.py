"""The engine: a queue of jobs and the worker process that runs them. QtCore only; never imports mlx."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from .job_queue import Queue
from .jobs import Job, JobState


class Engine(QObject):
    """Runs jobs one after the other in a worker process that keeps the model loaded.

    worker_state is one of "stopped", "starting", "ready", "busy", "restarting", "failed" (died too often: the queue is
    paused until resume).
    """

    changed = Signal()  # the queue or the state of a job
    event = Signal(str, object)  # job id, mlx_model.events.Event
    finished = Signal(str)  # job id: done, failed or cancelled
    worker_state = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._queue, self.paused = Queue(), False

    def jobs(self) -> tuple[JobState, ...]:
        """The running job, the waiting ones in order, the last finished ones (newest last)."""
        return tuple(self._queue)

    def job(self, job_id: str) -> JobState | None:
        return self._queue.find(job_id)

    def submit(self, job: Job) -> None:
        """Put a job in line. Raises ValueError for an id that was submitted before."""
        raise NotImplementedError

    def cancel(self, job_id: str) -> None:
        """Cancel a waiting job at once, a running one within a step; any other id is ignored."""
        raise NotImplementedError

    def cancel_all(self) -> None:
        raise NotImplementedError

    def move(self, job_id: str, position: int) -> None:
        """Put a waiting job at `position` among the waiting ones, 0 being next."""
        raise NotImplementedError

    def pause(self) -> None:
        """Start no further job; the running one goes on."""
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError

    def unload(self) -> None:
        """Give the memory of the loaded model back; the next job loads it again."""
        raise NotImplementedError

    def shutdown(self) -> None:
        """Stop everything; returns when the worker is gone."""
        raise NotImplementedError
