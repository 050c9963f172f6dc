"""Evaluation in worker processes on this machine, which may die without harm to the run."""

from __future__ import annotations

import math
import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from queue import Empty, SimpleQueue

from pebble import ProcessExpired, ProcessPool

from corenas.devices import default_workers
from corenas.errors import CorenasError
from corenas.protocols import Executor, Job
from corenas.search.executors._worker import prepare, work
from corenas.search.executors.attempt import failure, pickled
from corenas.search.executors.config import ProcessesConfig
from corenas.stopping import Stop
from corenas.values.evaluation import Failure, Order, Outcome


def processes(
    config: ProcessesConfig,
    stop: Stop,
    *,
    workers: int | None,
    devices: Sequence[str] = ("cpu",),
) -> Executor:
    """Build the executor for so many workers, by default one a core or GPU; they share these."""
    return Processes(
        stop=stop,
        workers=workers or default_workers(devices),
        devices=devices,
        order=config.order,
        time_limit=config.time_limit,
    )


READY_SECONDS = 900.0
"""How long a worker may take to start, to import torch and to load a job's data."""


class Processes:
    """Runs jobs in worker processes, which start when they are first needed.

    A worker is occupied until its result is handed out. So `idle`, and which device a job gets,
    depend with ``order="submission"`` on the sequence of calls alone, and not on time.

    Args:
        stop: Wakes `next`.
        workers: How many jobs run at once.
        devices: torch devices, given to the workers in turn.
        order: Whether `next` gives results as they come, or in the order of `submit`.
        time_limit: Seconds after which a job's worker is killed. They count from when it is ready:
            its libraries are imported, and the job's data loaded if it says how (`get_ready`).
    """

    def __init__(
        self,
        *,
        stop: Stop,
        workers: int,
        devices: Sequence[str] = ("cpu",),
        order: Order = "completion",
        time_limit: float | None = None,
    ) -> None:
        if workers < 1 or not devices:
            raise ValueError(f"expected workers and devices, got {workers} and {devices}")
        self._stop = stop
        self._order = order
        self._workers = [_Worker(devices[i % len(devices)], time_limit) for i in range(workers)]
        self._free = deque(self._workers)
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._running: dict[int, _Worker] = {}
        self._finished: dict[int, Outcome | Failure] = {}
        self._arrivals: SimpleQueue[tuple[int, Future[bytes]] | None] = SimpleQueue()
        stop.on_request(partial(self._arrivals.put, None))

    @property
    def idle(self) -> bool:
        """Whether a worker is free."""
        return bool(self._free)

    def submit(self, key: int, job: Job) -> None:
        """Start the job, or let it wait for a worker when none is idle.

        Raises:
            CorenasError: The job cannot be pickled, or the system starts no process.
        """
        if not self._workers:
            raise RuntimeError("the executor is closed")
        self._waiting.append((key, pickled(job)))
        self._start()

    def next(self) -> tuple[int, Outcome | Failure]:
        """Wait for the next result in the executor's order.

        Raises:
            Stopped: A stop was requested meanwhile; results not handed out yet are lost.
        """
        while True:
            self._stop.check()
            if not self._running:
                raise RuntimeError("next() was called without a job in flight")
            # A dict keeps the order of insertion: the first of the running was submitted first, the
            # first of the finished arrived first.
            key = next(iter(self._running if self._order == "submission" else self._finished), None)
            if key is not None and key in self._finished:
                return key, self._hand_out(key)
            self._wait()

    def check(self, files: Sequence[Path]) -> None:
        """Find nothing wrong: workers see the files of this machine."""

    def where(self) -> Mapping[str, int]:
        """Return nothing: all workers are on this machine."""
        return {}

    def close(self) -> None:
        """Kill every worker; a second call does nothing."""
        # All are told first, so that they end at the same time and not one after the other.
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join()
        self._workers.clear()
        self._free.clear()

    def _start(self) -> None:
        while self._waiting and self._free:
            (key, job), worker = self._waiting.popleft(), self._free.popleft()
            future = worker.start(job)
            self._running[key] = worker
            future.add_done_callback(partial(self._announce, key))

    def _announce(self, key: int, future: Future[bytes]) -> None:
        """Take a result; called in a thread of the pool."""
        self._arrivals.put((key, future))

    def _wait(self) -> None:
        """Return when something may have changed."""
        try:
            arrival = self._arrivals.get(timeout=self._seconds_to_wait())
        except Empty:
            self._end_overdue()  # or the time budget is spent
            return
        if arrival is not None:
            key, future = arrival
            # A job that was ended for its time may still send a result, which must not count.
            if key in self._working() and self._running[key].has(future):
                self._finished[key] = self._running[key].outcome(future)

    def _working(self) -> dict[int, _Worker]:
        return {key: w for key, w in self._running.items() if key not in self._finished}

    def _seconds_to_wait(self) -> float | None:
        """Return how many seconds may pass until a job or the time budget can be over."""
        budget = self._stop.remaining()
        limits = [worker.remaining() for worker in self._working().values()]
        patience = min([*limits, math.inf if budget is None else budget])
        return None if patience == math.inf else max(0.0, patience)

    def _end_overdue(self) -> None:
        for key, worker in self._working().items():
            failure = worker.overdue()
            if failure is not None:
                self._finished[key] = failure

    def _hand_out(self, key: int) -> Outcome | Failure:
        self._free.append(self._running.pop(key))
        self._start()
        return self._finished.pop(key)


class _Worker:
    """One process, in a pool of its own: one that dies leaves no lock or pipe to the others."""

    def __init__(self, device: str, time_limit: float | None) -> None:
        self._device = device
        self._time_limit = time_limit
        self._future: Future[bytes] | None = None
        self._submitted = 0.0
        # Shared memory, not a pipe: a worker that dies leaves no half message in it.
        self._ready = _CONTEXT.RawValue("d", 0.0)
        self._pool = self._make_pool()

    def _make_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=1, initializer=prepare, initargs=(self._ready,), context=_CONTEXT
        )

    def has(self, future: Future[bytes]) -> bool:
        """Return whether a future is that of the job in progress."""
        return self._future is future

    def start(self, job: bytes) -> Future[bytes]:
        """Schedule the job on a process that lives."""
        self._ready.value = 0.0
        self._submitted = time.monotonic()
        self._future = self._schedule_on_living(job)
        return self._future

    def _schedule_on_living(self, job: bytes) -> Future[bytes]:
        try:
            return self._schedule(job)
        except RuntimeError:  # it died while it was idle, and the pool with it
            self._replace_process()
        try:
            return self._schedule(job)
        except RuntimeError as error:
            reason = error.__cause__ or error
            raise CorenasError(f"a worker process cannot be started: {reason}") from error

    def _schedule(self, job: bytes) -> Future[bytes]:
        with _hold_interrupts():
            return self._pool.schedule(work, (job, self._device))

    def remaining(self) -> float:
        """Return in how many seconds the job in progress may be overdue, at the earliest."""
        return self._earliest_deadline() - time.monotonic()

    def _earliest_deadline(self) -> float:
        """Return the earliest moment at which the job may be overdue, on the monotonic clock."""
        getting_ready = self._submitted + READY_SECONDS
        if self._time_limit is None:
            return getting_ready if not self._ready.value else math.inf
        if self._ready.value:
            return float(self._ready.value) + self._time_limit
        # It may become ready at any moment, and nothing tells: look again when it could be over.
        return min(getting_ready, time.monotonic() + self._time_limit)

    def overdue(self) -> Failure | None:
        """Kill the process and return the failure, if the job takes too long."""
        now = time.monotonic()
        if self._ready.value:
            limit = math.inf if self._time_limit is None else self._time_limit
            late = now - self._ready.value >= limit
            message = f"took longer than its limit of {limit:g} s; it was killed"
        else:
            late = now - self._submitted >= READY_SECONDS
            message = f"its worker was not ready within {READY_SECONDS:g} s; it was killed"
        if not late:
            return None
        self._replace_process()
        return Failure("timeout", message)

    def outcome(self, future: Future[bytes]) -> Outcome | Failure:
        """Return what the job gave, or what became of its process."""
        try:
            outcome: Outcome | Failure = pickle.loads(future.result())
        except ProcessExpired as error:
            self._replace_process()  # it may have left the pool's pipe and locks in any state
            return Failure("killed", f"its worker process {_describe_exit(error.exitcode)}")
        except BrokenProcessPool:
            self._replace_process()
            return Failure("killed", _NEVER_BEGAN)
        except Exception as error:  # the outcome cannot be unpickled here
            return failure(error)
        return outcome

    def _replace_process(self) -> None:
        self.stop()
        self.join()
        self._pool = self._make_pool()

    def stop(self) -> None:
        """Let the process be killed."""
        self._pool.stop()  # type: ignore[no-untyped-call] # pebble leaves it so

    def join(self) -> None:
        """Wait until the process is gone."""
        self._pool.join()


_NEVER_BEGAN = (
    "its worker process ended before it took the job; what it printed may say why (a script that "
    "starts workers must do so under `if __name__ == '__main__':`)"
)


_CONTEXT = multiprocessing.get_context("spawn")  # fork is unsafe beside threads and CUDA


_SIGKILL: int | None = getattr(signal, "SIGKILL", None)  # Windows has none


def _describe_exit(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    cause = "; the system does that when memory runs out" if -status == _SIGKILL else ""
    return f"was ended by signal {-status} ({signal.strsignal(-status)}{cause})"


@contextmanager
def _hold_interrupts() -> Iterator[None]:
    """Start processes and threads that a terminal's signals, which reach all of it, do not reach.

    On Windows nothing is held: it has no masks, and pebble's workers ignore Ctrl-C by themselves.
    """
    if os.name != "posix":
        yield
        return
    resource_tracker.ensure_running()  # when it starts by itself, it lifts the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
