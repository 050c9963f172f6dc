"""What every reward promises."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from corenas.protocols import Reward
from corenas.testing.contracts._states import reloaded


class RewardContract:
    """What every `Reward` promises."""

    scores: Sequence[float] = (36.0, 36.5, 36.2, 36.6, 36.4)

    def make(self) -> Reward:
        """Return a new reward."""
        raise NotImplementedError

    def rewards(self, reward: Reward) -> list[float]:
        return [reward(score, 40.0) for score in self.scores]

    def test_rewards_are_finite_also_for_equal_scores(self) -> None:
        reward = self.make()
        values = [reward(score, 40.0) for score in (36.0, 36.0, *self.scores)]
        assert all(math.isfinite(value) for value in values)

    def test_same_scores_same_rewards(self) -> None:
        assert self.rewards(self.make()) == self.rewards(self.make())

    def test_restored_reward_goes_on_like_the_uninterrupted_one(self) -> None:
        reward, restored = self.make(), self.make()
        self.rewards(reward)
        restored.restore(reloaded(reward.state()))
        assert self.rewards(restored) == self.rewards(reward)

    @pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
    def test_score_that_is_not_finite_is_refused_and_changes_nothing(self, score: float) -> None:
        reward = self.make()
        self.rewards(reward)
        before = reward.state()
        with pytest.raises(ValueError, match="finite"):
            reward(score, 40.0)
        assert reward.state() == before
