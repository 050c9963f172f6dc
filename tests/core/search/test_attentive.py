"""A sampler that wants to is told of the candidates that were never measured."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from corenas.search.lift import SampledSearch
from corenas.search.strategies.random import RandomSearch
from corenas.testing.surrogate import InlineExecutor, SurrogateSpace, surrogate_problem
from corenas.values.evaluation import Failure
from corenas.values.trial import Trial


class Attentive(RandomSearch):
    def __init__(self) -> None:
        super().__init__(SurrogateSpace(), 1)
        self.told: dict[int, str] = {}

    def tell(self, trial: Trial) -> None:
        self.told[trial.number] = trial.status

    def drop(self, trial: Trial) -> None:
        assert trial.score is None
        self.told[trial.number] = trial.status


class FailsOften(InlineExecutor):
    def next(self) -> Any:
        key, outcome = super().next()
        return key, Failure("error", "a test") if key % 3 == 0 else outcome


def test_every_candidate_is_told_once_with_how_it_ended() -> None:
    problem = evolve(surrogate_problem(9, seed=1, limit=5.5e9), executor=FailsOften(2))
    sampler = Attentive()
    trials = [e.trial for e in SampledSearch(problem, sampler).events() if e.trial]
    assert sampler.told == {trial.number: trial.status for trial in trials}
    assert set(sampler.told.values()) == {"finished", "failed", "rejected"}
