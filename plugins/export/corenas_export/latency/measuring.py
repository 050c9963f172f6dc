"""Enough runs of a network for a median, and all that the number depends on beside it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import frozen

from corenas_export.format import Source
from corenas_export.latency.engine import Engine

WARM_UP = 3
"""Runs that are not counted: the first ones allocate, compile and fill caches."""

FEWEST, MOST, SECONDS = 11, 500, 3.0
"""Counted runs, and how long they may take once there are enough of them."""


@frozen
class Latency:
    """Seconds of single runs, and what they were measured with."""

    seconds: tuple[float, ...]
    engine: str
    threads: int
    processor: str
    input: tuple[int, int]
    scale: int

    @property
    def median(self) -> float:
        """The median of the runs, in seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper quartile of the runs, in seconds."""
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def to_json(self) -> dict[str, Any]:
        """Return all of it, with times in milliseconds."""
        return {
            "median_ms": 1e3 * self.median,
            "quartiles_ms": [1e3 * value for value in self.quartiles],
            "runs": len(self.seconds),
            "engine": self.engine,
            "threads": self.threads,
            "processor": self.processor,
            "input": list(self.input),
            "output": [side * self.scale for side in self.input],
        }


def measure_latency(engine: Engine, source: Source, *, threads: int) -> Latency:
    """Time a network: a warm-up, then at least `FEWEST` runs.

    Args:
        engine: What runs it.
        source: The network, with the size of its images.
        threads: How many threads compute.
    """
    assert source.size is not None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory(prefix="corenas-latency-") as folder:
            run = engine.prepare(source, Path(folder), threads=threads)
            seconds = _repeat(run)
    finally:
        torch.set_num_threads(before)
    return Latency(
        tuple(seconds), engine.name(), threads, engine.processor(), source.size, source.scale
    )


def _repeat(run: Callable[[], float]) -> Sequence[float]:
    for _ in range(WARM_UP):
        run()
    seconds: list[float] = []
    began = time.monotonic()
    while len(seconds) < FEWEST or (len(seconds) < MOST and time.monotonic() - began < SECONDS):
        seconds.append(run())
    return seconds
