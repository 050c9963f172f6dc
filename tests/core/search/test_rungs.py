"""Which candidate is trained next, and how far: against the papers and a second implementation."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve

from corenas.errors import ConfigError
from corenas.options.structuring import choose, structure
from corenas.protocols import Strategy
from corenas.search.rungs._climb import Climb
from corenas.search.rungs.agreement import agreements
from corenas.search.rungs.asha import Asha
from corenas.search.rungs.brackets import Brackets
from corenas.search.rungs.ladder import Bracket, Ladder, expected_cost, hyperband_brackets
from corenas.search.scheduling import Scheduler
from corenas.search.strategies.random import RandomSearch
from corenas.testing.contracts import StrategyContract, reloaded, same
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace, surrogate_problem
from corenas.values.fidelity import Proposal
from corenas.values.ranking import kendall_tau
from corenas.values.trial import Trial


def build(name: str, **options: Any) -> Strategy:
    chosen = choose("strategies", name)
    config = structure(type(chosen.config), options)
    built: Strategy = evolve(chosen, config=config).build()
    return built


class TestAsha(StrategyContract):
    @pytest.fixture(params=["random", "evolution"])
    def strategy(self, request: pytest.FixtureRequest) -> Strategy:
        return build("asha", sampler=request.param)


class TestHalving(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return build("halving", sampler="evolution", tell="every", eta=2)


class TestHyperband(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return build("hyperband", schedule="annealed")


def scheduler(kind: str, candidates: int, ladder: Ladder) -> Scheduler:
    climb = Climb(ladder, RandomSearch(SurrogateSpace(), 0))
    if kind == "asha":
        return Asha(climb, candidates)
    brackets = {
        "halving": [Bracket(0, ladder.eta**ladder.top)],
        "hyperband": hyperband_brackets(ladder),
    }
    return Brackets(climb, brackets[kind])


def trial_of(number: int, proposal: Proposal, score: float | None) -> Trial:
    status = "failed" if score is None else "finished"
    return Trial(
        number,
        proposal.architecture,
        score=score,
        status=status,  # type: ignore[arg-type] # one of two
        rung=proposal.rung,
        fidelity=proposal.fidelity,
        continues=proposal.continues,
    )


class Machine:
    """Workers that finish in any order, with scores of few values and some failures."""

    def __init__(self, schedule: Scheduler, candidates: int, *, workers: int, seed: int) -> None:
        self.schedule = schedule
        self.candidates = candidates
        self.workers = workers
        self.draw = random.Random(seed)
        self.failures = 0.15
        self.number = 0
        self.finished = 0
        self.in_flight: dict[int, Proposal] = {}

    @property
    def new(self) -> bool:
        begun = sum(proposal.continues is None for proposal in self.in_flight.values())
        return self.finished + begun < self.candidates

    def steps(self) -> Iterator[tuple[bool, Proposal | None, Trial | None]]:
        """Yield each answer to a proposal, with what `new` was, and each trial that ended."""
        while True:
            while len(self.in_flight) < self.workers:
                new = self.new
                proposal = self.schedule.propose(new=new)
                yield new, proposal, None
                if proposal is None:
                    break
                self.in_flight[self.number] = proposal
                self.number += 1
            if not self.in_flight:
                return
            number = self.draw.choice(list(self.in_flight))
            proposal = self.in_flight.pop(number)
            failed = self.draw.random() < self.failures
            trial = trial_of(number, proposal, None if failed else float(self.draw.randrange(9)))
            self.finished += not failed and proposal.continues is None
            (self.schedule.drop if failed else self.schedule.tell)(trial)
            yield False, None, trial


def algorithm_2(
    results: Sequence[dict[int, float]], promoted: Sequence[set[int]], eta: int
) -> tuple[int, int | None]:
    """Return rung and trial of ``get_job`` of Li et al., arXiv:1810.05934."""
    for rung in reversed(range(len(results) - 1)):
        ranks = sorted(results[rung], key=lambda number: (-results[rung][number], number))
        best = ranks[: len(ranks) // eta]
        promotable = [number for number in best if number not in promoted[rung]]
        if promotable:
            return rung + 1, promotable[0]
    return 0, None


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize(("eta", "rungs", "candidates"), [(2, 4, 40), (3, 3, 60), (4, 2, 30)])
def test_asha_does_what_algorithm_2_says(
    workers: int, eta: int, rungs: int, candidates: int
) -> None:
    schedule = scheduler("asha", candidates, Ladder(eta, rungs))
    machine = Machine(schedule, candidates, workers=workers, seed=rungs)
    results: list[dict[int, float]] = [{} for _ in range(rungs)]
    promoted: list[set[int]] = [set() for _ in range(rungs)]
    promotions = 0
    for new, proposal, trial in machine.steps():
        if trial is not None:
            if trial.score is not None:
                results[trial.rung][trial.number] = trial.score
            continue
        rung, continues = algorithm_2(results, promoted, eta)
        if proposal is None or (continues is None and not new):
            assert continues is None
            assert not new
        else:
            assert (proposal.rung, proposal.continues) == (rung, continues)
            assert proposal.fidelity == pytest.approx(eta ** (rung - rungs + 1))
        if continues is not None:
            promoted[rung - 1].add(continues)
            promotions += 1
    assert len(results[0]) == candidates
    assert promotions >= candidates // eta


@pytest.mark.parametrize("kind", ["asha", "halving", "hyperband"])
@pytest.mark.parametrize("workers", [1, 5])
def test_what_goes_on_was_open_ever_since_it_finished(kind: str, workers: int) -> None:
    """So its state was never dropped; and most of the others' were."""
    candidates = 90
    schedule = scheduler(kind, candidates, Ladder(3, 3))
    machine = Machine(schedule, candidates, workers=workers, seed=1)
    closed: set[int] = set()
    finished: set[int] = set()
    most = 0
    for _, proposal, trial in machine.steps():
        if proposal is not None and proposal.continues is not None:
            assert proposal.continues not in closed
            finished.discard(proposal.continues)
        if trial is not None and trial.score is not None:
            finished.add(trial.number)
        if proposal is None:
            closed |= finished - set(schedule.open())
            most = max(most, len(list(schedule.open())))
    assert not list(schedule.open())
    assert most <= candidates // 3 + candidates // 9 + 1
    assert len(closed) > candidates / 2


@pytest.mark.parametrize("kind", ["asha", "halving", "hyperband"])
def test_restored_scheduler_proposes_what_the_uninterrupted_one_does(kind: str) -> None:
    def machine() -> Machine:
        return Machine(scheduler(kind, 30, Ladder(2, 3)), 30, workers=4, seed=2)

    whole, other = machine(), machine()
    for count, (step, again) in enumerate(zip(whole.steps(), other.steps(), strict=True)):
        assert step == again
        if count % 3 == 0:
            restored = scheduler(kind, 30, Ladder(2, 3))
            restored.restore(reloaded(other.schedule.state()))
            assert same(restored.state(), other.schedule.state())
            other.schedule = restored


def test_hyperbands_brackets_are_those_of_table_1() -> None:
    """R = 81 and eta = 3 of Li et al., arXiv:1603.06560: n_i and r_i for s = 4 to 0."""
    table = [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(27, 3), (9, 9), (3, 27), (1, 81)],
        [(9, 9), (3, 27), (1, 81)],
        [(6, 27), (2, 81)],
        [(5, 81)],
    ]
    ladder = Ladder(3, 5)
    candidates = sum(bracket[0][0] for bracket in table)
    machine = Machine(scheduler("hyperband", candidates, ladder), candidates, workers=1, seed=0)
    machine.failures = 0.0
    trained = [round(81 * trial.fidelity) for _, _, trial in machine.steps() if trial is not None]
    expected = [resource for bracket in table for count, resource in bracket for _ in range(count)]
    assert trained == expected


def test_halving_keeps_the_best_third_of_each_complete_rung() -> None:
    candidates, ladder = 18, Ladder(3, 3)
    machine = Machine(scheduler("halving", candidates, ladder), candidates, workers=1, seed=4)
    machine.failures = 0.0
    trials = [trial for _, _, trial in machine.steps() if trial is not None]
    for bracket in (trials[:13], trials[13:]):
        rungs = [[t for t in bracket if t.rung == rung] for rung in range(3)]
        assert [len(rung) for rung in rungs] == [9, 3, 1]
        assert bracket == [trial for rung in rungs for trial in rung]
        for lower, higher in pairwise(rungs):
            ranks = sorted(lower, key=lambda t: (-(t.score or 0.0), t.number))
            assert [t.continues for t in higher] == [t.number for t in ranks[: len(higher)]]


@pytest.mark.parametrize("kind", ["halving", "hyperband"])
@pytest.mark.parametrize("seed", range(4))
def test_brackets_come_to_their_end_with_failures_at_any_rung(kind: str, seed: int) -> None:
    machine = Machine(scheduler(kind, 40, Ladder(2, 3)), 40, workers=3, seed=seed)
    machine.failures = 0.4
    trials = [trial for _, _, trial in machine.steps() if trial is not None]
    finished = [trial for trial in trials if trial.score is not None]
    assert sum(trial.continues is None for trial in finished) == 40
    assert {trial.rung for trial in trials if trial.score is None} == {0, 1, 2}
    assert any(trial.rung == 2 for trial in finished)


def test_asha_trains_one_in_full_where_no_rung_has_enough() -> None:
    machine = Machine(scheduler("asha", 2, Ladder(3, 3)), 2, workers=2, seed=0)
    machine.failures = 0.0
    trials = [trial for _, _, trial in machine.steps() if trial is not None]
    best = max(trials[:2], key=lambda t: (t.score or 0.0, -t.number))
    assert [(t.rung, t.continues) for t in trials[2:]] == [(1, best.number), (2, trials[2].number)]


def test_cost_is_what_the_brackets_take() -> None:
    ladder = Ladder(3, 3)
    # 27 for a ninth, 9 for two ninths more, 3 for the rest.
    one = expected_cost(ladder, [Bracket(0, 27)], 27, continues=True)
    assert one.trainings == pytest.approx(27 / 9 + 9 * 2 / 9 + 3 * 6 / 9)
    assert one.trials == 39
    anew = expected_cost(ladder, [Bracket(0, 27)], 27, continues=False)
    assert anew.trainings == pytest.approx(27 / 9 + 9 / 3 + 3)
    # 9 from a ninth, 3 from a third, 3 in full; then the first of the next round.
    some = expected_cost(ladder, hyperband_brackets(ladder), 16, continues=True)
    assert some.trials == (9 + 3 + 1) + (3 + 1) + 3 + (1 + 1 + 1)


def test_kendalls_tau_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats", reason="it comes with scikit-image")
    draw = random.Random(0)
    for values in (4, 30):
        pairs = [(float(draw.randrange(values)), float(draw.randrange(9))) for _ in range(40)]
        tau = kendall_tau(pairs)
        assert tau == pytest.approx(stats.kendalltau(*zip(*pairs, strict=True)).statistic)
    assert kendall_tau([(1.0, 2.0), (1.0, 3.0)]) is None


def test_agreement_counts_those_that_climbed_and_no_others() -> None:
    problem = surrogate_problem(60)
    trials = [e.trial for e in build("asha").search(problem).events() if e.kind == "trial"]
    assert all(trials)
    found = agreements(trial for trial in trials if trial)
    climbed = [sum(t is not None and t.rung == rung for t in trials) for rung in (1, 2)]
    assert [each.pairs for each in found] == climbed
    assert [(each.lower, each.higher) for each in found] == [(1 / 9, 1 / 3), (1 / 3, 1)]
    assert f"between 1/3 and all of the training: {found[1].tau:+.2f} (n = {climbed[1]})" in str(
        found[1]
    )


class OnlyInFull(SurrogateEvaluator):
    prepare_share = None  # type: ignore[assignment] # so that it is not Gradual


def test_evaluator_that_trains_in_full_only_is_refused() -> None:
    problem = evolve(surrogate_problem(3), evaluator=OnlyInFull())
    with pytest.raises(ConfigError, match="a share of its training; OnlyInFull only trains in"):
        build("asha").check(problem)


def test_strategy_that_draws_no_candidates_is_refused_as_a_sampler() -> None:
    with pytest.raises(ConfigError, match="sampler: 'hyperband' does not draw one candidate"):
        build("asha", sampler="hyperband").check(surrogate_problem(3))


@pytest.mark.parametrize(("tell", "fidelities"), [("first", {1 / 9}), ("every", {1 / 9, 1 / 3, 1})])
def test_sampler_is_told_the_first_score_or_every_one(
    tell: str, fidelities: set[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr(RandomSearch, "tell", lambda self, trial: told.append(trial.fidelity))
    events = list(build("asha", tell=tell).search(surrogate_problem(27)).events())
    assert set(told) == fidelities
    assert len(told) == (27 if tell == "first" else sum(e.kind == "trial" for e in events))
