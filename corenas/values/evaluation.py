"""What passes between a search and its workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from attrs import frozen

Order = Literal["completion", "submission"]


@frozen
class Failure:
    """Why a job gave no outcome. It costs one trial, never the run."""

    kind: Literal["error", "killed", "timeout", "memory", "diverged"]
    message: str


Report = Callable[[int, float], bool]
"""``report(step, value)`` tells how far a job is; it answers True when the job should stop."""


@frozen
class Outcome:
    """What a worker sends back: metrics by name, seconds spent, and weights as bytes.

    ``state`` is what a later job of the same candidate goes on from, where there may be one.
    """

    metrics: Mapping[str, float]
    seconds: float = 0.0
    payload: bytes = b""
    state: bytes = b""


@frozen
class Rejected:
    """The candidate is refused before any training; not a step, and no update."""

    reason: str
    metrics: Mapping[str, float]
