"""The loss between a network's images and the teacher's (section 4 of Wu et al.)."""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from corenas_trilevel.space.derived import PEAK


class Weights(Protocol):
    """Weights of the loss's terms: options of a training, or of a phase of the search."""

    @property
    def pixel(self) -> float:
        """Weight of L1 between images in [0, 1]."""

    @property
    def perceptual(self) -> float:
        """Weight of the distance between features."""


class TeacherLoss(nn.Module):
    """Distance between images and the teacher's: L1, and the distance of their features.

    Args:
        weights: Weights of both terms.
        features: Compares images in [0, 255]; needed where its weight is not 0.
    """

    def __init__(self, weights: Weights, features: nn.Module | None = None) -> None:
        super().__init__()
        if weights.perceptual and features is None:
            raise ValueError(f"perceptual is {weights.perceptual}, but there are no features")
        self._pixel, self._perceptual = weights.pixel, weights.perceptual
        self.features = features if weights.perceptual else None

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        """Compare images in [0, 255], shape (N, 3, H, W); return a number."""
        loss = image.new_zeros(())
        if self._pixel:
            loss = loss + self._pixel * F.l1_loss(image, target) / PEAK
        if self.features is not None:
            loss = loss + self._perceptual * self.features(image, target)
        return loss
