"""What every strategy promises."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from corenas.protocols import Problem, Strategy
from corenas.testing.contracts.states import reloaded
from corenas.testing.surrogate import surrogate_problem
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
            json.dumps(dict(result.values), allow_nan=False)
            assert all((tmp_path / name).is_file() for name in result.files.values())
