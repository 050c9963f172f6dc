"""The loss against a teacher: pixels and features, each with its weight."""

import pytest
import torch
from torch import nn

from corenas_trilevel.search.config import PhaseConfig
from corenas_trilevel.teacher.loss import TeacherLoss


class Stub(nn.Module):
    def forward(self, image, target):
        return (image - target).mean().square()


def test_loss_weighs_l1_in_0_to_1_and_features():
    image, target = torch.full((1, 3, 4, 4), 100.0), torch.full((1, 3, 4, 4), 49.0)
    assert float(TeacherLoss(PhaseConfig())(image, target)) == pytest.approx(0.2)
    visual = TeacherLoss(PhaseConfig(pixel=1e-2, perceptual=2.0), Stub())
    assert float(visual(image, target)) == pytest.approx(0.2e-2 + 2 * 51.0**2)
    features = TeacherLoss(PhaseConfig(pixel=0.0, perceptual=1.0), Stub())
    assert float(features(image, target)) == pytest.approx(51.0**2)
    assert TeacherLoss(PhaseConfig(), Stub()).features is None
    with pytest.raises(ValueError, match="there are no features"):
        TeacherLoss(PhaseConfig(perceptual=1.0))
