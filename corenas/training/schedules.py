"""How a learning rate falls: factors on it by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from corenas.training.config import TrainingConfig

Schedule = Callable[[int], float]
"""The factor on the learning rate at a step, counted from 0."""


def constant() -> Schedule:
    """Keep the rate."""
    return lambda step: 1.0


def cosine(steps: int, *, final: float = 0.0) -> Schedule:
    """Fall from 1 to ``final`` along half a cosine (Loshchilov and Hutter, arXiv:1608.03983)."""
    return lambda step: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * step / steps))


def multistep(milestones: Sequence[int], *, gamma: float = 0.5) -> Schedule:
    """Multiply by ``gamma`` at each milestone, given in steps."""
    return lambda step: gamma ** sum(step >= milestone for milestone in milestones)


def schedule_of(config: TrainingConfig) -> Schedule:
    """Return the schedule that the options name."""
    match config.schedule:
        case "constant":
            return constant()
        case "cosine":
            return cosine(config.steps)
        case "multistep":
            return multistep(config.milestones, gamma=config.gamma)
