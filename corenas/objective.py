"""What makes one measurement better than another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from corenas.values.trial import Measurement


class Objective(Protocol):
    """Turns a measurement into a score; stateless, higher is better."""

    @property
    def needs(self) -> Sequence[str]:
        """Names of all metrics and costs that it reads, known before anything is measured."""

    def __call__(self, measurement: Measurement) -> float:
        """Return the score. A missing or non-finite one makes the trial a failed one.

        Raises:
            KeyError: The measurement lacks a metric that the objective needs.
        """
