"""Asynchronous successive halving (Algorithm 2 of Li et al., arXiv:1810.05934)."""

from __future__ import annotations

from collections.abc import Collection

from corenas.search.rungs._climb import Climb
from corenas.search.rungs._rung import Entry, Rung
from corenas.values.fidelity import Proposal
from corenas.values.result import State
from corenas.values.trial import Trial


class Asha:
    """A scheduler that promotes a candidate as soon as it is among the best of its rung.

    It looks for one from the top rung down: among the best ``finished // eta`` of a rung, the best
    that is not promoted yet. Where there is none, a new candidate begins in the lowest rung. Failed
    trials are not among those that finished; one that failed after a promotion is not tried again.

    Note:
        The paper's search has no end. Here, when all candidates have finished and none has been
        trained in full, the best of the highest rung is promoted until one has.

    Args:
        climb: The fidelities and the sampler.
        candidates: How many new candidates there will be.
    """

    def __init__(self, climb: Climb, candidates: int) -> None:
        self._climb = climb
        self._eta = climb.ladder.eta
        self._candidates = candidates
        # No rung has more results than there are candidates.
        self._rungs = [Rung(max(1, candidates // self._eta)) for _ in range(climb.ladder.rungs)]

    def propose(self, *, new: bool) -> Proposal | None:
        """Promote the best that may be; else begin a new candidate."""
        for rung in reversed(range(self._climb.ladder.top)):
            best = self._rungs[rung].finished // self._eta
            for entry in self._rungs[rung].waiting(best):
                return self._promote(entry, rung)
        if new:
            self._rungs[0].running += 1
            return self._climb.begin(0)
        return self._finish_one()

    def _finish_one(self) -> Proposal | None:
        """Promote the best of all at the end, where none has been trained in full."""
        if self._rungs[-1].finished or any(rung.running for rung in self._rungs):
            return None
        for rung in reversed(range(self._climb.ladder.top)):
            for entry in self._rungs[rung].waiting(self._rungs[rung].most):
                return self._promote(entry, rung)
        return None

    def _promote(self, entry: Entry, rung: int) -> Proposal:
        self._rungs[rung].promote(entry)
        self._rungs[rung + 1].running += 1
        return self._climb.go_on(entry, rung + 1)

    def tell(self, trial: Trial) -> None:
        """Add the trial to its rung, and tell the sampler."""
        rung = self._rungs[trial.rung]
        rung.running -= 1
        # A candidate that was measured before stands in a rung already.
        if trial.repeats is None:
            rung.add(trial, self._first_of(trial))
        else:
            rung.lost += 1
        self._climb.tell(trial)

    def _first_of(self, trial: Trial) -> int:
        if trial.continues is None:
            return trial.number
        return self._rungs[trial.rung - 1].promoted[trial.continues]

    def drop(self, trial: Trial) -> None:
        """Forget the trial; a new candidate will be replaced."""
        self._climb.drop(trial)
        self._rungs[trial.rung].running -= 1
        self._rungs[trial.rung].lost += trial.continues is not None

    def open(self) -> Collection[int]:
        """Return the trials whose rank still allows a promotion.

        A rung will never have more results than the one below has promoted, or may yet promote.
        """
        found: list[int] = []
        most = self._candidates
        # The best may have to be the one that is trained in full at the end.
        least = 0 if self._rungs[-1].finished else 1
        for rung in self._rungs[:-1]:
            results = most - rung.lost
            waiting = rung.waiting(max(least, results // self._eta))
            found += [entry.number for entry in waiting]
            most = len(rung.promoted) + len(waiting) + results - rung.finished
        return found

    def scalars(self) -> dict[str, float]:
        """Return the sampler's."""
        return self._climb.sampler.scalars()

    def state(self) -> State:
        """Return the rungs and the sampler's state."""
        rungs = [rung.to_json() for rung in self._rungs]
        return {"rungs": rungs, "sampler": self._climb.sampler.state()}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._rungs = [Rung.from_json(rung) for rung in state["rungs"]]
        self._climb.sampler.restore(state["sampler"])
