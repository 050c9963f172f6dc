"""How much of the generator's gradient comes from the discriminator."""

import math

import pytest
import torch
from torch import nn

from corenas.training.networks import seeded
from corenas_sr.features.config import Cut, LossWeights
from corenas_sr.training.adversarial import AdversarialStep
from corenas_sr.training.losses import FeatureLoss, Hinge, RelativisticAverage, StandardAdversarial

RATE = 1e-3
LOSSES = [StandardAdversarial(), RelativisticAverage(), Hinge()]


class Dark(nn.Module):
    """A generator of images of -1, below all of the ground truth."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(-1.0))

    def forward(self, x):
        return self.level.expand(len(x), 3, 16, 16)


class Bright(nn.Module):
    """A discriminator whose gradient at an image is the same in all pixels."""

    def __init__(self):
        super().__init__()
        self.certainty = nn.Parameter(torch.tensor(0.01))

    def forward(self, x):
        return self.certainty * x.mean((1, 2, 3))[:, None]


def step_of(weights, *, loss=LOSSES[0], discriminator=None, **options):
    with seeded(1):
        features = FeatureLoss(nn.Sequential(nn.Conv2d(3, 4, 3)), [Cut(1, 3)])
    return AdversarialStep(
        Dark(),
        Bright() if discriminator is None else discriminator,
        features=features,
        adversarial=loss,
        weights=weights,
        learning_rate=RATE,
        **options,
    )


def batch():
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3, 4, 4), (4, 3, 16, 16)]
    return tuple(torch.randint(0, 256, s, generator=generator, dtype=torch.uint8) for s in shapes)


def test_the_influence_is_the_share_of_the_gradients_norm_at_the_image():
    alpha, gamma = 0.1, 20.0
    step = step_of(LossWeights(pixel=alpha, features=0.0, adversarial=gamma))
    influence = float(step.step([batch()])["influence"])
    # Of n pixels, L1 gives each alpha / n, the other loss gamma * c * sigmoid(-logit) / n;
    # the logit is that of the updated discriminator, -c.
    certainty = step.discriminator.certainty.item()
    assert certainty == pytest.approx(0.01 + RATE, rel=1e-3)
    pull = gamma * certainty / (1 + math.exp(-certainty))
    assert influence == pytest.approx(pull / (pull + alpha), rel=1e-5)


def test_the_generator_learns_the_sum_of_the_terms():
    # Both pull towards brighter images.
    step = step_of(LossWeights(pixel=0.1, features=0.0, adversarial=20.0))
    step.step([batch()])
    pull = 20 * step.discriminator.certainty.item() / (1 + math.exp(-0.011))
    level = step.generator.level
    assert float(level.grad) == pytest.approx(-(0.1 + pull), rel=1e-4)
    assert level.item() == pytest.approx(-1 + RATE)  # Adam's first step


@pytest.mark.parametrize(
    ("weights", "influence"),
    [
        (LossWeights(pixel=0.1, features=0.5, adversarial=0.0), None),
        (LossWeights(pixel=0.0, features=0.0, adversarial=1.0), 1.0),
    ],
)
def test_alone_it_is_all_and_without_weight_there_is_none(weights, influence):
    assert step_of(weights).step([batch()]).get("influence") == influence


def test_where_nothing_pulls_it_is_nothing():
    step = step_of(LossWeights(pixel=0.0, features=0.0, adversarial=1.0))
    with torch.no_grad():
        # A discriminator so sure of fakes being real that its gradient is zero.
        step.discriminator.certainty.fill_(-1e4)
        step.generator.level.fill_(-1e4)
    assert float(step.step([batch()])["influence"]) == 0


@pytest.mark.parametrize("options", [{}, {"r1": 10.0, "ema": 0.9, "balance": 0.9}])
@pytest.mark.parametrize("loss", LOSSES)
def test_all_terms_count_whatever_the_loss_is(loss, options):
    with seeded(2):
        judge = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1))
    weights = LossWeights(pixel=0.3, features=12.0, adversarial=0.1)
    step = step_of(weights, loss=loss, discriminator=judge, **options)
    low, high = batch()
    fake = step.generator(low).detach().clone().requires_grad_()
    scalars = step.step([(low, high)])
    # The discriminator has had its turn, and stays as it is in the generator's.
    real = high.float()
    terms = [
        0.3 * nn.functional.l1_loss(fake, real),
        12.0 * step._features(fake, real),
        0.1 * loss.generator(judge(real).detach() if loss.needs_real else None, judge(fake)),
    ]
    norms = [float(torch.autograd.grad(term, fake)[0].norm()) for term in terms]
    assert min(norms) > 0.01 * max(norms), "each of them has something to say"
    assert float(scalars["influence"]) == pytest.approx(norms[2] / sum(norms), rel=1e-4)
