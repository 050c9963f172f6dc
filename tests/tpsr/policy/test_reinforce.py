from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, choose, structure
from corenas.protocols import Sampler, SearchSpace, Strategy
from corenas.search.lift import SampledSearch
from corenas.search.strategies.random import RandomSearch
from corenas.testing.contracts import SamplerContract, StrategyContract
from corenas.testing.surrogate import expected_score, surrogate_problem
from corenas.values.architecture import Architecture, Decision
from corenas.values.trial import Trial
from corenas_tpsr.policy._controller import Controller
from corenas_tpsr.policy.config import ReinforceConfig
from corenas_tpsr.policy.reinforce import Reinforce

DECISIONS = (Decision("kernel", ("1", "3", "5")), Decision("width", ("8", "16")))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def reinforce(*, seed: int = 0, **options: object) -> Reinforce:
    return Reinforce(ReinforceConfig(**options), DECISIONS, "toy", seed)


def reward(name: str, **options: object) -> Chosen:
    chosen = choose("rewards", name)
    return Chosen("rewards", name, type(chosen.config)(**options), chosen.component)


def choices(kernel: str, width: str) -> Architecture:
    return Architecture("toy", {"kernel": kernel, "width": width})


def trial(architecture: Architecture, score: float, number: int = 0) -> Trial:
    return Trial(number, architecture, score=score)


class TestReinforce(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        return Reinforce(ReinforceConfig(), space.decisions, space.name, seed)


class TestReinforceWithAllVariants(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        config = ReinforceConfig(
            feedback="zeros",
            entropy_regulariser=1e-3,
            reward=reward("advantage", order="use-then-update", entropy_in_baseline=True),
        )
        return Reinforce(config, space.decisions, space.name, seed)


class TestReinforceStrategy(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return choose("strategies", "reinforce").build()


def policy_and_optimiser(seed: int = 0) -> tuple[Controller, torch.optim.Adam]:
    """Return what Reinforce with this seed starts from."""
    policy = Controller([3, 2], torch.Generator().manual_seed(seed))
    return policy, torch.optim.Adam(policy.parameters(), lr=3.5e-4, betas=(0.9, 0.999), eps=1e-8)


def step(
    policy: Controller, optimiser: torch.optim.Adam, indices: list[int], factor: float
) -> None:
    optimiser.zero_grad()
    (-factor * policy(indices)[0].sum()).backward()
    optimiser.step()


def test_update_is_one_adam_step_on_minus_reward_times_log_probability() -> None:
    sampler = reinforce(reward=reward("no-baseline", bounds=(0.0, 1.0)))
    policy, optimiser = policy_and_optimiser()
    for indices, score in (([0, 1], 0.3), ([2, 0], 0.9), ([0, 1], -2.0)):
        kernel, width = (d.options[i] for d, i in zip(DECISIONS, indices, strict=True))
        entropy = policy(indices)[1].sum().item()
        sampler.tell(trial(choices(kernel, width), score))
        step(policy, optimiser, indices, score + 1e-4 * entropy)
        assert sampler.scalars()["reward"] == pytest.approx(score + 1e-4 * entropy)
        assert sampler.scalars()["entropy"] == pytest.approx(entropy)
        updated = sampler.state()["controller"]
        for name, expected in policy.state_dict().items():
            torch.testing.assert_close(updated[name], expected)


def test_late_trial_is_scored_under_the_policy_of_now() -> None:
    sampler = reinforce(reward=reward("no-baseline", bounds=(0.0, 1.0), entropy_weight=0.0))
    policy, optimiser = policy_and_optimiser()
    stale = sampler.ask()
    indices = [d.index(stale[d.name]) for d in DECISIONS]
    others = [([1, 1], choices("3", "16")), ([2, 0], choices("5", "8"))] * 20
    for other, architecture in others:
        sampler.tell(trial(architecture, 1.0))
        step(policy, optimiser, other, 1.0)
    sampler.tell(trial(stale, 0.5))
    step(policy, optimiser, indices, 0.5)
    updated = sampler.state()["controller"]
    torch.testing.assert_close(updated["decoder_weight"], policy.decoder_weight.data)


def test_regulariser_raises_the_entropy_by_its_own_gradient() -> None:
    constant = reward("no-baseline", bounds=(0.0, 1.0), entropy_weight=0.0)
    sampler = reinforce(reward=constant, entropy_regulariser=1.0, learning_rate=1e-2)
    sampler.tell(trial(choices("1", "8"), 1.0))
    for _ in range(60):
        sampler.tell(trial(choices("1", "8"), 0.0))
    assert sampler.scalars()["entropy"] == pytest.approx(math.log(6), abs=1e-3)


def test_entropy_weight_of_the_reward_does_not_regularise() -> None:
    policies = []
    for weight in (0.0, 5.0):
        constant = reward("advantage", entropy_weight=weight, entropy_in_baseline=True)
        sampler = reinforce(reward=constant)
        sampler.tell(trial(choices("1", "8"), 1.0))
        policies.append(sampler.state()["controller"]["decoder_weight"])
    # The first advantage is 0, so the policy stays where it was whatever the weight.
    assert torch.equal(*policies)


@pytest.mark.parametrize("score", [math.nan, math.inf, None])
def test_trial_without_a_finite_score_never_reaches_the_policy(score: float | None) -> None:
    sampler = reinforce()
    sampler.tell(trial(choices("1", "8"), 0.5))
    before = sampler.state()
    with pytest.raises(ValueError, match="score"):
        sampler.tell(Trial(1, choices("1", "8"), score=score, status="failed"))
    after = sampler.state()
    for name, tensor in before["controller"].items():
        assert torch.equal(tensor, after["controller"][name])
    assert after["reward"] == before["reward"]


def test_scalars_follow_the_last_update() -> None:
    sampler = reinforce()
    assert sampler.scalars() == {}
    for score in (0.1, 0.2, 0.9):
        sampler.tell(trial(choices("1", "8"), score))
    assert sampler.scalars().keys() == {"entropy", "reward", "reward_average"}
    assert 0 < sampler.scalars()["reward_average"] < sampler.scalars()["reward"]


def test_policy_has_the_shape_that_the_options_say() -> None:
    small = reinforce(hidden=7, feedback="zeros").state()["controller"]
    assert small["decoder_weight"].shape == (5, 7)
    assert "embedding" not in small
    assert reinforce().state()["controller"]["embedding"].shape == (3, 100)


@pytest.mark.parametrize("limit", [{"bound": 0.1}, {"temperature": 1e4}])
def test_bound_and_temperature_limit_what_the_policy_can_learn(limit: dict[str, float]) -> None:
    entropies = []
    for options in ({}, limit):
        sampler = reinforce(**options, learning_rate=0.05, reward=reward("no-baseline"))
        for number in range(100):
            sampler.tell(trial(choices("1", "8"), float(number)))
        entropies.append(sampler.scalars()["entropy"])
    assert entropies[0] < 0.5 * math.log(6) < 0.9 * math.log(6) < entropies[1]


def test_policy_finds_the_best_of_six() -> None:
    sampler = reinforce(learning_rate=0.01)
    for number in range(250):
        architecture = sampler.ask()
        worth = {"1": 0.0, "3": 1.0, "5": 0.3}[architecture["kernel"]]
        sampler.tell(trial(architecture, worth - (architecture["width"] == "8"), number))
    asked = [sampler.ask() for _ in range(100)]
    assert sum(architecture == choices("3", "16") for architecture in asked) > 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0}, "learning_rate: must be greater than 0"),
        ({"feedback": "embeddings"}, "did you mean 'embedding'"),
        ({"reward": "advantag"}, "reward.*did you mean 'advantage'"),
        ({"reward": {"use": "literal-ema", "order": "update-then-use"}}, "unknown key 'order'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        structure(ReinforceConfig, options)


TRIALS = 600

RANDOM_MEAN = 35.58
"""Of the surrogate's expected score, over the architectures within the limit."""


def gain(make: Callable[[SearchSpace, int], Sampler], *, seed: int, slots: int = 1) -> float:
    """Return by how much the last 100 trials beat the mean of random search, noise left out."""
    problem = surrogate_problem(TRIALS, seed=seed, slots=slots)
    search = SampledSearch(problem, make(problem.space, seed))
    scores = [expected_score(e.trial.architecture) for e in search.events() if e.kind == "trial"]
    return sum(scores[-100:]) / 100 - RANDOM_MEAN


def learner(**options: object) -> Callable[[SearchSpace, int], Sampler]:
    config = ReinforceConfig(**options)
    return lambda space, seed: Reinforce(config, space.decisions, space.name, seed)


def test_random_search_gains_nothing_on_the_surrogate() -> None:
    assert abs(gain(RandomSearch, seed=0)) < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_reinforce_beats_random_search_on_the_surrogate(seed: int) -> None:
    assert gain(learner(), seed=seed) > 0.08


@pytest.mark.slow
def test_policy_without_feedback_learns_about_as_well() -> None:
    assert gain(learner(feedback="zeros"), seed=0) > 0.08


@pytest.mark.slow
def test_thirty_stale_workers_learn_about_as_well() -> None:
    assert gain(learner(), seed=0, slots=30) > 0.08


@pytest.mark.slow
def test_literal_moving_average_does_not_learn_with_the_same_budget() -> None:
    assert abs(gain(learner(reward=reward("literal-ema")), seed=0)) < 0.05
