"""Random search: the baseline that every strategy has to beat."""

from __future__ import annotations

import numpy as np

from corenas.plugins.hookspecs import NoOptions
from corenas.protocols import SearchSpace, Strategy
from corenas.search.lift import sampled
from corenas.values.architecture import Architecture
from corenas.values.result import State
from corenas.values.trial import Trial


def random_architecture(space: SearchSpace, generator: np.random.Generator) -> Architecture:
    """Draw every decision uniformly; return the canonical form."""
    choices = {d.name: d.options[generator.integers(len(d.options))] for d in space.decisions}
    return space.canonical(Architecture(space.name, choices))


class RandomSearch:
    """A sampler that draws uniformly and learns nothing."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._generator = np.random.default_rng(seed)

    def ask(self) -> Architecture:
        """Draw an architecture."""
        return random_architecture(self._space, self._generator)

    def tell(self, trial: Trial) -> None:
        """Ignore the trial."""

    def scalars(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def state(self) -> State:
        """Return the random state."""
        return {"generator": self._generator.bit_generator.state}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._generator.bit_generator.state = state["generator"]


def random(config: NoOptions) -> Strategy:
    """Build the strategy ``random``."""
    return sampled(RandomSearch)
