"""The strategy, by ask and tell: CoreNAS adds workers, resume, limits and the screen."""

from __future__ import annotations

import random
from collections.abc import Mapping

from corenas import Architecture, SearchSpace, State, Strategy, Trial, sampled

from plugin_name.config import Options


class LocalSearch:
    """Draws candidates at random at first, then changes a few decisions of the best one."""

    def __init__(self, space: SearchSpace, seed: int, config: Options) -> None:
        self._space = space
        self._config = config
        # A generator of its own: a seed must repeat the search whatever else draws numbers.
        self._random = random.Random(seed)
        self._asked = 0
        self._best: Trial | None = None

    def ask(self) -> Architecture:
        """Return the next candidate."""
        self._asked += 1
        decisions = list(self._space.decisions)
        choices: dict[str, str] = {}
        if self._best is not None and self._asked > self._config.first:
            choices = dict(self._best.architecture.choices)
            count = min(self._config.changes, len(decisions))
            decisions = self._random.sample(decisions, count)
        choices |= {each.name: self._random.choice(each.options) for each in decisions}
        return self._space.canonical(Architecture(self._space.name, choices))

    def tell(self, trial: Trial) -> None:
        """Learn from a trial, whose score is higher for a better one."""
        if self._best is None or (trial.score or 0.0) > (self._best.score or 0.0):
            self._best = trial

    def scalars(self) -> Mapping[str, float]:
        """Return numbers to show and to plot while the search runs."""
        return {}

    def state(self) -> State:
        """Return all that the next `ask` depends on, as plain data."""
        best = self._best and self._best.to_json()
        return {"random": self._random.getstate(), "asked": self._asked, "best": best}

    def restore(self, state: State) -> None:
        """Go on from what `state` returned."""
        self._random.setstate(state["random"])
        self._asked = state["asked"]
        self._best = state["best"] and Trial.from_json(state["best"])


def build(config: Options) -> Strategy:
    """Return the strategy."""
    return sampled(lambda space, seed: LocalSearch(space, seed, config))
