"""The queue of jobs: one runs, others wait, the last finished ones are remembered. Plain data, no Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from mlx_model.events import Cancelled, Event, Failed

from .jobs import Job, JobState

KEPT = 50  # finished jobs that are remembered


class Queue:
    """The order of things: one job runs, others wait, the last finished ones are remembered."""

    def __init__(self, kept: int = KEPT):
        self.waiting: list[JobState] = []
        self.running: JobState | None = None
        self.finished: list[JobState] = []
        self.kept = kept

    def __iter__(self) -> Iterator[JobState]:
        """Running, waiting in order, finished with the newest last."""
        yield from (self.running,) if self.running else ()
        yield from self.waiting
        yield from self.finished

    def find(self, job_id: str) -> JobState | None:
        return next((state for state in self if state.id == job_id), None)

    def add(self, job: Job) -> list[str]:
        """Put `job` in line; the ids of waiting jobs that it replaced, which are cancelled now.

        Raises ValueError for an id that is known already.
        """
        if self.find(job.id):
            raise ValueError(f"job {job.id} was submitted twice")
        replaced = [state.id for state in self.waiting if job.slot and state.job.slot == job.slot]
        for job_id in replaced:
            self.drop(job_id, "replaced by a newer one")
        self.waiting.insert(0 if job.slot else len(self.waiting), JobState(job))
        return replaced

    def drop(self, job_id: str, reason: str = "") -> bool:
        """Cancel a waiting job; False where no such job waits."""
        return self._end_waiting(job_id, Cancelled(reason))

    def fail_waiting(self, job_id: str, event: Failed) -> bool:
        """Fail a job that never ran; False where no such job waits."""
        return self._end_waiting(job_id, event)

    def _end_waiting(self, job_id: str, event: Event) -> bool:
        state = next((state for state in self.waiting if state.id == job_id), None)
        if state is None:
            return False
        self.waiting.remove(state)
        self._finish(state.after(event))
        return True

    def start_next(self) -> Job | None:
        """The first waiting job, running now; None where one runs already or none waits."""
        if self.running or not self.waiting:
            return None
        self.running = dataclasses.replace(self.waiting.pop(0), state="running")
        return self.running.job

    def apply(self, job_id: str, event: Event) -> bool:
        """Let `event` happen to the running job; False for any other job, whose late events mean nothing."""
        if self.running is None or self.running.id != job_id:
            return False
        state = self.running.after(event)
        self.running = None if state.over else state
        if state.over:
            self._finish(state)
        return True

    def cancelling(self) -> None:
        """Mark the running job as asked to stop."""
        if self.running:
            self.running = dataclasses.replace(self.running, cancelling=True)

    def move(self, job_id: str, position: int) -> bool:
        """Put a waiting job at `position` among the waiting; False where no such job waits."""
        state = next((state for state in self.waiting if state.id == job_id), None)
        if state is None:
            return False
        self.waiting.remove(state)
        self.waiting.insert(max(0, position), state)
        return True

    def _finish(self, state: JobState) -> None:
        self.finished = [*self.finished, state][-self.kept :]
