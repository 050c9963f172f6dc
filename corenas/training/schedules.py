"""How a learning rate falls: factors on it by step, and how steps are fitted into a time."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from corenas.training.config import TrainingConfig
from corenas.values.result import State

Schedule = Callable[[float], float]
"""The factor on the learning rate at a step, counted from 0; between two steps where a schedule is
run through faster than step by step."""


def constant() -> Schedule:
    """Keep the rate."""
    return lambda step: 1.0


def cosine(steps: int, *, final: float = 0.0) -> Schedule:
    """Fall from 1 to ``final`` along half a cosine (Loshchilov and Hutter, arXiv:1608.03983)."""
    return lambda step: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * step / steps))


def multistep(milestones: Sequence[int], *, gamma: float = 0.5) -> Schedule:
    """Multiply by ``gamma`` at each milestone, given in steps."""
    return lambda step: gamma ** sum(step >= milestone for milestone in milestones)


def warmed_up(schedule: Schedule, steps: int) -> Schedule:
    """Let the rate rise linearly over the first steps (Goyal et al., arXiv:1706.02677).

    The schedule itself is not moved: its own factor applies as well from the first step on.
    """
    return lambda step: schedule(step) * min(1.0, (step + 1) / steps) if steps else schedule(step)


def schedule_of(config: TrainingConfig) -> Schedule:
    """Return the schedule that the options name."""
    return warmed_up(_falling(config), config.warmup)


def _falling(config: TrainingConfig) -> Schedule:
    match config.schedule:
        case "constant":
            return constant()
        case "cosine":
            return cosine(config.steps)
        case "multistep":
            return multistep(config.milestones, gamma=config.gamma)


_MEASURED = 20
"""Stretches of a training whose speed counts: a machine may become busy, and free again."""

_FASTEST, _SLOWEST = 1 / 16, 16.0


class Pace:
    """How far a training is, which has a time instead of a number of steps.

    A training is planned with as many steps as should fit, but how fast a machine is changes. So
    each step that is done counts for more or less than one of the plan, such that the last of the
    plan, and with it the end of the schedule, comes when the time is spent.

    Args:
        steps: Those of the plan.
        seconds: The time for them, in which the training itself and its validations count.
        clock: Tells the time in seconds.
    """

    def __init__(
        self, steps: int, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.position = 0.0
        """How many steps of the plan are done."""
        self._steps = steps
        self._seconds = seconds
        self._clock = clock
        self._spent = 0.0
        self._counts = 1.0
        self._recent: deque[tuple[int, float]] = deque(maxlen=_MEASURED)
        self._began = 0.0
        self._done = 0

    def begin(self) -> None:
        """Begin a stretch."""
        self._began, self._done = self._clock(), 0

    def step(self) -> None:
        """Count a step."""
        self._done += 1
        self.position = min(self.position + self._counts, float(self._steps))

    def end(self) -> None:
        """End a stretch, and set what a step counts from here on."""
        seconds = self._clock() - self._began
        self._spent += seconds
        self._recent.append((self._done, seconds))
        done, took = map(sum, zip(*self._recent, strict=True))
        left = self._seconds - self._spent
        steps_left = max(1.0, left * done / took) if took > 0 else math.inf
        counts = (self._steps - self.position) / steps_left
        self._counts = min(max(counts, _FASTEST), _SLOWEST)

    def state(self) -> State:
        """Return what a training that goes on needs."""
        return {"position": self.position, "spent": self._spent, "counts": self._counts}

    def restore(self, state: State) -> None:
        """Continue from a state; how fast this machine is now is measured anew."""
        self.position, self._spent = state["position"], state["spent"]
        self._counts = state["counts"]
        self._recent.clear()
