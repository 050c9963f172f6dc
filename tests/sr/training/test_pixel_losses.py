"""Losses between images: against their formulas, and which one a training takes."""

import numpy as np
import pytest
import torch

from corenas.errors import ConfigError
from corenas_sr.config import PhaseConfig, PixelTrainingConfig
from corenas_sr.training.losses import charbonnier, fft_l1, pixel_loss


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, 3, 8, 6, generator=generator, dtype=torch.float64) * 255 for _ in "ab"]


def test_charbonnier_is_a_square_near_zero_and_a_slope_far_away(images):
    image, truth = images
    expected = np.sqrt((image - truth).numpy() ** 2 + 1).mean()
    assert float(charbonnier(image, truth)) == pytest.approx(expected)
    assert float(charbonnier(truth, truth)) == 1


def test_frequencies_are_compared_as_numpy_transforms_them(images):
    image, truth = images
    expected = np.abs(np.fft.rfft2((image - truth).numpy(), norm="ortho")).mean()
    assert float(fft_l1(image, truth)) == pytest.approx(expected)


def test_names_stand_for_losses(images):
    image, truth = images
    l1, l2 = (image - truth).abs().mean(), (image - truth).square().mean()
    assert float(pixel_loss("l1")(image, truth)) == pytest.approx(float(l1))
    assert float(pixel_loss("l2")(image, truth)) == pytest.approx(float(l2))
    both = l1 + 0.5 * fft_l1(image, truth)
    assert float(pixel_loss("l1-fft", fft_weight=0.5)(image, truth)) == pytest.approx(float(both))


@pytest.mark.parametrize("name", ["charbonnier", "l1-fft"])
def test_gradients_are_right(images, name):
    image, truth = (each[:1, :1, :4, :3] for each in images)
    loss = pixel_loss(name)
    assert torch.autograd.gradcheck(lambda x: loss(x, truth), image.requires_grad_())


def test_phases_share_the_steps_and_inherit_what_they_leave_open():
    config = PixelTrainingConfig(
        steps=1000,
        batch=8,
        patch=32,
        ema=0.99,
        phases=(PhaseConfig(0.1, patch=48, loss="l2"), PhaseConfig(0.25, learning_rate=1e-5)),
    )
    first, second, third = config.in_phases()
    assert [each.steps for each in (first, second, third)] == [650, 100, 250]
    assert (first.loss, second.loss, third.loss) == ("l1", "l2", "l1")
    assert (first.patch, second.patch, third.patch, config.largest_patch) == (32, 48, 32, 48)
    assert third.learning_rate == 1e-5
    assert {each.ema for each in (first, second, third)} == {0.99}
    assert not any(each.phases for each in (first, second, third))


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.001,), (0.9, 0.2)])
def test_a_phase_without_a_step_is_refused(shares):
    with pytest.raises(ConfigError, match="each phase needs one"):
        PixelTrainingConfig(steps=100, phases=tuple(PhaseConfig(share) for share in shares))
