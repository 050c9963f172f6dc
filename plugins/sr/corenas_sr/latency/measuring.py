"""Enough runs of a network for a median, and all that the number depends on beside it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from torch import nn

from corenas.cost import Shape
from corenas.devices import cpu_threads
from corenas_sr.latency.engine import Engine

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

    @property
    def median(self) -> float:
        """The median of the runs, in seconds."""
        return statistics.median(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper quartile of the runs, in seconds."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
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
        }


def measure_latency(
    engine: Engine,
    network: nn.Module,
    shape: Shape,
    *,
    threads: int,
    seconds: float | None = None,
) -> Latency:
    """Time a network: a warm-up, then at least `FEWEST` runs, or as few as the engine needs.

    Args:
        engine: What runs it.
        network: What `Engine.prepare` takes.
        shape: The shape of its input with the batch.
        threads: How many threads compute.
        seconds: How long the runs may take once there are enough of them; by default `SECONDS`.
    """
    enough = SECONDS if seconds is None else seconds
    with cpu_threads(threads), tempfile.TemporaryDirectory(prefix="corenas-latency-") as folder:
        run = engine.prepare(network, shape, Path(folder), threads=threads)
        times = _repeat(run, enough, fewest=getattr(engine, "runs", FEWEST))
    return Latency(tuple(times), engine.name(), threads, engine.processor())


def _repeat(run: Callable[[], float], enough: float, *, fewest: int) -> Sequence[float]:
    for _ in range(min(WARM_UP, fewest - 1)):
        run()
    times: list[float] = []
    began = time.monotonic()
    # An engine that says how many runs it needs gets no more.
    most = MOST if fewest == FEWEST else fewest
    while len(times) < fewest or (len(times) < most and time.monotonic() - began < enough):
        times.append(run())
    return times
