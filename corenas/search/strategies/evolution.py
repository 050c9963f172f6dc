"""Regularised evolution (Algorithm 1 of Real et al., arXiv:1802.01548)."""

from __future__ import annotations

from collections import deque

import numpy as np
from attrs import frozen

from corenas.protocols import SearchSpace, Strategy
from corenas.search.lift import sampled
from corenas.search.strategies.config import EvolutionConfig
from corenas.search.strategies.random import random_architecture
from corenas.values.architecture import Architecture
from corenas.values.result import State
from corenas.values.trial import Trial


@frozen
class Individual:
    """A member of the population; ``score`` is higher for a better one."""

    architecture: Architecture
    score: float


class Evolution:
    """A sampler that mutates the winner of a tournament, and lets the oldest member die.

    Note:
        Members enter in the order in which they are told, so with several workers the first
        random architectures may be a few more than the population holds.
    """

    def __init__(self, config: EvolutionConfig, space: SearchSpace, seed: int) -> None:
        self._config = config
        self._space = space
        self._generator = np.random.default_rng(seed)
        self._population: deque[Individual] = deque(maxlen=config.population)
        self._waiting = [space.canonical(a) for a in space.known.values()] if config.known else []

    def ask(self) -> Architecture:
        """Draw at random until the population is full, from then on mutate a parent.

        With ``known``, the networks that the space knows come first.
        """
        if self._waiting:
            return self._waiting.pop(0)
        if len(self._population) < self._config.population:
            return random_architecture(self._space, self._generator)
        draws = self._generator.integers(len(self._population), size=self._config.tournament)
        parent = max((self._population[i] for i in draws), key=lambda member: member.score)
        return mutate(self._space, parent.architecture, self._generator)

    def tell(self, trial: Trial) -> None:
        """Add the trial's architecture to the population; the oldest makes room for it.

        Raises:
            ValueError: The trial has no score.
        """
        if trial.score is None:
            raise ValueError(f"trial {trial.number} is {trial.status} and has no score")
        self._population.append(Individual(trial.architecture, trial.score))

    def scalars(self) -> dict[str, float]:
        """Return the mean and the best score of the population."""
        scores = [member.score for member in self._population]
        if not scores:
            return {}
        return {"population_mean": float(np.mean(scores)), "population_best": max(scores)}

    def state(self) -> State:
        """Return what waits, the population, the oldest first, and the random state."""
        return {
            "generator": self._generator.bit_generator.state,
            "waiting": [architecture.to_json() for architecture in self._waiting],
            "population": [
                {"architecture": member.architecture.to_json(), "score": member.score}
                for member in self._population
            ],
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._generator.bit_generator.state = state["generator"]
        self._waiting = [Architecture.from_json(value) for value in state["waiting"]]
        self._population.clear()
        self._population.extend(
            Individual(Architecture.from_json(member["architecture"]), member["score"])
            for member in state["population"]
        )


def mutate(
    space: SearchSpace, parent: Architecture, generator: np.random.Generator
) -> Architecture:
    """Give one active decision, drawn uniformly, another of its options, drawn uniformly.

    Where no active decision has a second option, the parent itself is returned.
    """
    free = [d for d in space.active(parent) if len(d.options) > 1]
    if not free:
        return parent
    decision = free[generator.integers(len(free))]
    others = [option for option in decision.options if option != parent[decision.name]]
    option = others[generator.integers(len(others))]
    return space.canonical(
        Architecture(parent.space, {**dict(parent.choices), decision.name: option})
    )


def evolution(config: EvolutionConfig) -> Strategy:
    """Build the strategy ``evolution``."""
    return sampled(lambda space, seed: Evolution(config, space, seed))
