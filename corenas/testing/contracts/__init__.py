"""What every component promises, as test classes to subclass: one for each kind.

A plugin's test module subclasses the contract and overrides what raises `NotImplementedError`;
pytest then runs every test of the contract on that component::

    class TestMySampler(SamplerContract):
        @pytest.fixture
        def space(self) -> SearchSpace:
            return MySpace()

        def make(self, space: SearchSpace, seed: int) -> Sampler:
            return MySampler(space, seed)
"""

import pytest

for _kind in ("evaluator", "objective", "reward", "sampler", "space", "strategy"):
    pytest.register_assert_rewrite(f"{__name__}.{_kind}")  # before they are imported

from corenas.testing.contracts.evaluator import EvaluatorContract  # noqa: E402
from corenas.testing.contracts.executor import ExecutorContract  # noqa: E402
from corenas.testing.contracts.objective import ObjectiveContract  # noqa: E402
from corenas.testing.contracts.reward import RewardContract  # noqa: E402
from corenas.testing.contracts.sampler import SamplerContract  # noqa: E402
from corenas.testing.contracts.space import SearchSpaceContract  # noqa: E402
from corenas.testing.contracts.strategy import StrategyContract  # noqa: E402

__all__ = [
    "EvaluatorContract",
    "ExecutorContract",
    "ObjectiveContract",
    "RewardContract",
    "SamplerContract",
    "SearchSpaceContract",
    "StrategyContract",
]
