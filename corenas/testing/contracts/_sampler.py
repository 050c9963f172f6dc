"""What every sampler promises."""

from __future__ import annotations

import math

import pytest

from corenas.protocols import Sampler, SearchSpace
from corenas.testing.contracts._states import global_random_states, reloaded, same
from corenas.testing.surrogate import SurrogateSpace
from corenas.values.architecture import Architecture
from corenas.values.trial import Trial


def pseudo_score(architecture: Architecture) -> float:
    """Return a number in [0, 1) that is as good as random, but always the same."""
    return int(architecture.id, 16) / 16**10


class SamplerContract:
    """What every `Sampler` promises. ``trials`` is how many are told before it is looked at."""

    trials = 12

    @pytest.fixture
    def space(self) -> SearchSpace:
        return SurrogateSpace()

    def make(self, space: SearchSpace, seed: int) -> Sampler:
        """Return a new sampler."""
        raise NotImplementedError

    def run(self, sampler: Sampler, *, start: int = 0) -> list[Architecture]:
        """Ask and tell ``trials`` times; return what was asked."""
        asked = []
        for number in range(start, start + self.trials):
            architecture = sampler.ask()
            asked.append(architecture)
            sampler.tell(Trial(number, architecture, score=pseudo_score(architecture)))
        return asked

    def test_same_seed_asks_the_same(self, space: SearchSpace) -> None:
        assert self.run(self.make(space, 1)) == self.run(self.make(space, 1))

    def test_another_seed_asks_something_else(self, space: SearchSpace) -> None:
        assert self.run(self.make(space, 1)) != self.run(self.make(space, 2))

    def test_asks_only_for_architectures_of_the_space(self, space: SearchSpace) -> None:
        assert {space.check(a) for a in self.run(self.make(space, 1))} == {""}

    def test_restored_sampler_goes_on_like_the_uninterrupted_one(self, space: SearchSpace) -> None:
        sampler = self.make(space, 1)
        self.run(sampler)
        restored = self.make(space, 2)
        restored.restore(reloaded(sampler.state()))
        assert restored.scalars() == sampler.scalars()
        assert self.run(restored, start=self.trials) == self.run(sampler, start=self.trials)
        assert restored.scalars() == sampler.scalars()
        assert same(restored.state(), sampler.state())

    def test_state_is_a_snapshot_and_may_be_restored_more_than_once(
        self, space: SearchSpace
    ) -> None:
        sampler = self.make(space, 1)
        self.run(sampler)
        state = sampler.state()
        before = reloaded(state)
        asked = self.run(sampler, start=self.trials)
        after = sampler.state()
        for _ in range(2):
            assert same(state, before)
            sampler.restore(state)
            assert self.run(sampler, start=self.trials) == asked
            assert same(sampler.state(), after)

    def test_tells_may_come_late_and_in_any_order(self, space: SearchSpace) -> None:
        sampler = self.make(space, 1)
        asked = [sampler.ask() for _ in range(self.trials)]
        for number, architecture in reversed(list(enumerate(asked))):
            sampler.tell(Trial(number, architecture, score=pseudo_score(architecture)))
        assert space.check(sampler.ask()) == ""

    def test_global_random_states_are_left_alone(self, space: SearchSpace) -> None:
        before = global_random_states()
        self.run(self.make(space, 1))
        assert global_random_states() == before

    def test_scalars_are_finite(self, space: SearchSpace) -> None:
        sampler = self.make(space, 1)
        assert all(math.isfinite(value) for value in sampler.scalars().values())
        self.run(sampler)
        assert all(math.isfinite(value) for value in sampler.scalars().values())
