"""Searches in shares: states between two trainings, kills, failures, budgets, duplicates."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve, frozen

from corenas.errors import SearchError
from corenas.protocols import Budget, IndependentJobs, Job, Problem, Sampler
from corenas.search.lift import SampledSearch, trial_seed
from corenas.search.objectives import MetricObjective
from corenas.search.rungs._climb import Climb
from corenas.search.rungs.asha import Asha
from corenas.search.rungs.brackets import Brackets
from corenas.search.rungs.ladder import Bracket, Ladder, hyperband_brackets
from corenas.search.scheduling import Scheduler
from corenas.search.strategies.random import RandomSearch
from corenas.testing.surrogate import InlineExecutor, SurrogateSpace
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Failure, Outcome, Rejected, Report
from corenas.values.fidelity import FULL_TRAINING, Share
from corenas.values.quantity import Quantity
from corenas.values.trial import Event, Measurement, Trial

SPACE = SurrogateSpace()
PSNR = Quantity("psnr", "higher", "dB")
STEPS = 900


@frozen
class Walk:
    """A training of 900 steps, each of which adds a number that the last sum decides."""

    seed: int
    share: Share
    result: Outcome | Failure | None = None

    def run(self, device: str, report: Report) -> Outcome | Failure:
        if self.result is not None:
            return self.result
        done, total = json.loads(self.share.state) if self.share.state else (0, self.seed % 9973)
        end = self.share.steps(STEPS)
        for _ in range(done, end):
            total = (total * 31 + 7) % 9973
        state = b"" if self.share.is_full else json.dumps([end, total]).encode()
        return Outcome({"psnr": 30 + total / 9973}, state=state)


class Walking(IndependentJobs):
    """Remembers each job: number, fidelity, seed, and whether it went on from a state."""

    continues = True

    def __init__(self, results: dict[tuple[int, float], Any] | None = None) -> None:
        self.results = results or {}
        self.jobs: list[tuple[int, float, int, bool]] = []
        self.dropped: list[int] = []

    @property
    def measures(self) -> dict[str, Quantity]:
        return {"psnr": PSNR}

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        return self.prepare_share(architecture, FULL_TRAINING, number=number, seed=seed)

    def prepare_share(
        self, architecture: Architecture, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        result = self.results.get((number, share.fidelity))
        if isinstance(result, Rejected):
            return result
        self.jobs.append((number, share.fidelity, seed, bool(share.state)))
        job: Job = Walk(seed, share, result)  # type: ignore[assignment] # executors give failures
        return job

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement(outcome.metrics)

    def drop(self, number: int) -> None:
        self.dropped.append(number)


LADDER = Ladder(3, 3)
SCHEDULES: dict[str, Callable[[Sampler, int], Scheduler]] = {
    "asha": lambda sampler, trials: Asha(Climb(LADDER, sampler), trials),
    "halving": lambda sampler, trials: Brackets(Climb(LADDER, sampler), [Bracket(0, 9)]),
    "hyperband": lambda sampler, trials: Brackets(
        Climb(LADDER, sampler), hyperband_brackets(LADDER)
    ),
}


def search(
    kind: str = "asha",
    *,
    trials: int = 20,
    slots: int = 1,
    evaluator: Walking | None = None,
    folder: Path | None = None,
    failures: int = 10,
    sampler: Sampler | None = None,
) -> SampledSearch:
    problem = Problem(
        SPACE,
        evaluator or Walking(),
        MetricObjective("psnr", 1),
        InlineExecutor(slots),
        Budget(trials, failures=failures),
        seed=7,
        folder=folder,
    )
    sampler = sampler or RandomSearch(SPACE, 3)
    return SampledSearch(problem, sampler, lambda sampler: SCHEDULES[kind](sampler, trials))


def reloaded(state: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def trials_of(events: Sequence[Event]) -> list[Trial]:
    return [event.trial for event in events if event.kind == "trial" and event.trial]


def went_anew(evaluator: Walking) -> list[int]:
    """Return the numbers of jobs that should have gone on from a state, and had none."""
    seeds: set[int] = set()
    anew = []
    for number, _, seed, had_state in evaluator.jobs:
        if seed in seeds and not had_state:
            anew.append(number)
        seeds.add(seed)
    return anew


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_promotion_goes_on_from_its_candidates_state_with_its_first_seed(
    kind: str, tmp_path: Path
) -> None:
    evaluator = Walking()
    trials = trials_of(list(search(kind, evaluator=evaluator, folder=tmp_path).events()))
    seeds = {number: seed for number, _, seed, _ in evaluator.jobs}
    by_number = {trial.number: trial for trial in trials}
    promoted = [trial for trial in trials if trial.continues is not None]
    assert {trial.fidelity for trial in promoted} == {1 / 3, 1}
    for trial in promoted:
        before = by_number[trial.continues or 0]
        assert before.rung == trial.rung - 1
        assert before.architecture == trial.architecture
        assert seeds[trial.number] == seeds[before.number]
    assert went_anew(evaluator) == []
    new = [trial.number for trial in trials if trial.continues is None]
    assert [seeds[number] for number in new] == [trial_seed(7, number) for number in new]


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("previous", [False, True])
def test_killed_after_any_event_it_continues_with_the_same_events_from_states_on_disk(
    kind: str, slots: int, previous: bool, tmp_path: Path
) -> None:
    """A checkpoint is taken after each second event; a damaged one leaves the one before it."""
    whole = list(search(kind, slots=slots, trials=10).events())
    for cut in range(1, len(whole), 3):
        folder = tmp_path / str(cut)
        checkpoints = []
        task = search(kind, slots=slots, folder=folder, trials=10)
        for count, _ in enumerate(task.events(), 1):
            if count % 2 == 1:
                checkpoints.append((count, reloaded(task.state())))
            if count == cut:
                break
        done, state = checkpoints[-2 if previous and len(checkpoints) > 1 else -1]
        evaluator = Walking()
        again = search(kind, slots=slots, folder=folder, evaluator=evaluator, trials=10)
        again.restore(state)
        rest = []
        for event in again.events():
            rest.append(event)
            again.state()
        assert rest == whole[done:], cut
        first = {trial_seed(7, trial.number) for trial in trials_of(whole[:done])}
        anew = [n for n, _, seed, had_state in evaluator.jobs if seed in first and not had_state]
        assert [n for n in anew if by(whole, n).continues is not None] == []
        shutil.rmtree(folder, ignore_errors=True)


def by(events: Sequence[Event], number: int) -> Trial:
    return next(trial for trial in trials_of(events) if trial.number == number)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_folder_holds_no_more_than_what_may_be_promoted(kind: str, tmp_path: Path) -> None:
    trials = 120
    task = search(kind, trials=trials, folder=tmp_path, slots=2)
    most = 0
    for _ in task.events():
        task.state()
        most = max(most, len(list(tmp_path.iterdir())))
    assert 0 < most <= trials // 3 + trials // 9 + 6
    for _ in range(3):
        task.state()
    assert list(tmp_path.iterdir()) == []


def test_state_that_is_damaged_or_gone_costs_the_training_again_and_nothing_else(
    tmp_path: Path,
) -> None:
    whole = list(search().events())
    evaluator = Walking()
    events = []
    for event in search(evaluator=evaluator, folder=tmp_path).events():
        events.append(event)
        for number, file in enumerate(sorted(tmp_path.iterdir())):
            if number % 2:
                file.unlink()
            else:
                file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert events == whole
    assert len(went_anew(evaluator)) > 5


def test_number_that_stands_for_another_candidate_after_a_kill_does_not_lend_its_state(
    tmp_path: Path,
) -> None:
    first = search(folder=tmp_path, trials=9)
    list(first.events())
    assert list(tmp_path.iterdir())
    evaluator = Walking()
    other = search(folder=tmp_path, trials=9, evaluator=evaluator, sampler=RandomSearch(SPACE, 5))
    expected = list(search(trials=9, sampler=RandomSearch(SPACE, 5)).events())
    assert list(other.events()) == expected


@pytest.mark.parametrize("kind", SCHEDULES)
def test_trials_of_the_budget_are_candidates(kind: str) -> None:
    task = search(kind, trials=20)
    events = list(task.events())
    trials = trials_of(events)
    new = sum(trial.continues is None for trial in trials)
    assert new == 20
    assert {event.total for event in events} == {20}
    assert [event.step for event in events if event.trial] == [
        sum(t.continues is None for t in trials[: count + 1]) for count in range(len(trials))
    ]
    counts = task.result(Path()).values["counts"]
    assert counts["finished"] == len(trials)
    assert counts["promoted"] == len(trials) - 20


@pytest.mark.parametrize("kind", SCHEDULES)
def test_failed_and_rejected_candidates_are_replaced_and_do_not_climb(
    kind: str,
) -> None:
    whole = trials_of(list(search(kind).events()))
    one, two = [trial for trial in whole if trial.continues is None][:2]
    lost = {
        (one.number, one.fidelity): Failure("error", "boom"),
        (two.number, two.fidelity): Rejected("too large now", {}),
    }
    for (number, fidelity), result in lost.items():
        evaluator = Walking({(number, fidelity): result})
        events = list(search(kind, evaluator=evaluator).events())
        (gone,) = [e.trial for e in events if e.kind in ("failed", "rejected") and e.trial]
        assert (gone.number, gone.fidelity) == (number, fidelity)
        assert sum(trial.continues is None for trial in trials_of(events)) == 20
        assert number not in {trial.continues for trial in trials_of(events)}
        assert evaluator.dropped == ([number] if isinstance(result, Failure) else [])


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("fidelity", [1 / 3, 1.0])
@pytest.mark.parametrize("result", [Failure("error", "boom"), Rejected("too large now", {})])
def test_a_promotion_that_fails_is_not_tried_again(
    kind: str, fidelity: float, result: Failure | Rejected
) -> None:
    whole = trials_of(list(search(kind).events()))
    lost = next(t for t in whole if t.fidelity == fidelity and t.continues is not None)
    evaluator = Walking({(lost.number, fidelity): result})
    events = list(search(kind, evaluator=evaluator).events())
    (gone,) = [e.trial for e in events if e.kind in ("failed", "rejected") and e.trial]
    assert (gone.number, gone.continues, gone.rung) == (lost.number, lost.continues, lost.rung)
    later = [t for t in trials_of(events) if t.continues == lost.continues]
    assert later == []
    assert sum(trial.continues is None for trial in trials_of(events)) == 20


def test_promotions_that_all_fail_end_the_search_with_the_reason() -> None:
    class Failing(Walking):
        def prepare_share(self, architecture: Architecture, share: Share, **known: int) -> Any:
            result = None if share.fidelity < 0.2 else Failure("memory", "no room")
            return Walk(known["seed"], share, result)  # type: ignore[arg-type]

    # A bracket of nine has three promotions, all of which come after its last new candidate.
    with pytest.raises(SearchError, match="3 trials in a row failed, the last one with memory"):
        list(search("halving", evaluator=Failing(), failures=3).events())


@pytest.mark.parametrize("kind", SCHEDULES)
def test_best_front_and_winner_are_of_the_highest_fidelity(kind: str) -> None:
    task = search(kind)
    reached = 0.0
    for event in task.events():
        if event.kind != "trial" or event.trial is None:
            continue
        reached = max(reached, event.trial.fidelity)
        result = task.result(Path()).values
        best, front = result["trials"], result["front"]
        assert best[0].get("fidelity", 1.0) == reached
        assert {each.get("fidelity", 1.0) for each in front} == {reached}
        assert result["chosen"] == best[0]["architecture"]
    trials = trials_of(list(search(kind).events()))
    full = [trial for trial in trials if trial.fidelity == 1]
    assert best[0]["number"] == max(full, key=lambda t: (t.score or 0.0, -t.number)).number
    assert max(trials, key=lambda t: t.score or 0.0).fidelity < 1


def test_evaluator_that_does_not_continue_trains_anew_to_the_larger_share() -> None:
    class Anew(Walking):
        continues = False

        def prepare_share(self, architecture: Architecture, share: Share, **known: int) -> Any:
            assert not share.state
            return super().prepare_share(architecture, share, **known)

    class WithoutState(InlineExecutor):
        def next(self) -> tuple[int, Outcome]:
            number, outcome = super().next()
            return number, evolve(outcome, state=b"")

    task = search(evaluator=Anew())
    task._problem = evolve(task._problem, executor=WithoutState())
    assert list(task.events()) == list(search().events())


def test_old_journal_is_of_full_trainings_and_a_new_one_says_what_differs() -> None:
    old = {"number": 3, "status": "finished", "architecture": SPACE.known["surrogate/chain"]}
    trial = Trial.from_json({**old, "architecture": old["architecture"].to_json()})  # type: ignore[attr-defined]
    assert (trial.rung, trial.fidelity, trial.continues, trial.repeats) == (0, 1.0, None, None)
    assert trial.to_json().keys() == old.keys()
    part = evolve(trial, rung=1, fidelity=1 / 3, continues=2, repeats=1)
    assert Trial.from_json(json.loads(json.dumps(part.to_json()))) == part
