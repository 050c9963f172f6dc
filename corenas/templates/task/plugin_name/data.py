"""The data: points on two spirals, and on which of the two each lies."""

from __future__ import annotations

from functools import cache

import torch
from attrs import frozen
from torch import Tensor

from plugin_name.config import DataConfig


@frozen
class Points:
    """Positions, float32 of shape (N, 2), and classes 0 and 1, int64 of shape (N,)."""

    positions: Tensor
    classes: Tensor


@frozen
class Parts:
    """The points for training and those for validation."""

    train: Points
    validation: Points


@cache
def load(config: DataConfig) -> Parts:
    """Return the points; a worker process draws them once, not for each candidate."""
    generator = torch.Generator().manual_seed(config.seed)
    return Parts(_draw(config, generator), _draw(config, generator))


def _draw(config: DataConfig, generator: torch.Generator) -> Points:
    turn = 3 * torch.rand(config.points, generator=generator).sqrt()
    classes = torch.arange(config.points) % 2
    angle = 2 * turn + torch.pi * classes
    spiral = turn[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    noise = config.noise * torch.randn(config.points, 2, generator=generator)
    return Points(spiral + noise, classes)
