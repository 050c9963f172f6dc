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

for _kind in (
    "evaluator",
    "executor",
    "objective",
    "operation",
    "reward",
    "sampler",
    "space",
    "strategy",
    "supernet",
):
    pytest.register_assert_rewrite(f"{__name__}._{_kind}")  # before they are imported

from corenas.testing.contracts._evaluator import (  # noqa: E402
    EvaluatorContract,
    GradualEvaluatorContract,
)
from corenas.testing.contracts._executor import ExecutorContract  # noqa: E402
from corenas.testing.contracts._objective import ObjectiveContract  # noqa: E402
from corenas.testing.contracts._operation import OperationContract  # noqa: E402
from corenas.testing.contracts._reward import RewardContract  # noqa: E402
from corenas.testing.contracts._sampler import SamplerContract  # noqa: E402
from corenas.testing.contracts._space import SearchSpaceContract, random_architectures  # noqa: E402
from corenas.testing.contracts._states import global_random_states, reloaded, same  # noqa: E402
from corenas.testing.contracts._strategy import StrategyContract  # noqa: E402
from corenas.testing.contracts._supernet import SupernetContract  # noqa: E402

__all__ = [
    "EvaluatorContract",
    "ExecutorContract",
    "GradualEvaluatorContract",
    "ObjectiveContract",
    "OperationContract",
    "RewardContract",
    "SamplerContract",
    "SearchSpaceContract",
    "StrategyContract",
    "SupernetContract",
    "global_random_states",
    "random_architectures",
    "reloaded",
    "same",
]
