"""Evaluation in this process: repeatable, and easy to debug."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from corenas.devices import cpu_threads
from corenas.protocols import Executor, Job
from corenas.search.executors.attempt import attempt
from corenas.search.executors.config import SerialConfig
from corenas.stopping import Stop
from corenas.values.evaluation import Failure, Outcome


def serial(
    config: SerialConfig,
    stop: Stop,
    *,
    workers: int | None = 1,
    devices: Sequence[str] = ("cpu",),
) -> Executor:
    """Build the executor for the first of the devices; there is always one worker."""
    return Serial(stop=stop, device=devices[0], time_limit=config.time_limit)


class Serial:
    """Runs each job inside `next`, in the order of submission.

    A stop and the time limit take effect when the job reports: a job that hangs is not killed.

    Args:
        stop: Ends a job, and `next`, early.
        device: torch device for the jobs.
        time_limit: Longest time of a job in seconds, from when it has its data.
    """

    def __init__(self, *, stop: Stop, device: str = "cpu", time_limit: float | None = None) -> None:
        self._stop = stop
        self._device = device
        self._time_limit = time_limit
        self._jobs: deque[tuple[int, Job]] = deque()

    @property
    def idle(self) -> bool:
        """Whether no job waits for `next`."""
        return not self._jobs

    def submit(self, key: int, job: Job) -> None:
        """Keep the job for `next`."""
        self._jobs.append((key, job))

    def next(self) -> tuple[int, Outcome | Failure]:
        """Run the oldest job.

        Raises:
            Stopped: A stop was requested before the job began, or the job was told of it.
        """
        self._stop.check()
        if not self._jobs:
            raise RuntimeError("next() was called without a job in flight")
        key, job = self._jobs.popleft()
        watch = _Watch(self._stop, self._time_limit)
        with cpu_threads(1):  # as many as a worker process has, so that both give the same
            outcome = attempt(job, self._device, watch.report, watch.begin)
        if not watch.told_to_stop:
            return key, outcome
        # What a job gives after it was told to stop, if it gives anything, depends on timing.
        self._stop.check()
        return key, Failure("timeout", f"took longer than its limit of {self._time_limit:g} s")

    def check(self, files: Sequence[Path]) -> None:
        """Find nothing wrong: what is here is where the jobs are."""

    def where(self) -> Mapping[str, int]:
        """Return nothing: the worker is this process."""
        return {}

    def close(self) -> None:
        """Forget the jobs that wait."""
        self._jobs.clear()


class _Watch:
    """Answers one job's reports, and remembers having told it to stop."""

    def __init__(self, stop: Stop, time_limit: float | None) -> None:
        self.told_to_stop = False
        self._stop = stop
        self._time_limit = math.inf if time_limit is None else time_limit
        self._began = math.inf

    def begin(self) -> None:
        self._began = time.monotonic()

    def report(self, step: int, value: float) -> bool:
        overdue = time.monotonic() - self._began > self._time_limit
        self.told_to_stop = self.told_to_stop or overdue or self._stop.requested
        return self.told_to_stop
