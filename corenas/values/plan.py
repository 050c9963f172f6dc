"""What a dry run tells of each stage before anything is trained."""

from __future__ import annotations

from attrs import frozen


@frozen
class StagePlan:
    """The estimate for one stage.

    ``steps`` optimiser steps of ``seconds_per_step`` as timed on this device, ``workers`` at once;
    ``extra_seconds`` covers evaluation; ``memory`` is the peak in bytes of one worker.
    """

    stage: str
    steps: int
    seconds_per_step: float
    workers: int = 1
    extra_seconds: float = 0.0
    memory: int = 0
    note: str = ""

    @property
    def hours(self) -> float:
        """Estimated wall time."""
        return (self.steps * self.seconds_per_step / self.workers + self.extra_seconds) / 3600
