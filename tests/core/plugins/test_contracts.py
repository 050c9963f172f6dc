from __future__ import annotations

import pickle
import random
from collections.abc import Sequence

import pytest

from corenas.protocols import Evaluator, Job, Objective, SearchSpace
from corenas.search.strategies.random import RandomSearch
from corenas.testing.contracts import (
    EvaluatorContract,
    GradualEvaluatorContract,
    ObjectiveContract,
    SamplerContract,
    SearchSpaceContract,
)
from corenas.testing.surrogate import (
    NODES,
    OPERATIONS,
    InlineExecutor,
    SurrogateEvaluator,
    SurrogateSpace,
    expected_score,
    mult_adds,
    psnr_score,
)
from corenas.values.architecture import Architecture, Decision
from corenas.values.evaluation import Outcome, Report
from corenas.values.result import State
from corenas.values.trial import Measurement

PAPER = (
    *(("dsep5", 0), ("conv7", 1), ("conv7", 2), ("conv3", 3), ("conv3", 3)),
    *(("conv5", 5), ("dsep3", 6), ("conv5", 4), ("conv3", 8), ("conv7", 0)),
)


def chain_of(operation: str) -> Architecture:
    return SurrogateSpace().parse([[operation, node] for node in range(NODES)])


class TestSurrogateSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return SurrogateSpace()


class TestSurrogateEvaluator(GradualEvaluatorContract):
    def make(self) -> Evaluator:
        return SurrogateEvaluator()

    @pytest.fixture
    def architecture(self) -> Architecture:
        return chain_of("conv3")

    @pytest.fixture
    def refused(self) -> Architecture:
        return chain_of("conv7")


class TestSurrogateObjective(ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        return psnr_score

    @pytest.fixture
    def better(self) -> Measurement:
        return Measurement({"psnr": 36.0})

    @pytest.fixture
    def worse(self) -> Measurement:
        return Measurement({"psnr": 35.0})


def test_surrogate_costs_are_those_of_the_published_cell() -> None:
    architecture = SurrogateSpace().parse(PAPER)
    assert mult_adds(architecture) == 13_953_024_000


def test_surrogate_rewards_worth_and_depth() -> None:
    flat = SurrogateSpace().parse([["conv3", 0]] * NODES)
    assert expected_score(chain_of("conv3")) > expected_score(flat)
    assert expected_score(chain_of("conv3")) > expected_score(chain_of("identity"))
    assert len(OPERATIONS) == 16


def test_inline_executor_keeps_its_slots_busy_in_order() -> None:
    executor = InlineExecutor(slots=2)
    evaluator = SurrogateEvaluator()
    for number in range(2):
        assert executor.idle
        executor.submit(number, TestSurrogateEvaluator().job(evaluator, chain_of("ca"), number))
    assert not executor.idle
    assert executor.next()[0] == 0
    assert executor.idle
    executor.close()


class Forgetful(RandomSearch):
    """Does not save its random state."""

    def state(self) -> State:
        return {"generator": RandomSearch(SurrogateSpace(), 0).state()["generator"]}


class Shared(RandomSearch):
    """Draws from the global random state."""

    def ask(self) -> Architecture:
        random.random()
        return super().ask()


class Live(RandomSearch):
    """Hands out a state that is not data."""

    def state(self) -> State:
        return {"generator": self._generator}


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Forgetful, "test_restored_sampler_goes_on_like_the_uninterrupted_one"),
        (Forgetful, "test_state_is_a_snapshot_and_may_be_restored_more_than_once"),
        (Live, "test_restored_sampler_goes_on_like_the_uninterrupted_one"),
        (Shared, "test_global_random_states_are_left_alone"),
    ],
)
def test_contract_finds_a_broken_sampler(broken: type[RandomSearch], test: str) -> None:
    class Broken(SamplerContract):
        def make(self, space: SearchSpace, seed: int) -> RandomSearch:
            return broken(space, seed)

    with pytest.raises((AssertionError, pickle.UnpicklingError)):
        getattr(Broken(), test)(SurrogateSpace())


def test_contract_finds_a_space_that_gives_one_network_two_ids() -> None:
    class Unreduced(SurrogateSpace):
        def active(self, architecture: Architecture) -> Sequence[Decision]:
            return self.decisions[:-1]

    contract = SearchSpaceContract()
    with pytest.raises(AssertionError):
        contract.test_one_network_has_one_id_and_others_have_others(Unreduced())


class Chance:
    """A job whose result is not repeatable."""

    def run(self, device: str, report: Report) -> Outcome:
        return Outcome({"psnr": random.random()})


class ChanceEvaluator(SurrogateEvaluator):
    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job:
        return Chance()


def test_contract_finds_a_job_that_depends_on_chance() -> None:
    class Broken(EvaluatorContract):
        def make(self) -> Evaluator:
            return ChanceEvaluator()

    with pytest.raises(AssertionError):
        Broken().test_result_depends_on_the_seed_and_not_on_the_time(chain_of("ca"))
