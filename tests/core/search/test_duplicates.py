"""Candidates that were measured before, and have the same numbers again where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from attrs import evolve

from corenas.protocols import Job, Sampler
from corenas.search.lift import InFull, SampledSearch
from corenas.search.rungs._climb import Climb
from corenas.search.rungs.asha import Asha
from corenas.search.rungs.brackets import Brackets
from corenas.search.rungs.ladder import Bracket, Ladder, hyperband_brackets
from corenas.search.scheduling import Scheduler
from corenas.search.strategies.random import RandomSearch
from corenas.testing.contracts import reloaded
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace, surrogate_problem
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Rejected
from corenas.values.fidelity import Share
from corenas.values.result import State
from corenas.values.trial import Event, Trial

LADDER = Ladder(3, 3)
SCHEDULES: Mapping[str, Callable[[Sampler], Scheduler]] = {
    "asha": lambda sampler: Asha(Climb(LADDER, sampler), 20),
    "halving": lambda sampler: Brackets(Climb(LADDER, sampler), [Bracket(0, 9)]),
    "hyperband": lambda sampler: Brackets(Climb(LADDER, sampler), hyperband_brackets(LADDER)),
}


class Few:
    """A sampler that draws from a few architectures, and keeps what it was told."""

    def __init__(self, count: int) -> None:
        draw = RandomSearch(SurrogateSpace(), 3)
        self.items = [draw.ask() for _ in range(count)]
        self.asked = 0
        self.told: list[Trial] = []

    def ask(self) -> Architecture:
        self.asked += 1
        return self.items[self.asked * 7 % len(self.items)]

    def tell(self, trial: Trial) -> None:
        self.told.append(trial)

    def scalars(self) -> dict[str, float]:
        return {}

    def state(self) -> State:
        return {"asked": self.asked}

    def restore(self, state: State) -> None:
        self.asked = state["asked"]


class Counting(SurrogateEvaluator):
    """Counts the jobs that it prepares."""

    jobs = 0

    def prepare_share(
        self, architecture: Architecture, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        self.jobs += 1
        return super().prepare_share(architecture, share, number=number, seed=seed)


class Searched:
    """A search of 20 candidates, with its evaluator and sampler."""

    def __init__(
        self,
        count: int,
        *,
        remember: bool = True,
        slots: int = 1,
        schedule: Callable[[Sampler], Scheduler] = InFull,
        past: Sequence[Event] = (),
    ) -> None:
        self.evaluator, self.sampler = Counting(limit=1e12), Few(count)
        problem = surrogate_problem(20, seed=7, slots=slots)
        trials = [event.trial for event in past if event.kind == "trial" and event.trial]
        problem = evolve(problem, evaluator=self.evaluator, remember=remember, past=lambda: trials)
        self.task = SampledSearch(problem, self.sampler, schedule)

    def trials(self) -> list[Trial]:
        return [e.trial for e in self.task.events() if e.kind == "trial" and e.trial]


def test_candidate_seen_before_has_its_measurement_at_once_where_that_is_wanted() -> None:
    one = Searched(5)
    events = list(one.task.events())
    trials = [event.trial for event in events if event.kind == "trial" and event.trial]
    assert one.evaluator.jobs == 5
    assert len(trials) == 20
    assert one.task.result(Path()).values["counts"]["repeated"] == 15
    known = {trial.number: trial for trial in trials if trial.repeats is None}
    for trial in trials:
        if trial.repeats is not None:
            assert trial.architecture == known[trial.repeats].architecture
            assert trial.score == known[trial.repeats].score
    # No worker begins such a trial; the sampler is told of it all the same.
    assert sum(event.kind == "started" for event in events) == 5
    assert [trial.number for trial in one.sampler.told] == list(range(20))


def test_every_candidate_is_trained_where_nothing_else_is_asked_for() -> None:
    one = Searched(5, remember=False)
    assert {trial.repeats for trial in one.trials()} == {None}
    assert one.evaluator.jobs == 20
    assert "repeated" not in one.task.result(Path()).values["counts"]


@pytest.mark.parametrize("slots", [1, 3])
def test_remembered_candidates_are_found_again_after_a_restore(slots: int) -> None:
    whole = list(Searched(6, slots=slots).task.events())
    for cut in range(1, len(whole)):
        task = Searched(6, slots=slots).task
        events = task.events()
        for _ in range(cut):
            next(events)
        again = Searched(6, slots=slots, past=whole[:cut])
        again.task.restore(reloaded(task.state()))
        assert list(again.task.events()) == whole[cut:]


@pytest.mark.parametrize("kind", SCHEDULES)
def test_candidate_seen_before_does_not_climb_twice(kind: str) -> None:
    one = Searched(8, schedule=SCHEDULES[kind])
    trials = one.trials()
    at = [(trial.architecture, trial.fidelity) for trial in trials if trial.repeats is None]
    assert len(set(at)) == len(at) == one.evaluator.jobs
    assert sum(trial.continues is None for trial in trials) == 20
    assert any(trial.fidelity == 1 for trial in trials)


def test_plain_search_can_be_continued_from_the_state_of_an_earlier_version() -> None:
    whole = list(Searched(20, remember=False, slots=2).task.events())
    task = Searched(20, remember=False, slots=2).task
    events = task.events()
    for _ in range(7):
        next(events)
    state = reloaded(task.state())
    del state["told_before"]
    for name in ("promoted", "repeated", "stalest"):
        del state["counters"][name]
    assert state["in_flight"]
    assert all(set(each) == {"schema", "space", "choices"} for each in state["in_flight"].values())
    again = Searched(20, remember=False, slots=2).task
    again.restore(state)
    # Such a state does not tell when its trials in flight were asked for.
    found = [evolve(event, scalars={}) for event in again.events()]
    assert found == [evolve(event, scalars={}) for event in whole[7:]]
