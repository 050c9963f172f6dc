"""The best trials so far: what searches, the live screen and ``corenas best`` mean by that."""

from __future__ import annotations

from bisect import insort

from corenas.values.trial import Trial


def _sort_key(trial: Trial) -> tuple[float, int]:
    return -(trial.score or 0.0), trial.number


def ranked(best: list[Trial], trial: Trial, *, most: int) -> list[Trial]:
    """Return the best trials with another one among them, best first, at most so many.

    Each architecture stands among them once, with its best trial; of equals the earlier one counts.
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
