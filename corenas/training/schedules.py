"""How a learning rate falls: factors on it by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from corenas.training.config import TrainingConfig

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
