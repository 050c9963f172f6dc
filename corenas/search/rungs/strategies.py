"""The strategies ``asha``, ``halving`` and ``hyperband``: a scheduler around a sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.protocols import Problem, Sampler, Search, Strategy
from corenas.search.lift import SampledSearch
from corenas.search.rungs._climb import Climb
from corenas.search.rungs.asha import Asha
from corenas.search.rungs.brackets import Brackets
from corenas.search.rungs.config import HalvingConfig, RungsConfig
from corenas.search.rungs.ladder import Bracket, Ladder, expected_cost, hyperband_brackets
from corenas.search.scheduling import Gradual, Sampling, Scheduler
from corenas.values.plan import StagePlan


def asha(config: RungsConfig) -> Strategy:
    """Build the strategy ``asha``."""
    return _InShares(config, lambda ladder, candidates: [Bracket(0, candidates)], _asha)


def halving(config: HalvingConfig) -> Strategy:
    """Build the strategy ``halving``."""
    size = config.candidates or config.eta ** (config.rungs - 1)
    return _InShares(config, lambda ladder, candidates: [Bracket(0, size)], Brackets)


def hyperband(config: RungsConfig) -> Strategy:
    """Build the strategy ``hyperband``."""
    return _InShares(config, lambda ladder, candidates: hyperband_brackets(ladder), Brackets)


def _asha(climb: Climb, brackets: Sequence[Bracket]) -> Scheduler:
    (bracket,) = brackets
    return Asha(climb, bracket.candidates)


def _ladder(config: RungsConfig) -> Ladder:
    return Ladder(config.eta, config.rungs)


@frozen
class _InShares:
    """A strategy with a scheduler of its own.

    ``brackets`` are made of the ladder and the number of candidates.
    """

    config: RungsConfig
    brackets: Callable[[Ladder, int], Sequence[Bracket]]
    schedule: Callable[[Climb, Sequence[Bracket]], Scheduler]

    def check(self, problem: Problem) -> None:
        """Refuse what cannot be trained in shares.

        Raises:
            ConfigError: The evaluator trains in full only, or the sampler is no sampler.
        """
        self._evaluator(problem)
        self.config.sampler.build().check(problem)
        self._sampling()

    def plan(self, problem: Problem) -> StagePlan | None:
        """Estimate the search as so many full trainings of one candidate."""
        one = problem.evaluator.plan(problem.device)
        if one is None:
            return None
        ladder, trials = _ladder(self.config), problem.budget.trials
        cost = expected_cost(
            ladder,
            self.brackets(ladder, trials),
            trials,
            continues=self._evaluator(problem).continues,
        )
        return evolve(
            one,
            steps=max(1, round(one.steps * cost.trainings)),
            workers=problem.workers,
            extra_seconds=one.extra_seconds * cost.trials / problem.workers,
        )

    def search(self, problem: Problem) -> Search:
        self._evaluator(problem)
        ladder = _ladder(self.config)
        brackets = self.brackets(ladder, problem.budget.trials)

        def schedule(sampler: Sampler) -> Scheduler:
            annealed, every = self.config.schedule == "annealed", self.config.tell == "every"
            return self.schedule(Climb(ladder, sampler, annealed, every), brackets)

        return SampledSearch(problem, self._sampling().sampler(problem), schedule)

    def _sampling(self) -> Sampling:
        strategy = self.config.sampler.build()
        if not isinstance(strategy, Sampling):
            raise ConfigError(
                f"sampler: {self.config.sampler.name!r} does not draw one candidate after the "
                "other; allowed are strategies such as 'random' and 'evolution'"
            )
        return strategy

    def _evaluator(self, problem: Problem) -> Gradual:
        if not isinstance(problem.evaluator, Gradual):
            raise ConfigError(
                "strategy: needs an evaluator that can train a candidate to a share of its "
                f"training; {type(problem.evaluator).__name__} only trains in full"
            )
        return problem.evaluator
