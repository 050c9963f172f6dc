"""What runs inside a worker process: its preparation, and one job after the other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

from corenas.devices import use_one_thread
from corenas.search.executors.attempt import attempt_pickled

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
    """Run a job; see `attempt_pickled`. Weights travel as bytes, not as shared memory."""
    return attempt_pickled(job, device, _mark_ready)


def _mark_ready() -> None:
    """Let the job's time count from now on; the monotonic clock is one for the whole machine."""
    _ready.value = time.monotonic()
