"""Events of runs that never were."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from corenas.values.architecture import Architecture
from corenas.values.quantity import Quantity
from corenas.values.trial import Event, Measurement, Trial

HOSTILE = '<img src=x onerror="alert(1)">'
"""What acts where a page takes it as it is."""


class WriteRun(Protocol):
    """What the fixture `write_run` is."""

    def __call__(
        self,
        events: Iterable[Event],
        *,
        summary: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
    ) -> Path:
        """Write the folder of a run with these events."""


QUANTITIES = (
    Quantity("quality", "higher", "dB", "ten images"),
    Quantity("cost", "lower"),
)


def begun(stage: str = "search") -> Event:
    return Event("stage", message="started", stage=stage, quantities=QUANTITIES)


def measured(
    number: int,
    choices: dict[str, str],
    *,
    score: float,
    cost: float = 1.0,
    stage: str = "search",
    scalars: dict[str, float] | None = None,
) -> Event:
    trial = Trial(
        number,
        Architecture("space", tuple(choices.items())),
        Measurement({"quality": score, "cost": cost}),
        score,
    )
    return Event("trial", number, 0, scalars or {}, trial=trial, stage=stage)


def refused(number: int, reason: str, *, stage: str = "search") -> Event:
    trial = Trial(number, Architecture("space", {"op": "a"}), status="rejected", reason=reason)
    return Event("rejected", number, trial=trial, stage=stage)
