"""What runs inside a worker process: its preparation, and one job after the other."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from typing import Any

from corenas.devices import use_one_thread
from corenas.search.executors.attempt import attempt, failure

_ready: Any = None
"""Shared with the parent: when the job in progress was ready, on the monotonic clock, or 0."""


def prepare(ready: Any) -> None:
    """Set the process up: one thread, the default for SIGTERM, and an end when its parent ends."""
    global _ready
    _ready = ready
    use_one_thread()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent kills, and waits for no clean-up
    threading.Thread(target=_exit_with_parent, name="parent-watch", daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    # Nothing else ends a worker whose parent was killed with SIGKILL.
    if parent is not None:
        parent.join()
        os._exit(1)


def work(job: bytes, device: str) -> bytes:
    """Unpickle and run a job; return its pickled `Outcome` or `Failure`.

    Pickling on both sides here, and not in the pool, makes a failure of it the trial's alone, and
    lets weights travel as bytes instead of as shared memory.
    """
    try:
        return pickle.dumps(attempt(pickle.loads(job), device, _never_stop, _mark_ready))
    except Exception as error:
        return pickle.dumps(failure(error))


def _mark_ready() -> None:
    """Let the job's time count from now on; the monotonic clock is one for the whole machine."""
    _ready.value = time.monotonic()


def _never_stop(step: int, value: float) -> bool:
    """Answer a report: a worker is never asked to stop, it is killed."""
    return False
