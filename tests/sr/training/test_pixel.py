"""Options of trainings against the ground truth: losses, phases, convolutions as branches."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from corenas.errors import ConfigError
from corenas.training.networks import seeded
from corenas_sr.config import PhaseConfig, PixelTrainingConfig
from corenas_sr.training.losses import charbonnier, fft_l1, pixel_loss
from corenas_sr.training.pixel import PixelStep
from corenas_sr.training.reparameterise import (
    Branches,
    folded,
    is_reparameterised,
    reparameterise,
)


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


@pytest.fixture
def network():
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 1),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )


@pytest.fixture
def image():
    return torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1)) * 255


def test_only_dense_3x3_convolutions_get_branches_and_nothing_changes(network, image):
    before = network(image)
    assert reparameterise(network) == 2
    assert [i for i, m in enumerate(network) if parametrize.is_parametrized(m)] == [0, 4]
    torch.testing.assert_close(network(image), before, rtol=0, atol=255e-6)
    assert is_reparameterised(network)


def test_the_kernel_is_the_sum_of_branches_computed_apart(image):
    """The branches as convolutions of feature maps, each by torch itself."""
    with seeded(0):
        convolution = nn.Conv2d(3, 5, 3, padding=1, bias=False).double()
        reparameterise(convolution)
    x = image.double()
    branches = convolution.parametrizations["weight"][0]
    kernel = convolution.parametrizations["weight"].original
    apart = (
        F.conv2d(x, kernel, padding=1)
        + F.conv2d(x, branches.point)
        + F.conv2d(
            F.conv2d(F.conv2d(x, branches.before), branches.middle, padding=1), branches.after
        )
    )
    torch.testing.assert_close(convolution(x), apart)


def test_folding_a_trained_network_keeps_its_output(network, image):
    config = PixelTrainingConfig(steps=8, learning_rate=1e-2, reparameterise=True, ema=0.5)
    step = PixelStep.of(network, config, seed=3)
    for _ in range(8):
        step.step([(image.to(torch.uint8), torch.zeros(2, 3, 18, 14, dtype=torch.uint8))])
    bare = folded(step.model)
    assert not is_reparameterised(bare)
    assert bare.state_dict().keys() == network.state_dict().keys()
    torch.testing.assert_close(bare(image), step.model(image), rtol=0, atol=255e-4)
    # What is delivered is the average, folded; the network that was given is left as it was.
    delivered = step.deliverable()
    assert not is_reparameterised(delivered)
    assert not torch.equal(delivered[0].weight, bare[0].weight)
    assert not is_reparameterised(network)


def test_gradients_of_the_branches_are_right():
    with seeded(2):
        weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
        branches = Branches(weight)
    parameters = dict(branches.named_parameters())

    def merged(kernel, *values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(branches, named, (kernel,))

    inputs = [weight.requires_grad_(), *(p.detach().requires_grad_() for p in parameters.values())]
    assert torch.autograd.gradcheck(merged, inputs)


def test_a_training_of_branches_resumes_to_the_same_weights(network, image):
    config = PixelTrainingConfig(steps=8, learning_rate=1e-2, reparameterise=True, ema=0.5)
    batch = [(image.to(torch.uint8), torch.zeros(2, 3, 18, 14, dtype=torch.uint8))]
    step = PixelStep.of(network, config, seed=3)
    step.step(batch)
    state = copy.deepcopy(step.state())
    step.step(batch)
    again = PixelStep.of(network, config, seed=3)
    again.restore(state)
    again.step(batch)
    ours, theirs = step.deliverable().state_dict(), again.deliverable().state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
