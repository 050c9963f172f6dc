"""The trials that are the best compromises between several quantities."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from operator import itemgetter

from corenas.values.quantity import Quantity
from corenas.values.trial import Trial

_Point = tuple[float, ...]
"""The numbers of a trial, turned so that lower is better."""

_BY_POINT = itemgetter(0)


def directions(quantities: Iterable[Quantity]) -> dict[str, int]:
    """Return the good direction of each quantity that has one, by name and in their order."""
    return {quantity.name: quantity.sign for quantity in quantities if quantity.sign}


def front(trials: Iterable[Trial], directions: Mapping[str, int]) -> list[Trial]:
    """Return the Pareto front: the trials that no other one equals or beats in everything.

    Args:
        trials: Those that lack one of the numbers, or have one that is not finite, are left out; so
            are those of a lower fidelity than the highest among them.
        directions: By name, 1 where higher is better and -1 where lower is.

    Returns:
        Trials from the best to the worst in the first number; of equal ones the earliest.
    """
    found = Front(directions)
    # By number, because of equal trials the first added stays, and events come in any order.
    for trial in sorted(trials, key=lambda each: each.number):
        found.add(trial)
    return found.trials


class Front:
    """A Pareto front that trials are added to, one after the other.

    Only trials of one fidelity are compared, the highest among them: the first of a higher one
    begins the front anew.

    Args:
        directions: By name, 1 where higher is better and -1 where lower is.
    """

    def __init__(self, directions: Mapping[str, int]) -> None:
        self._directions = tuple(directions.items())
        self._members: list[tuple[_Point, Trial]] = []
        self._fidelity = 0.0

    @property
    def trials(self) -> list[Trial]:
        """The trials on the front, from the best to the worst in the first number."""
        return [trial for _, trial in self._members]

    def add(self, trial: Trial) -> None:
        """Take a trial in, unless one that was added before equals or beats it in everything.

        A trial that lacks one of the numbers, or has one that is not finite, is left out.
        """
        point = self._point(trial)
        if trial.fidelity < self._fidelity or not all(map(math.isfinite, point)):
            return
        if trial.fidelity > self._fidelity:
            self._fidelity, self._members = trial.fidelity, []
        if self._is_beaten(point):
            return
        self._members = [each for each in self._members if not _as_good(point, each[0])]
        insort(self._members, (point, trial), key=_BY_POINT)

    def _point(self, trial: Trial) -> _Point:
        metrics = trial.measurement.metrics if trial.measurement else {}
        return tuple(-sign * metrics.get(name, math.nan) for name, sign in self._directions)

    def _is_beaten(self, point: _Point) -> bool:
        # Members are sorted by their points: what comes later is worse in the first number.
        better = bisect_right(self._members, point, key=_BY_POINT)
        # Of two numbers the second falls along the front, so the nearest member decides.
        first = better - 1 if len(point) == 2 else 0
        return any(_as_good(known, point) for known, _ in self._members[max(first, 0) : better])


def _as_good(one: _Point, other: _Point) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))
