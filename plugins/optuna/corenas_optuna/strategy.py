"""The strategies: Optuna's samplers, lifted like any other sampler."""

from __future__ import annotations

import warnings

from attrs import frozen
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, TPESampler

from corenas.protocols import Problem, Sampler, Search, Strategy
from corenas.search.lift import sampled
from corenas.values.plan import StagePlan
from corenas_optuna._aims import choose_aims
from corenas_optuna._steering import MakeSampler
from corenas_optuna.config import AimsConfig, GeneticConfig, GpConfig, ReferenceConfig, TpeConfig
from corenas_optuna.sampler import OptunaSampler


@frozen
class OptunaStrategy:
    """A search by one of Optuna's samplers.

    Args:
        config: Its aims.
        make: Makes Optuna's sampler.
    """

    config: AimsConfig
    make: MakeSampler

    def check(self, problem: Problem) -> None:
        """Refuse quantities that are not measured.

        Raises:
            ConfigError: An aim or a limit is none of the evaluator's quantities.
        """
        choose_aims(self.config, problem.evaluator.measures)
        self._lifted(problem).check(problem)

    def plan(self, problem: Problem) -> StagePlan | None:
        """Estimate the search as that of any sampler."""
        return self._lifted(problem).plan(problem)

    def sampler(self, problem: Problem) -> Sampler:
        """Return a new sampler for the problem.

        Raises:
            ConfigError: An aim or a limit is none of the evaluator's quantities.
        """
        aims = choose_aims(self.config, problem.evaluator.measures)
        return OptunaSampler(self.make, aims, problem.space, problem.seed)

    def search(self, problem: Problem) -> Search:
        """Return the search."""
        return self._lifted(problem).search(problem)

    def _lifted(self, problem: Problem) -> Strategy:
        return sampled(lambda space, seed: self.sampler(problem))


def tpe(config: TpeConfig) -> Strategy:
    """Build the strategy ``tpe``."""

    def make(seed: int) -> BaseSampler:
        return TPESampler(
            n_startup_trials=config.startup,
            n_ei_candidates=config.draws,
            multivariate=config.joint,
            constant_liar=True,
            seed=seed,
        )

    return OptunaStrategy(config, make)


def gp(config: GpConfig) -> Strategy:
    """Build the strategy ``gp``."""

    def make(seed: int) -> BaseSampler:
        return GPSampler(n_startup_trials=config.startup, seed=seed)

    return OptunaStrategy(config, make)


def nsga2(config: GeneticConfig) -> Strategy:
    """Build the strategy ``nsga2``."""

    def make(seed: int) -> BaseSampler:
        return NSGAIISampler(
            population_size=config.population,
            mutation_prob=config.mutation,
            crossover_prob=config.crossover,
            swapping_prob=config.swap,
            seed=seed,
        )

    return OptunaStrategy(config, make)


def nsga3(config: ReferenceConfig) -> Strategy:
    """Build the strategy ``nsga3``."""

    def make(seed: int) -> BaseSampler:
        # What may change in Optuna is the plugin's to follow, not the user's to read about.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return NSGAIIISampler(
                population_size=config.population,
                mutation_prob=config.mutation,
                crossover_prob=config.crossover,
                swapping_prob=config.swap,
                dividing_parameter=config.divisions,
                seed=seed,
            )

    return OptunaStrategy(config, make)
