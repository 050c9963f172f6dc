"""An Optuna sampler that draws whole architectures, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture

MakeSampler = Callable[[int], BaseSampler]
"""Makes one of Optuna's samplers from a seed of 32 bits."""


def distributions_of(space: SearchSpace) -> dict[str, BaseDistribution]:
    """Return a categorical distribution for each decision."""
    return {each.name: CategoricalDistribution(each.options) for each in space.decisions}


class Steering(BaseSampler):
    """Has another sampler draw, a new one for each trial, and makes canonical what it drew.

    What is drawn thus depends on the study and the trial's seed alone, not on how long this process
    has lived: a sampler's own caches and random numbers end with the trial. The search space is
    known from the start, so no sampler has to find it out from the trials.
    """

    def __init__(self, make: MakeSampler, space: SearchSpace) -> None:
        self._make = make
        self._space = space
        self._options: Mapping[str, BaseDistribution] = {
            name: each for name, each in distributions_of(space).items() if not each.single()
        }
        self._first = {each.name: each.options[0] for each in space.decisions}
        self._sampler = make(0)
        self.drawn = Architecture(space.name, self._first)
        """What was drawn last."""

    def begin(self, seed: int) -> None:
        """Make the sampler of the next trial."""
        self._sampler = self._make(seed)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every decision with a choice."""
        return dict(self._options)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw all decisions; inactive ones have their canonical option."""
        drawn: dict[str, Any] = {}
        if search_space:
            drawn = self._sampler.sample_relative(study, trial, search_space)
        for name, each in search_space.items():
            if name not in drawn:
                drawn[name] = self._sampler.sample_independent(study, trial, name, each)
        choices = {name: drawn.get(name, first) for name, first in self._first.items()}
        self.drawn = self._space.canonical(Architecture(self._space.name, choices))
        return {name: self.drawn[name] for name in search_space}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one decision; `sample_relative` leaves none to it."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the sampler prepare."""
        self._sampler.before_trial(study, trial)
