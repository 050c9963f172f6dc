from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from attrs import evolve

from corenas.options.structuring import choose
from corenas.protocols import Sampler, SearchSpace, Strategy
from corenas.search.lift import SampledSearch
from corenas.search.strategies.config import EvolutionConfig
from corenas.search.strategies.evolution import Evolution, mutate
from corenas.search.strategies.listed import Listed
from corenas.search.strategies.random import RandomSearch, random_architecture
from corenas.testing.contracts import SamplerContract, StrategyContract
from corenas.testing.surrogate import (
    InlineExecutor,
    SurrogateSpace,
    expected_score,
    surrogate_problem,
)
from corenas.values.architecture import Architecture, Decision
from corenas.values.evaluation import Failure, Outcome
from corenas.values.trial import Trial

SMALL = EvolutionConfig(population=5, tournament=3)


class BlockSpace(SurrogateSpace):
    """Width and kernel matter only where there is a block; there is one kind of input."""

    name = "block"
    decisions = (
        Decision("input", ("image",)),
        Decision("block", ("none", "conv")),
        Decision("kernel", ("1", "3", "5")),
    )

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        return self.decisions[: 3 if architecture["block"] == "conv" else 2]

    def canonical(self, architecture: Architecture) -> Architecture:
        active = self.active(architecture)
        choices = {
            d.name: architecture[d.name] if d in active else d.options[0] for d in self.decisions
        }
        return Architecture(self.name, choices)


def block(kind: str, kernel: str) -> Architecture:
    return Architecture("block", {"input": "image", "block": kind, "kernel": kernel})


def told(evolution: Evolution, scored: Sequence[tuple[Architecture, float]]) -> Evolution:
    for number, (architecture, score) in enumerate(scored):
        evolution.tell(Trial(number, architecture, score=score))
    return evolution


def changes(first: Architecture, second: Architecture) -> int:
    return sum(second[name] != option for name, option in first.choices)


class TestRandom(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        return RandomSearch(space, seed)


class TestEvolution(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        return Evolution(SMALL, space, seed)


class TestEvolutionWithRoomInItsPopulation(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        return Evolution(EvolutionConfig(population=3 * self.trials), space, seed)


class TestEvolutionWhereDecisionsAreInactive(TestEvolution):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return BlockSpace()


class TestRandomStrategy(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return choose("strategies", "random").build()


class TestEvolutionStrategy(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        return choose("strategies", "evolution").build()


def test_random_draws_every_option_equally_often() -> None:
    space, generator = SurrogateSpace(), np.random.default_rng(0)
    drawn = [random_architecture(space, generator) for _ in range(4000)]
    for decision in space.decisions:
        counts = Counter(architecture[decision.name] for architecture in drawn)
        expected = len(drawn) / len(decision.options)
        chi_squared = sum((counts[o] - expected) ** 2 / expected for o in decision.options)
        assert chi_squared < len(decision.options) + 4 * (2 * len(decision.options)) ** 0.5


def test_random_draws_canonical_architectures() -> None:
    drawn = {
        random_architecture(BlockSpace(), np.random.default_rng(seed)).choices for seed in range(99)
    }
    expected = [block("none", "1"), *(block("conv", kernel) for kernel in "135")]
    assert drawn == {architecture.choices for architecture in expected}


def test_evolution_draws_at_random_until_the_population_is_full() -> None:
    space = SurrogateSpace()
    evolution, random = Evolution(SMALL, space, 3), RandomSearch(space, 3)
    for number in range(SMALL.population):
        architecture = evolution.ask()
        assert architecture == random.ask()
        evolution.tell(Trial(number, architecture, score=0.0))
    assert evolution.ask() != random.ask()


def test_evolution_changes_one_decision_of_the_tournaments_winner() -> None:
    space = SurrogateSpace()
    members = [random_architecture(space, np.random.default_rng(seed)) for seed in range(5)]
    config = EvolutionConfig(population=5, tournament=200)
    evolution = told(Evolution(config, space, 0), list(zip(members, [1, 2, 9, 4, 5], strict=True)))
    children = [evolution.ask() for _ in range(50)]
    assert {changes(members[2], child) for child in children} == {1}


def test_tournament_of_one_makes_every_member_a_parent() -> None:
    space = SurrogateSpace()
    members = [random_architecture(space, np.random.default_rng(seed)) for seed in range(5)]
    config = EvolutionConfig(population=5, tournament=1)
    evolution = told(Evolution(config, space, 0), [(m, float(i)) for i, m in enumerate(members)])
    children = [evolution.ask() for _ in range(200)]
    parents = Counter(
        index for child in children for index, m in enumerate(members) if changes(m, child) == 1
    )
    assert len(parents) == 5
    assert min(parents.values()) > 20


def test_oldest_dies_even_if_it_is_the_best() -> None:
    space = SurrogateSpace()
    members = [random_architecture(space, np.random.default_rng(seed)) for seed in range(6)]
    config = EvolutionConfig(population=5, tournament=200)
    scores = [9.0, 1.0, 2.0, 3.0, 4.0, 0.0]
    evolution = told(Evolution(config, space, 0), list(zip(members, scores, strict=True)))
    assert changes(members[4], evolution.ask()) == 1
    assert evolution.scalars() == {"population_mean": 2.0, "population_best": 4.0}


def test_mutation_reaches_every_other_option_of_active_decisions_only() -> None:
    space, generator = BlockSpace(), np.random.default_rng(0)
    children = Counter(mutate(space, block("conv", "3"), generator) for _ in range(3000))
    assert children.keys() == {block("none", "1"), block("conv", "1"), block("conv", "5")}
    # One of two decisions is drawn first, then one of its other options.
    assert children[block("none", "1")] == pytest.approx(1500, abs=110)
    assert children[block("conv", "5")] == pytest.approx(750, abs=95)
    assert {mutate(space, block("none", "1"), generator) for _ in range(20)} == {block("conv", "1")}


def test_mutation_returns_the_parent_where_nothing_can_change() -> None:
    space = BlockSpace()
    space.decisions = (Decision("block", ("none",)),)
    parent = Architecture("block", {"block": "none"})
    assert mutate(space, parent, np.random.default_rng(0)) == parent


def test_trial_without_a_score_is_refused() -> None:
    space = SurrogateSpace()
    failed = Trial(3, space.known["surrogate/chain"], status="failed")
    with pytest.raises(ValueError, match="trial 3 is failed and has no score"):
        Evolution(SMALL, space, 0).tell(failed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_evolution_beats_random_search_on_the_surrogate(seed: int) -> None:
    means = {}
    for name in ("random", "evolution"):
        task = choose("strategies", name).build().search(surrogate_problem(600, seed=seed))
        trials = [event.trial for event in task.events() if event.trial and event.trial.score]
        last = [expected_score(t.architecture) for t in trials if t.status == "finished"][-100:]
        means[name] = float(np.mean(last))
    assert means["evolution"] > means["random"] + 0.2


class SecondDies(InlineExecutor):
    """Two slots, whose second job is lost while the first one runs."""

    lost = False

    def next(self) -> tuple[int, Outcome | Failure]:
        if not self.lost:
            self.lost = True
            key, _ = self._waiting.pop()
            return key, Failure("killed", "its worker process was ended by signal 9")
        return super().next()


def test_listed_architecture_that_is_trained_twice_does_not_end_the_search() -> None:
    problem = surrogate_problem(2)
    sampler = RandomSearch(problem.space, 0)
    given = [sampler.ask(), sampler.ask()]
    task = SampledSearch(evolve(problem, executor=SecondDies(slots=2)), Listed(given))
    kinds = [event.kind for event in task.events()]
    assert kinds.count("trial") == 2
    assert kinds.count("failed") == 1
