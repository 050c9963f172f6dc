"""What every strategy promises."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from corenas.protocols import Problem, Strategy
from corenas.search.pareto import directions, front
from corenas.testing.contracts._states import reloaded
from corenas.testing.surrogate import surrogate_problem
from corenas.values.result import Result
from corenas.values.search_result import SearchResult
from corenas.values.trial import Event


class StrategyContract:
    """What every `Strategy` promises."""

    @pytest.fixture
    def strategy(self) -> Strategy:
        raise NotImplementedError

    def problem(self, seed: int) -> Problem:
        """Return a new small problem; the default one rejects about half of the candidates."""
        return surrogate_problem(8, seed=seed, limit=5.5e9)

    def events(self, strategy: Strategy, seed: int) -> list[dict[str, Any]]:
        return [event.to_json() for event in strategy.search(self.problem(seed)).events()]

    def test_same_seed_same_events(self, strategy: Strategy) -> None:
        assert self.events(strategy, 1) == self.events(strategy, 1)

    def test_another_seed_other_events(self, strategy: Strategy) -> None:
        assert self.events(strategy, 1) != self.events(strategy, 2)

    def test_steps_never_go_back_and_end_at_the_total(self, strategy: Strategy) -> None:
        events: list[Event] = list(strategy.search(self.problem(1)).events())
        steps = [event.step for event in events]
        assert steps == sorted(steps)
        assert {event.total for event in events} == {steps[-1]}

    @pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.9])
    def test_restored_search_has_the_events_of_the_uninterrupted_one(
        self, strategy: Strategy, part: float
    ) -> None:
        expected = self.events(strategy, 1)
        done = int(part * len(expected)) + 1
        task = strategy.search(self.problem(1))
        assert len(list(islice(task.events(), done))) == done
        restored = strategy.search(self.problem(1))
        restored.restore(reloaded(task.state()))
        assert [event.to_json() for event in restored.events()] == expected[done:]

    def test_result_can_be_had_at_any_event(self, strategy: Strategy, tmp_path: Path) -> None:
        task = strategy.search(self.problem(1))
        for _ in task.events():
            result = task.result(tmp_path)
            stored = json.loads(json.dumps(dict(result.values), allow_nan=False))
            assert all((tmp_path / name).is_file() for name in result.files.values())
            found = SearchResult.from_result(Result(stored, result.files))
            assert found.to_result() == result

    def test_result_is_what_a_search_returns(self, strategy: Strategy, tmp_path: Path) -> None:
        problem = self.problem(1)
        task = strategy.search(problem)
        for _ in task.events():
            pass
        found = SearchResult.from_result(task.result(tmp_path))
        assert found.chosen is not None
        assert problem.space.check(found.chosen) == ""
        assert found.counts
        assert all(count >= 0 for count in found.counts.values())
        known = {quantity.name for quantity in task.quantities}
        assert [quantity.name for quantity in found.quantities] == [q.name for q in task.quantities]
        assert found.measurement is not None
        assert known <= set(found.measurement.metrics)
        scores = [(trial.fidelity, trial.score or 0.0) for trial in found.trials]
        assert scores == sorted(scores, reverse=True)
        assert len({trial.architecture for trial in found.trials}) == len(found.trials)
        assert found.front == tuple(front(found.front, directions(task.quantities)))

    def test_good_problem_passes_the_check(self, strategy: Strategy) -> None:
        strategy.check(self.problem(1))

    def test_plan_knows_the_steps_of_the_search_or_nothing(self, strategy: Strategy) -> None:
        plan = strategy.plan(self.problem(1))
        assert plan is None or plan.steps > 0
