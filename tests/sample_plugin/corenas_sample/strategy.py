"""Hill climbing by ask and tell."""

from __future__ import annotations

import numpy as np
from corenas import Architecture, SearchSpace, State, Strategy, Trial, sampled

from corenas_sample.config import ClimbConfig


class Climber:
    """A sampler: draws some decisions of the best architecture anew, at first all of them."""

    def __init__(self, config: ClimbConfig, space: SearchSpace, seed: int) -> None:
        self._changes = config.changes
        self._space = space
        self._generator = np.random.default_rng(seed)
        self._best: Trial | None = None

    def ask(self) -> Architecture:
        choices = {} if self._best is None else dict(self._best.architecture.choices)
        decisions = list(self._space.decisions)
        if choices:
            drawn = self._generator.integers(len(decisions), size=self._changes)
            decisions = [decisions[index] for index in drawn]
        for decision in decisions:
            choices[decision.name] = str(self._generator.choice(decision.options))
        return self._space.canonical(Architecture(self._space.name, choices))

    def tell(self, trial: Trial) -> None:
        if self._best is None or (trial.score or 0.0) > (self._best.score or 0.0):
            self._best = trial

    def scalars(self) -> dict[str, float]:
        return {}

    def state(self) -> State:
        best = None if self._best is None else self._best.to_json()
        return {"generator": self._generator.bit_generator.state, "best": best}

    def restore(self, state: State) -> None:
        self._generator.bit_generator.state = state["generator"]
        self._best = None if state["best"] is None else Trial.from_json(state["best"])


def climb(config: ClimbConfig) -> Strategy:
    return sampled(lambda space, seed: Climber(config, space, seed))
