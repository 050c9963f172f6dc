"""How long work takes, and how much memory: for a dry run's estimate."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch

from corenas.devices import cpu_threads
from corenas.training.step import Stream, TrainingStep

# The first steps allocate and choose kernels. The median of five forgives one disturbance, and
# a dry run stays short.
WARM_UP, TIMED = 2, 5


def time_step(step: TrainingStep, streams: Sequence[Stream], *, threads: int = 1) -> float:
    """Return the median seconds of a training step; it really trains a few steps.

    Args:
        step: What is timed.
        streams: One batch of each goes into every step; drawing it is part of the time.
        threads: How many CPU threads the training will have.
    """

    def once() -> None:
        for value in step.step([stream.next_batch() for stream in streams]).values():
            float(value)  # reading it waits for a GPU

    with cpu_threads(threads):
        return median_seconds(once, times=TIMED)


def median_seconds(function: Callable[[], object], *, times: int) -> float:
    """Return the median duration of so many calls, after a few that are not timed."""
    for _ in range(WARM_UP):
        function()
    return statistics.median(seconds_of(function) for _ in range(times))


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long a call takes, once."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def peak_memory(device: str) -> int:
    """Return the peak of memory in bytes so far: torch's on a GPU, else that of this process.

    It is 0 where the system does not tell.
    """
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # Windows has none
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kilobytes.
    return peak if sys.platform == "darwin" else peak * 1024
