"""The best trials so far: what searches, the live screen and ``corenas best`` mean by that.

A trial that had more of its full training stands before all that had less, whatever they score: a
score after a ninth of the training says little beside one after all of it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from math import atanh, sqrt, tanh

from corenas.values.trial import Trial


def _sort_key(trial: Trial) -> tuple[float, float, int]:
    return -trial.fidelity, -(trial.score or 0.0), trial.number


def at_highest_fidelity(trials: Iterable[Trial]) -> list[Trial]:
    """Return the measured trials that can be compared with the best: of the highest fidelity."""
    found = [trial for trial in trials if trial.measurement is not None]
    highest = max((trial.fidelity for trial in found), default=1.0)
    return [trial for trial in found if trial.fidelity == highest]


def ranked(best: list[Trial], trial: Trial, *, most: int) -> list[Trial]:
    """Return the best trials with another one among them, best first, at most so many.

    The highest fidelity comes first, and within it the highest score. Each architecture stands
    among them once, with its best trial; of equals the earlier one counts.
    The list that is given is not changed.

    Args:
        best: What this function returned before, or nothing.
        trial: Has a score.
        most: How many are kept.
    """
    # Most trials of a long search are none of its best: comparing architectures would cost more
    # than all else that happens to a trial between two jobs.
    if len(best) >= most and _sort_key(trial) > _sort_key(best[-1]):
        return best
    result = list(best)
    insort(result, trial, key=_sort_key)
    # Sorted already, so the first of them is the best. Evolution, say, measures one architecture
    # again and again, and the list would fill with it.
    same = [known for known in result if known.architecture == trial.architecture]
    for worse in same[1:]:
        result.remove(worse)
    return result[:most]


def kendall_tau(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Kendall's tau-b of value pairs; None where one side has no two different values.

    It is how well two rankings agree, in [-1, 1] (Kendall, Biometrika 33, 1945).
    """
    import numpy as np  # most commands rank nothing, and start faster without it

    first, second = np.array(pairs, dtype=float).reshape(-1, 2).T
    agreeing = of_first = of_second = 0
    # A row of the comparisons at a time: all of them at once would fill the memory.
    for at in range(len(pairs)):
        a, b = np.sign(first[at + 1 :] - first[at]), np.sign(second[at + 1 :] - second[at])
        agreeing += int(a @ b)
        of_first += int(np.count_nonzero(a))
        of_second += int(np.count_nonzero(b))
    return agreeing / sqrt(of_first * of_second) if of_first and of_second else None


def tau_interval(tau: float, count: int) -> tuple[float, float] | None:
    """Return the 95 % interval of Kendall's tau; None where it is not known.

    Fieller, Hartley and Pearson (Biometrika 44, 1957): the inverse hyperbolic tangent of tau is
    nearly normal, with variance 0.437 / (n - 4). It is rough for fewer than ten pairs.

    Args:
        tau: Within [-1, 1].
        count: The number of pairs.
    """
    if count <= 4 or abs(tau) >= 1:
        return None
    half = 1.96 * sqrt(0.437 / (count - 4))
    return tanh(atanh(tau) - half), tanh(atanh(tau) + half)
