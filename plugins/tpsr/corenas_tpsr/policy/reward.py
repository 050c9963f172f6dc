"""Rewards, which scale the policy's update (supplement Eq. 10 of Lee et al., arXiv:2007.04356).

Every reward normalises the score E to N(E) and adds the entropy H of the policy, times zeta.

Note:
    In the paper's formula the reward is a moving average of N(E); its text calls that average a
    baseline. Only the second reading learns (`Advantage`, as in ENAS). The formula (`LiteralEma`)
    and the plain normalised score (`NoBaseline`) are here to compare with.
"""

from __future__ import annotations

import math

from corenas.values.result import State
from corenas_tpsr.policy.config import AdvantageConfig, AverageConfig, RewardConfig


class MinMax:
    """Maps scores to [0, 1] by the lowest and the highest so far, or linearly by fixed bounds."""

    def __init__(self, bounds: tuple[float, float] | None = None) -> None:
        self._running = bounds is None
        self.low, self.high = bounds or (math.inf, -math.inf)

    def __call__(self, score: float) -> float:
        """Take in a score and return it normalised; 0 while there is only one value.

        Raises:
            ValueError: The score is not finite; nothing has changed.
        """
        if not math.isfinite(score):
            raise ValueError(f"a reward needs a finite score, got {score}")
        if self._running:
            self.low, self.high = min(self.low, score), max(self.high, score)
        return (score - self.low) / (self.high - self.low) if self.high > self.low else 0.0

    def state(self) -> State:
        """Return the range."""
        return {"low": self.low, "high": self.high}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self.low, self.high = state["low"], state["high"]


class MovingAverage:
    """An exponential moving average that starts at its first value."""

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.value: float | None = None

    def __call__(self, value: float) -> float:
        """Take in a value and return the average with it."""
        if self.value is not None:
            value = self._decay * self.value + (1 - self._decay) * value
        self.value = value
        return value


class NoBaseline:
    """R = N(E) + zeta H."""

    def __init__(self, config: RewardConfig) -> None:
        self._zeta = config.entropy_weight
        self._normalise = MinMax(config.bounds)

    def __call__(self, score: float, entropy: float) -> float:
        """Return the reward; a score that is not finite is a ValueError."""
        return self._normalise(score) + self._zeta * entropy

    def state(self) -> State:
        """Return the range of scores."""
        return self._normalise.state()

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._normalise.restore(state)


class _Averaged:
    """Common part of the rewards with a moving average of N(E)."""

    def __init__(self, config: AverageConfig) -> None:
        self._zeta = config.entropy_weight
        self._normalise = MinMax(config.bounds)
        self._average = MovingAverage(config.decay)

    def state(self) -> State:
        """Return the range of scores and the average."""
        return {**self._normalise.state(), "average": self._average.value}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._normalise.restore(state)
        self._average.value = state["average"]


class LiteralEma(_Averaged):
    """R = EMA(N(E)) + zeta H, which hardly depends on the candidate and so teaches nothing."""

    def __call__(self, score: float, entropy: float) -> float:
        """Return the reward; a score that is not finite is a ValueError."""
        return self._average(self._normalise(score)) + self._zeta * entropy


class Advantage(_Averaged):
    """R = N(E) - b + zeta H, where the baseline b is the moving average of N(E).

    The first score is its own baseline, whatever the order.
    """

    def __init__(self, config: AdvantageConfig) -> None:
        super().__init__(config)
        self._update_first = config.order == "update-then-use"
        self._entropy_in_baseline = config.entropy_in_baseline

    def __call__(self, score: float, entropy: float) -> float:
        """Return the reward; a score that is not finite is a ValueError."""
        value, bonus = self._normalise(score), self._zeta * entropy
        # As in ENAS, where the baseline averages the sum of score and entropy.
        if self._entropy_in_baseline:
            value += bonus
            bonus = 0.0
        before = self._average.value
        after = self._average(value)
        baseline = after if self._update_first or before is None else before
        return value - baseline + bonus
