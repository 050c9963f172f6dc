"""How candidates rank after a share of their training, beside how they rank after more of it.

Only a candidate that was promoted has both scores, and those are the best of their rung: among all
candidates the ranks agree better than among these.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from corenas.values.fidelity import format_share
from corenas.values.ranking import kendall_tau
from corenas.values.trial import Trial


@frozen
class Agreement:
    """Kendall's tau-b between the scores at two fidelities, and the number of candidates with both.

    ``tau`` lies in [-1, 1]; it is None where it is undefined.
    """

    lower: float
    higher: float
    tau: float | None
    pairs: int

    def __str__(self) -> str:
        """Return a line for people."""
        value = "undefined" if self.tau is None else f"{self.tau:+.2f}"
        return (
            f"rank correlation (Kendall's tau) between {format_share(self.lower)} and "
            f"{format_share(self.higher)} of the training: {value} (n = {self.pairs})"
        )


def agreements(trials: Iterable[Trial]) -> list[Agreement]:
    """Return the agreement of each two rungs that candidates climbed between, the lowest first.

    Args:
        trials: Of one search, in any order.
    """
    known = {trial.number: trial for trial in trials if trial.score is not None}
    pairs: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for trial in known.values():
        before = None if trial.continues is None else known.get(trial.continues)
        if before is not None and before.score is not None and trial.score is not None:
            key = before.fidelity, trial.fidelity
            pairs.setdefault(key, []).append((before.score, trial.score))
    return [Agreement(*key, kendall_tau(found), len(found)) for key, found in sorted(pairs.items())]
