"""The trials that are the best compromises between several quantities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from corenas.values.quantity import Quantity
from corenas.values.ranking import at_highest_fidelity
from corenas.values.trial import Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 256
"""How many trials are compared with a front at once; more need more memory and no less time."""

_Point = tuple[float, ...]
"""The numbers of a trial, turned so that lower is better."""


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
    import numpy as np  # not before it is needed: the command line starts faster without it

    points = ((trial, _point(trial, directions)) for trial in trials)
    usable = {trial.number: (trial, point) for trial, point in points if _is_finite(point)}
    # By number, because of equal trials the first one stays, and events come in any order.
    numbers = sorted(trial.number for trial in at_highest_fidelity(t for t, _ in usable.values()))
    if not numbers:
        return []
    array = np.array([usable[number][1] for number in numbers]).reshape(len(numbers), -1)
    return [usable[numbers[row]][0] for row in _best_rows(array)]


def _best_rows(points: NDArray[np.float64]) -> Sequence[int]:
    """Return the rows that no other row is as low as in everything, sorted by their numbers.

    Args:
        points: Shape (rows, numbers).
    """
    import numpy as np

    # Sorted from the first number on, a row can only be beaten by one before it.
    order = np.lexsort(points.T[::-1]) if points.shape[1] else np.arange(1)
    best = order[:0]
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        block = block[~_as_low(points[best], points[block]).any(0)]
        block = block[~np.triu(_as_low(points[block], points[block]), 1).any(0)]
        best = np.concatenate([best, block])
    rows: list[int] = best.tolist()
    return rows


def _as_low(ones: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the ones (rows) are as low as which of the others (columns) in everything."""
    import numpy as np

    # Number by number: one array of all comparisons would be larger than the caches.
    found = np.ones((len(ones), len(others)), bool)
    for column in range(ones.shape[1]):
        found &= ones[:, None, column] <= others[None, :, column]
    return found


class Front:
    """A Pareto front that trials are added to, one after the other.

    Only trials of one fidelity are compared, the highest among them: the first of a higher one
    begins the front anew.

    Args:
        directions: By name, 1 where higher is better and -1 where lower is.
    """

    def __init__(self, directions: Mapping[str, int]) -> None:
        import numpy as np

        self._directions = dict(directions)
        self._points = np.empty((0, len(directions)))
        self._members: list[Trial] = []
        self._fidelity = 0.0

    @property
    def trials(self) -> list[Trial]:
        """The trials on the front, from the best to the worst in the first number."""
        order = sorted(range(len(self._members)), key=lambda row: tuple(self._points[row]))
        return [self._members[row] for row in order]

    def add(self, trial: Trial) -> None:
        """Take a trial in, unless one that was added before equals or beats it in everything.

        A trial that lacks one of the numbers, or has one that is not finite, is left out.
        """
        point = _point(trial, self._directions)
        if trial.fidelity < self._fidelity or not _is_finite(point):
            return
        if trial.fidelity > self._fidelity:
            self._fidelity, self._members, self._points = trial.fidelity, [], self._points[:0]
        if (self._points <= point).all(1).any():
            return
        import numpy as np

        stays = np.flatnonzero(~(self._points >= point).all(1))
        self._members = [self._members[row] for row in stays] + [trial]
        self._points = np.vstack([self._points[stays], point])


def _point(trial: Trial, directions: Mapping[str, int]) -> _Point:
    metrics = trial.measurement.metrics if trial.measurement else {}
    return tuple(-sign * metrics.get(name, math.nan) for name, sign in directions.items())


def _is_finite(point: _Point) -> bool:
    return all(map(math.isfinite, point))
