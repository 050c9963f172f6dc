"""Successive halving in brackets, and Hyperband (Algorithm 1 of Li et al., arXiv:1603.06560)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from corenas.search.rungs._bracket import Climbing, Level
from corenas.search.rungs._climb import Climb
from corenas.search.rungs.ladder import Bracket
from corenas.values.fidelity import Proposal
from corenas.values.result import State
from corenas.values.trial import Trial


class Brackets:
    """A scheduler that lets brackets climb: a rung is promoted from when all of it has finished.

    Of n candidates that finished at a rung, the best n // eta go on, one at least. While a rung
    waits for trials in flight, idle workers begin the next bracket. A new candidate that fails is
    replaced, as in every search; one that fails after a promotion is not. When no new candidate
    comes any more, the last bracket goes on with those that it has.

    Note:
        Brackets that begin at one rung share its trials: the oldest gets what finishes first.

    Args:
        climb: The fidelities and the sampler.
        brackets: They are begun in turn, again and again.
    """

    def __init__(self, climb: Climb, brackets: Sequence[Bracket]) -> None:
        self._climb = climb
        self._brackets = tuple(brackets)
        self._taken = 0
        self._climbing: list[Climbing] = []

    def propose(self, *, new: bool) -> Proposal | None:
        """Promote in the oldest bracket that can; else begin a new candidate in the newest."""
        if not new and not any(climbing.running for climbing in self._climbing):
            # None is in flight that could fail and be replaced.
            for climbing in self._climbing:
                climbing.close()
        for climbing in self._climbing:
            found = climbing.promote()
            if found is not None:
                return self._climb.go_on(*found)
        self._climbing = [climbing for climbing in self._climbing if not climbing.done]
        return self._begin() if new else None

    def _begin(self) -> Proposal:
        climbing = next((each for each in self._climbing if each.wants_more), None)
        if climbing is None:
            bracket = self._brackets[self._taken % len(self._brackets)]
            climbing = Climbing(bracket, self._climb.ladder)
            self._taken += 1
            self._climbing.append(climbing)
        climbing.begun += 1
        return self._climb.begin(climbing.bracket.bottom)

    def tell(self, trial: Trial) -> None:
        """Add the trial to its rung, and tell the sampler."""
        _, level, first = self._find(trial)
        # A candidate that was measured before has competed already.
        if trial.repeats is None:
            level.rung.add(trial, first)
        else:
            level.rung.lost += 1
        self._climb.tell(trial)

    def drop(self, trial: Trial) -> None:
        """Forget the trial: a new candidate's place is free again, another's is lost."""
        self._climb.drop(trial)
        climbing, level, _ = self._find(trial)
        if trial.continues is None:
            climbing.begun -= 1
        else:
            level.rung.lost += 1

    def _find(self, trial: Trial) -> tuple[Climbing, Level, int]:
        """Return where a trial belongs, and the number of its candidate's first one."""
        for climbing in self._climbing:
            height = trial.rung - climbing.bracket.bottom
            if trial.continues is None and height == 0 and climbing.running:
                return climbing, climbing.levels[0], trial.number
            if trial.continues is not None and height > 0:
                first = climbing.levels[height - 1].rung.promoted.get(trial.continues)
                if first is not None:
                    return climbing, climbing.levels[height], first
        raise ValueError(f"trial {trial.number} was not proposed")

    def open(self) -> Collection[int]:
        """Return the trials that are, or may yet be, among the survivors of their level."""
        return [number for climbing in self._climbing for number in climbing.open()]

    def scalars(self) -> dict[str, float]:
        """Return the sampler's."""
        return self._climb.sampler.scalars()

    def state(self) -> State:
        """Return the brackets in progress, how many were begun, and the sampler's state."""
        return {
            "taken": self._taken,
            "climbing": [climbing.to_json() for climbing in self._climbing],
            "sampler": self._climb.sampler.state(),
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._taken = state["taken"]
        ladder = self._climb.ladder
        self._climbing = [Climbing.from_json(each, ladder) for each in state["climbing"]]
        self._climb.sampler.restore(state["sampler"])
