"""Candidates that were measured before, and what was measured, in little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from attrs import evolve, frozen

from corenas.values.architecture import Architecture
from corenas.values.trial import Measurement, Trial


@frozen
class _Found:
    number: int
    measurement: Measurement | None
    score: float | None


class Known:
    """The first trial of each architecture at each fidelity.

    An architecture is held as a digest: its choices would take ten times the memory.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[bytes, float], _Found] = {}

    def add(self, trial: Trial) -> None:
        """Take in a finished trial; a later one of the same candidate changes nothing."""
        found = _Found(trial.number, trial.measurement, trial.score)
        self._found.setdefault(_key(trial), found)

    def add_all(self, trials: Iterable[Trial]) -> None:
        """Take in finished trials, the earliest first."""
        for trial in trials:
            self.add(trial)

    def repeat(self, trial: Trial) -> Trial | None:
        """Return a trial as a repetition of what is known, which took no time; None if nothing is.

        Args:
            trial: Names the candidate and the fidelity.
        """
        found = self._found.get(_key(trial))
        if found is None:
            return None
        measurement = found.measurement and evolve(found.measurement, seconds=0.0)
        return evolve(trial, measurement=measurement, score=found.score, repeats=found.number)


def _key(trial: Trial) -> tuple[bytes, float]:
    return _digest(trial.architecture), trial.fidelity


def _digest(architecture: Architecture) -> bytes:
    # Sixteen bytes: two of a billion candidates have the same with a probability below 1e-20.
    text = repr((architecture.space, architecture.choices)).encode()
    return hashlib.blake2b(text, digest_size=16).digest()
