from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import mean
from types import MappingProxyType
from typing import Any

import optuna
import pytest
from attrs import evolve, frozen

from corenas.options.structuring import structure
from corenas.protocols import IndependentJobs, Job, Problem, Sampler, SearchSpace, Strategy
from corenas.search.config import SearchConfig
from corenas.search.lift import SampledSearch
from corenas.search.objectives import MetricObjective
from corenas.testing.contracts import SamplerContract, StrategyContract, reloaded
from corenas.testing.surrogate import (
    InlineExecutor,
    SurrogateEvaluator,
    SurrogateSpace,
    expected_score,
    mult_adds,
    surrogate_problem,
)
from corenas.values.architecture import Architecture, Decision
from corenas.values.evaluation import Failure, Outcome, Rejected, Report
from corenas.values.quantity import Quantity
from corenas.values.trial import Measurement, Trial
from corenas_optuna.sampler import OptunaSampler

NAMES = ("tpe", "gp", "nsga2", "nsga3")
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "tpe": {"startup": 4},
    "gp": {"startup": 3},
    "nsga2": {"population": 4},
    "nsga3": {"population": 4},
}


class FirstNodes(SurrogateSpace):
    """The space of the first three nodes."""

    name = "first-nodes"
    decisions = SurrogateSpace().decisions[:6]


class Nested(SurrogateSpace):
    """Ten settings, and a switch without which they do nothing; one decision has no choice."""

    name = "nested"
    decisions = (
        Decision("input", ("image",)),
        Decision("switch", ("off", "on")),
        *(Decision(f"set_{n}", ("a", "b", "c")) for n in range(10)),
    )

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        return self.decisions if architecture["switch"] == "on" else self.decisions[:2]

    def canonical(self, architecture: Architecture) -> Architecture:
        active = self.active(architecture)
        choices = {
            d.name: architecture[d.name] if d in active else d.options[0] for d in self.decisions
        }
        return Architecture(self.name, choices)


class NoChoice(SurrogateSpace):
    """There is one network."""

    name = "no-choice"
    decisions = (Decision("input", ("image",)), Decision("width", ("8",)))


OTHERS = {"space": "tpsr-generator", "evaluator": "sr-training"}
"""Components that options must name, and that are not used."""


def strategy_of(name: str, **options: Any) -> Any:
    chosen = {"use": name, **OPTIONS[name], **options}
    return structure(SearchConfig, {"strategy": chosen, **OTHERS}).strategy.build()


def sampler_of(name: str, space: SearchSpace, seed: int = 1, **options: Any) -> Sampler:
    problem = evolve(surrogate_problem(8, seed=seed), space=space)
    sampler: Sampler = strategy_of(name, **options).sampler(problem)
    return sampler


class OptunaContract(SamplerContract):
    name = "tpe"

    def make(self, space: SearchSpace, seed: int) -> Sampler:
        return sampler_of(self.name, space, seed)


class TestTpe(OptunaContract):
    pass


class TestGp(OptunaContract):
    name = "gp"
    trials = 5

    @pytest.fixture
    def space(self) -> SearchSpace:
        return FirstNodes()


class TestNsga2(OptunaContract):
    name = "nsga2"


class TestNsga3(OptunaContract):
    name = "nsga3"


class TestTpeSearch(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return strategy_of("tpe")


class TestNsga2OfTwoQuantities(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return strategy_of("nsga2", quantities=["psnr", "mult_adds"], limits={"mult_adds": 4e9})


# What is true outside.


def best_of(strategy: Strategy, seed: int, trials: int) -> float:
    search = strategy.search(surrogate_problem(trials, seed=seed))
    found = [e.trial for e in search.events() if e.kind == "trial" and e.trial]
    return expected_score(max(found, key=lambda trial: trial.score or 0.0).architecture)


@pytest.mark.parametrize("name", ["tpe", "nsga2"])
def test_finds_better_ones_than_random_search_with_as_many_trials(name):
    options = {"tpe": {"startup": 10}, "nsga2": {"population": 10}}[name]
    random = structure(SearchConfig, {"strategy": "random", **OTHERS}).strategy.build()
    learning = strategy_of(name, **options)
    gains = [best_of(learning, s, 150) - best_of(random, s, 150) for s in range(4)]
    # The quartiles of random search with as many trials lie 0.03 dB apart.
    assert mean(gains) > 0.03


@frozen
class Answer:
    """A job that knows its numbers."""

    metrics: Mapping[str, float]

    def run(self, device: str, report: Report) -> Outcome:
        return Outcome(self.metrics)


class Bits(SurrogateSpace):
    """Sixteen bits."""

    name = "bits"
    decisions = tuple(Decision(f"bit_{n}", ("0", "1")) for n in range(16))


class Conflict(IndependentJobs):
    """Count ones, count zeros (COCZ, Laumanns et al., 2004).

    Both quantities want ones in the first half; in the second half one wants ones and the other,
    written as what is missing, zeros. So the best compromises are nine points on a line.
    """

    front = frozenset((8 + n, n) for n in range(9))
    measures = MappingProxyType(
        {"ones": Quantity("ones", "higher"), "missing": Quantity("missing", "lower")}
    )

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        bits = [int(option) for _, option in architecture.choices]
        return Answer({"ones": sum(bits), "missing": 8 - sum(bits[:8]) + sum(bits[8:])})

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement(outcome.metrics)


def points_of_front(strategy: Strategy, seed: int) -> int:
    """Return how many of the nine points a search finds."""
    conflict = Conflict()
    problem = evolve(
        surrogate_problem(300, seed=seed),
        space=Bits(),
        evaluator=conflict,
        objective=MetricObjective("ones", 1),
    )
    found = [e.trial for e in strategy.search(problem).events() if e.kind == "trial" and e.trial]
    points = {tuple(t.measurement.metrics.values()) for t in found if t.measurement}
    return len(conflict.front & points)


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_finds_most_of_a_known_front_where_the_score_alone_finds_an_end_of_it(name):
    both = strategy_of(name, quantities=["ones", "missing"], population=20)
    score = strategy_of(name, population=20)
    assert points_of_front(both, 0) >= 7
    assert points_of_front(score, 0) <= 4


# Its own rules.


@pytest.mark.parametrize("name", NAMES)
def test_inactive_decisions_are_canonical_in_what_is_asked_and_told(name):
    space = Nested()
    sampler = sampler_of(name, space)
    for number in range(12):
        architecture = sampler.ask()
        assert architecture == space.canonical(architecture)
        sampler.tell(Trial(number, architecture, score=float(architecture["switch"] == "off")))
    history = sampler.state()["history"]
    assert all(not any(r["options"][2:]) for r in history if r["options"][1] == 0)
    assert any(r["options"][1] == 0 for r in history)


@pytest.mark.parametrize("name", NAMES)
def test_space_without_a_choice_has_one_candidate(name):
    sampler = sampler_of(name, NoChoice())
    for number in range(6):
        architecture = sampler.ask()
        assert dict(architecture.choices) == {"input": "image", "width": "8"}
        sampler.tell(Trial(number, architecture, score=1.0))


class Moody(SurrogateEvaluator):
    """Rejects about half of the candidates; about a quarter of the others' jobs fail."""

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Any:
        job = super().prepare(architecture, number=number, seed=seed)
        fails = seed % 4 == 0 and not isinstance(job, Rejected)
        return Answer({}) if fails else job


class FailingWithoutScore(InlineExecutor):
    """Has a failure for jobs without an answer."""

    def next(self) -> Any:
        key, outcome = super().next()
        return key, outcome if outcome.metrics else Failure("error", "no answer")


def moody_problem(seed: int, slots: int) -> Problem:
    problem = surrogate_problem(14, seed=seed)
    return evolve(problem, evaluator=Moody(5.5e9), executor=FailingWithoutScore(slots))


def study_of(sampler: OptunaSampler) -> optuna.Study:
    return sampler._study


@pytest.mark.parametrize("name", ["tpe", "nsga2", "nsga3"])
def test_study_knows_how_every_trial_ended(name):
    problem = moody_problem(1, 3)
    sampler = strategy_of(name).sampler(problem)
    events = [e for e in SampledSearch(problem, sampler).events() if e.trial]
    told = {"finished": "COMPLETE", "failed": "FAIL", "rejected": "PRUNED"}
    expected = {e.trial.number: told[e.trial.status] for e in events if e.trial}
    assert set(expected.values()) == set(told.values())
    trials = study_of(sampler).trials
    assert {t.number: t.state.name for t in trials} == expected
    scores = {e.trial.number: e.trial.score for e in events if e.trial and e.trial.score}
    assert {t.number: t.value for t in trials if t.value is not None} == scores


@pytest.mark.abuse("a search is killed between two events")
@pytest.mark.parametrize("name", ["tpe", "nsga2", "nsga3"])
@pytest.mark.parametrize("aims", [(), ("psnr", "mult_adds")])
def test_killed_at_any_event_it_goes_on_as_if_nothing_had_been(name, aims):
    limits = {"mult_adds": 4e9} if aims else {}
    strategy = strategy_of(name, quantities=list(aims), limits=limits)
    expected = [e.to_json() for e in strategy.search(moody_problem(2, 3)).events()]
    for done in range(1, len(expected), 5):
        task = strategy.search(moody_problem(2, 3))
        list(islice(task.events(), done))
        resumed = strategy.search(moody_problem(2, 3))
        resumed.restore(reloaded(task.state()))
        assert [e.to_json() for e in resumed.events()] == expected[done:], done


def test_killed_gaussian_process_goes_on_as_if_nothing_had_been():
    strategy = strategy_of("gp")
    problem = evolve(surrogate_problem(9, slots=2), space=FirstNodes(), evaluator=Lengths())
    expected = [e.to_json() for e in strategy.search(problem).events()]
    task = strategy.search(evolve(problem, executor=InlineExecutor(2)))
    list(islice(task.events(), 11))
    resumed = strategy.search(evolve(problem, executor=InlineExecutor(2)))
    resumed.restore(reloaded(task.state()))
    assert [e.to_json() for e in resumed.events()] == expected[11:]


class Lengths(IndependentJobs):
    """A score that any space has."""

    measures = MappingProxyType({"psnr": Quantity("psnr", "higher")})

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        return Answer({"psnr": int(architecture.id, 16) / 16**10})

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement(outcome.metrics)


def test_trials_in_flight_are_known_so_none_is_asked_twice():
    """With every answer but one known and bad, workers asked at once do not all take the rest."""
    space = Nested()
    sampler = sampler_of("tpe", space)
    for number in range(30):
        architecture = sampler.ask()
        sampler.tell(Trial(number, architecture, score=float(architecture["set_0"] == "b")))
    asked = [sampler.ask() for _ in range(6)]
    running = [t for t in study_of(sampler).trials if not t.state.is_finished()]
    assert [t.params["set_0"] for t in running] == [a["set_0"] for a in asked]
    assert len(set(asked)) >= 4


def test_limits_are_optunas_constraints():
    problem = surrogate_problem(60, seed=3)
    free, limited = (
        strategy_of("nsga2", population=10, limits=limits).sampler(problem)
        for limits in ({}, {"mult_adds": 3.0e9})
    )
    for sampler in (free, limited):
        for _ in SampledSearch(problem, sampler).events():
            pass
    trials = study_of(limited).get_trials()
    for trial in trials:
        cost = mult_adds(problem.space.canonical(Architecture("surrogate", trial.params)))
        assert trial.constraints == {"mult_adds": pytest.approx(cost - 3.0e9)}

    def kept(sampler: OptunaSampler) -> int:
        late = study_of(sampler).get_trials()[30:]
        return sum(mult_adds(Architecture("surrogate", t.params)) <= 3.0e9 for t in late)

    assert kept(limited) > kept(free)


def test_limit_of_a_quantity_that_should_be_high_is_a_least_value():
    sampler = sampler_of("tpe", SurrogateSpace(), limits={"psnr": 35.0})
    for number, psnr in enumerate((34.0, 36.0)):
        measured = Measurement({"psnr": psnr, "mult_adds": 1.0})
        sampler.tell(Trial(number, sampler.ask(), measured, psnr))
    found = [trial.constraints["psnr"] for trial in study_of(sampler).trials]
    assert found == [1.0, -1.0]


def test_trial_without_a_quantity_that_counts_is_a_failed_one():
    sampler = sampler_of("nsga2", SurrogateSpace(), quantities=["psnr", "mult_adds"])
    sampler.tell(Trial(0, sampler.ask(), Measurement({"psnr": 35.0}), 35.0))
    assert [t.state.name for t in study_of(sampler).trials] == ["FAIL"]
    assert sampler.scalars()["study_failed"] == 1


def test_trial_that_was_not_asked_for_is_learnt_from_too():
    problem = surrogate_problem(4)
    sampler = strategy_of("tpe").sampler(problem)
    chain = problem.space.known["surrogate/chain"]
    sampler.tell(Trial(7, chain, score=35.0))
    (trial,) = study_of(sampler).trials
    assert (trial.params, trial.value) == (dict(chain.choices), 35.0)
    restored = strategy_of("tpe").sampler(problem)
    restored.restore(reloaded(sampler.state()))
    assert restored.ask() == sampler.ask()


def test_trial_without_a_score_is_refused():
    sampler = sampler_of("tpe", SurrogateSpace())
    with pytest.raises(ValueError, match="trial 0 is failed and has no score"):
        sampler.tell(Trial(0, sampler.ask(), status="failed"))
