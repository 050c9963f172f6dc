"""E(s): how one candidate is trained and measured, split between main process and worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from corenas.errors import CorenasError
from corenas.values.architecture import Architecture
from corenas.values.result import State
from corenas.values.trial import Measurement, Trial

Report = Callable[[int, float], bool]
"""``report(step, value)`` tells how far a job is; it answers True when the job should stop."""


class Diverged(CorenasError):  # noqa: N818 - it names what happened
    """Training gave a loss or weights that are not finite."""


class Stopped(CorenasError):  # noqa: N818 - it names what happened
    """The job ended early because ``report`` asked for it."""


@frozen
class Outcome:
    """What a worker sends back: metrics by name, seconds spent, and weights as bytes."""

    metrics: Mapping[str, float]
    seconds: float = 0.0
    payload: bytes = b""


@frozen
class Rejected:
    """The candidate is refused before any training; not a step, and no update."""

    reason: str
    metrics: Mapping[str, float]


class Job(Protocol):
    """All that a worker sees: picklable and small; it names its data by configuration."""

    def run(self, device: str, report: Report) -> Outcome:
        """Train and measure on ``device``.

        Raises:
            Diverged: The training left the finite numbers.
            Stopped: ``report`` answered True.
        """


class Evaluator(Protocol):
    """Prepares jobs and collects their outcomes, both in the main process."""

    @property
    def measures(self) -> Sequence[str]:
        """Names of the metrics and costs that every measurement has."""

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        """Check the cost, take warm-start weights and return the job.

        After a restore it is called again for each job in flight, and must return the same job.
        """

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        """Return what the outcome says of the candidate, its costs included."""

    def collect(self, trial: Trial, outcome: Outcome) -> None:
        """Take back what the job of a finished trial produced, in the executor's order."""

    def drop(self, number: int) -> None:
        """Forget the job, which failed."""

    def state(self) -> State:
        """Return everything that later jobs depend on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""

    def save(self, folder: Path) -> Mapping[str, str]:
        """Write what later stages start from into ``folder``; return file names by purpose."""
