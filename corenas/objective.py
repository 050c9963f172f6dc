"""What makes one measurement better than another."""

from __future__ import annotations

from typing import Protocol

from corenas.trial import Measurement


class Objective(Protocol):
    """Turns a measurement into a score; stateless, higher is better."""

    def __call__(self, measurement: Measurement) -> float:
        """Return the score. A missing or non-finite one makes the trial a failed one.

        Raises:
            KeyError: The measurement lacks a metric that the objective needs.
        """
