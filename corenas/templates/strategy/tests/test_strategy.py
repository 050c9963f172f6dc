import pytest
from corenas import Sampler, SearchSpace, Strategy, choose, structure
from corenas.testing.contracts import SamplerContract, StrategyContract
from corenas.testing.surrogate import surrogate_problem

from plugin_name.config import Options
from plugin_name.sampler import LocalSearch


class TestSampler(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        return LocalSearch(space, seed, structure(Options, {"first": 3}))


class TestStrategy(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        found: Strategy = choose("strategies", "plugin-name").build()
        return found


def test_it_is_better_than_drawing_at_random() -> None:
    def best(strategy: str) -> float:
        task = choose("strategies", strategy).build().search(surrogate_problem(150, seed=1))
        return max(e.trial.score for e in task.events() if e.trial and e.trial.score)

    assert best("plugin-name") > best("random")
