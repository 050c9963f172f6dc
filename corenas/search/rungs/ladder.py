"""Which fidelities there are, which brackets climb them, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from attrs import frozen


@frozen
class Ladder:
    """The fidelities of a search, each ``eta`` times the one below; the last one is 1.

    Args:
        eta: At least 2.
        rungs: How many there are.
    """

    eta: int
    rungs: int

    @property
    def top(self) -> int:
        """The number of the last rung, that of the full training."""
        return self.rungs - 1

    def fidelity(self, rung: int) -> float:
        """Return the share of the full training that a candidate has had at a rung's end."""
        return float(self.eta) ** (rung - self.top)


@frozen
class Bracket:
    """So many new candidates, which begin at a rung."""

    bottom: int
    candidates: int


def hyperband_brackets(ladder: Ladder) -> tuple[Bracket, ...]:
    """Return the brackets of Hyperband, from the most exploring one to full trainings.

    Their sizes are those of Table 1 of Li et al., arXiv:1603.06560: floor((s_max + 1) / (s + 1)) *
    eta ** s new candidates that climb s rungs. They divide by eta without a rest.

    Note:
        Algorithm 1 of the paper has ceil((s_max + 1) / (s + 1) * eta ** s), which for R = 81 and
        eta = 3 gives 81, 34, 15, 8 and 5, and not the 81, 27, 9, 6 and 5 of its Table 1.
    """
    return tuple(
        Bracket(ladder.top - climbs, ladder.rungs // (climbs + 1) * ladder.eta**climbs)
        for climbs in reversed(range(ladder.rungs))
    )


@frozen
class Cost:
    """What a search is expected to cost.

    ``trainings`` are full trainings that would take as long, ``trials`` how often one is measured.
    """

    trainings: float
    trials: int


def expected_cost(
    ladder: Ladder, brackets: Sequence[Bracket], candidates: int, *, continues: bool
) -> Cost:
    """Return the cost of so many new candidates, where none fails.

    Args:
        ladder: The fidelities.
        brackets: They are begun in turn until the candidates are used up.
        candidates: How many new ones there are.
        continues: Whether a candidate that climbs goes on, or is trained anew.
    """
    trainings, trials = 0.0, 0
    for bracket in cycle(brackets):
        begun = min(bracket.candidates, candidates)
        candidates -= begun
        had = 0.0
        for rung in range(bracket.bottom, ladder.rungs):
            fidelity = ladder.fidelity(rung)
            trainings += begun * (fidelity - had if continues else fidelity)
            trials += begun
            begun, had = begun and max(1, begun // ladder.eta), fidelity
        if not candidates:
            break
    return Cost(trainings, trials)
