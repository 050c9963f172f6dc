"""The lift: what counts as a step, what is told, and what comes back after a restore."""

import io
import random

import pytest
import torch
from attrs import frozen

from corenas import (
    Architecture,
    Budget,
    Failure,
    Measurement,
    Outcome,
    Problem,
    Rejected,
    SearchError,
    trial_seed,
)
from corenas.search.lift import RANKED, SampledSearch
from corenas.search.objectives import MetricObjective
from corenas.search.strategies.listed import Listed
from corenas.testing.surrogate import InlineExecutor, SurrogateEvaluator, SurrogateSpace

SPACE = SurrogateSpace()


def architectures(count):
    names = SPACE.decisions[0].options
    cells = (
        [[names[i % 16], 0]] + [[names[i // 16], str(k)] for k in range(9)] for i in range(count)
    )
    return [SPACE.parse(cell) for cell in cells]


class Recorder(Listed):
    """Asks for given architectures and keeps what it was told."""

    def __init__(self, items):
        super().__init__(items)
        self.told = []

    def tell(self, trial):
        super().tell(trial)
        self.told.append(trial)


class Scripted(SurrogateEvaluator):
    """Gives each architecture the outcome that a script says."""

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.dropped, self.collected, self.seeds = [], [], {}

    def prepare(self, architecture, *, number, seed):
        self.seeds[number] = seed
        outcome = self.script.get(architecture, Outcome({"psnr": 30.0 + number}))
        return outcome if isinstance(outcome, Rejected) else Fixed(outcome)

    def collect(self, trial, outcome):
        self.collected.append(trial.number)

    def drop(self, number):
        self.dropped.append(number)


@frozen
class Fixed:
    outcome: Outcome | Failure

    def run(self, device, report):
        return self.outcome


def search(sampler, evaluator, *, trials, slots=1, rejections=1000, failures=10):
    problem = Problem(
        SPACE,
        evaluator,
        MetricObjective("psnr", 1),
        InlineExecutor(slots),
        Budget(trials, rejections, failures),
        seed=7,
    )
    return SampledSearch(problem, sampler)


def kinds(events):
    return [event.kind for event in events]


def test_rejected_architecture_is_no_step_and_no_update():
    items = architectures(3)
    evaluator = Scripted({items[0]: Rejected("too large", {"mult_adds": 9})})
    sampler = Recorder(items)
    sampler._waiting = items[:]  # a rejected one stays on the list, as a policy would ask again
    events = list(search(sampler, evaluator, trials=2).events())
    assert kinds(events) == ["rejected", "started", "trial", "started", "trial"]
    assert events[0].step == 0
    assert events[0].trial.reason == "too large"
    assert [trial.architecture for trial in sampler.told] == items[1:]
    assert evaluator.collected == [1, 2]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Failure("killed", "by signal 9"), "killed: by signal 9"),
        (Outcome({"psnr": float("nan")}), "the score is nan"),
        (Outcome({"psnr": float("inf")}), "the score is inf"),
        (Outcome({"ssim": 0.9}), "no metric 'psnr'"),
    ],
)
def test_failed_trial_is_no_step_and_is_not_told(outcome, reason):
    items = architectures(2)
    evaluator = Scripted({items[0]: outcome})
    sampler = Recorder([items[0], items[1], items[1]])
    task = search(sampler, evaluator, trials=1)
    events = list(task.events())
    assert kinds(events) == ["started", "failed", "started", "trial"]
    assert reason in events[1].trial.reason
    assert events[1].step == 0
    assert evaluator.dropped == [0]
    assert [trial.number for trial in sampler.told] == [1]
    assert task.result(None).values["counts"]["failed"] == 1


def test_too_many_failures_in_a_row_stop_the_search_with_the_last_error():
    items = architectures(1)
    evaluator = Scripted({items[0]: Failure("error", "no such file")})
    task = search(Recorder(items), evaluator, trials=5, failures=3)
    with pytest.raises(SearchError, match=r"3 trials in a row failed.*no such file"):
        list(task.events())


def test_too_many_rejections_in_a_row_stop_the_search():
    items = architectures(1)
    evaluator = Scripted({items[0]: Rejected("20 G", {})})
    with pytest.raises(SearchError, match=r"5 candidates in a row were rejected.*20 G"):
        list(search(Recorder(items), evaluator, trials=1, rejections=5).events())


def test_trials_are_seeded_by_number_and_not_by_time():
    evaluator = Scripted({})
    list(search(Recorder(architectures(3)), evaluator, trials=3, slots=2).events())
    assert evaluator.seeds == {number: trial_seed(7, number) for number in range(3)}
    assert len(set(evaluator.seeds.values())) == 3


def test_best_trials_are_ranked_and_each_architecture_stands_once():
    items = architectures(2)
    sampler = Recorder([items[0], items[1], items[0]])
    best = [
        (value["number"], value["score"])
        for value in _finished(search(sampler, Scripted({}), trials=3)).values["trials"]
    ]
    assert best == [(2, 32.0), (1, 31.0)]


@pytest.mark.parametrize("seed", range(3))
def test_ranking_equals_sorting_all_trials(seed):
    draw = random.Random(seed)
    items = architectures(150)
    trials = 400
    script = {item: Outcome({"psnr": float(draw.randrange(40))}) for item in items[:120]}
    sampler = Recorder([draw.choice(items) for _ in range(trials)])
    result = _finished(search(sampler, Scripted(script), trials=trials))
    best = [value["number"] for value in result.values["trials"]]
    ranked = sorted(sampler.told, key=lambda trial: (-trial.score, trial.number))
    first = {}
    for trial in ranked:
        first.setdefault(trial.architecture, trial.number)
    assert best == list(first.values())[:RANKED]
    assert len(best) == RANKED


def _finished(task):
    list(task.events())
    return task.result(None)


@pytest.mark.parametrize("slots", [1, 3])
def test_restored_at_any_event_it_continues_with_the_same_events(slots):
    def fresh():
        return search(Recorder(architectures(12)), Scripted({}), trials=12, slots=slots)

    whole = list(fresh().events())
    for cut in range(1, len(whole)):
        task = fresh()
        events = task.events()
        before = [next(events) for _ in range(cut)]
        buffer = io.BytesIO()
        torch.save(task.state(), buffer)
        buffer.seek(0)
        again = fresh()
        again.restore(torch.load(buffer, weights_only=True))
        assert before + list(again.events()) == whole


def test_every_slot_of_the_executor_is_kept_busy():
    events = list(search(Recorder(architectures(5)), Scripted({}), trials=5, slots=3).events())
    assert kinds(events)[:4] == ["started", "started", "started", "trial"]
    assert kinds(events).count("started") == 5


def test_measurement_is_what_the_evaluator_makes_of_the_outcome():
    items = architectures(1)

    class Costly(Scripted):
        def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
            return Measurement({"psnr": 1.0, "params": 5}, 2.0)

    event = list(search(Recorder(items), Costly({}), trials=1).events())[-1]
    assert event.trial.measurement == Measurement({"psnr": 1.0, "params": 5}, 2.0)
