"""What a sampler is told: candidates that were never measured, and how late a trial comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from corenas import Event
from corenas.search.lift import STALENESS, SampledSearch
from corenas.search.strategies.random import RandomSearch
from corenas.testing.contracts import reloaded
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


def search(slots: int) -> SampledSearch:
    return SampledSearch(
        surrogate_problem(40, seed=3, slots=slots), RandomSearch(SurrogateSpace(), 3)
    )


def told_between(events: Sequence[Event]) -> dict[int, int]:
    """Count, from the events alone, the finished trials between each one's ask and its end."""
    begun: dict[Any, int] = {}
    found, told = {}, 0
    for event in events:
        if event.kind == "started":
            begun[event.scalars["number"]] = told
        elif event.kind == "trial" and event.trial:
            found[event.trial.number] = told - begun[event.trial.number]
            told += 1
    return found


def said(events: Sequence[Event]) -> dict[int, float]:
    return {
        e.trial.number: e.scalars.get(STALENESS, 0) for e in events if e.kind == "trial" and e.trial
    }


@pytest.mark.parametrize("slots", [2, 5])
def test_staleness_is_the_number_of_trials_told_since_the_ask(slots: int) -> None:
    events = list(search(slots).events())
    assert said(events) == told_between(events)
    # Five workers on trials of about the same length: each comes back after about four others.
    assert abs(sum(said(events).values()) / 40 - (slots - 1)) < 0.5


def test_staleness_counts_across_a_restore() -> None:
    whole = list(search(4).events())
    for cut in range(5, len(whole), 7):
        first = search(4)
        events = first.events()
        for _ in range(cut):
            next(events)
        again = search(4)
        again.restore(reloaded(first.state()))
        assert list(again.events()) == whole[cut:]


def test_nothing_is_said_of_it_with_one_worker() -> None:
    assert all(STALENESS not in event.scalars for event in search(1).events())
