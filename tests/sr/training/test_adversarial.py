"""The adversarial step: who learns from what, in which order, and that it resumes."""

import io

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from corenas import Diverged
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas.training.schedules import cosine
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.features.config import Cut, LossWeights
from corenas_sr.training.adversarial import AdversarialStep
from corenas_sr.training.losses import (
    WINNING_LOSS,
    FeatureLoss,
    Hinge,
    RelativisticAverage,
    StandardAdversarial,
    gradient_penalty,
)

WEIGHTS = LossWeights(pixel=0.02, features=0.5, adversarial=1.5)
RATE = 3e-3
LOSSES = [StandardAdversarial(), RelativisticAverage(), Hinge()]


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x):
        return nn.functional.pixel_shuffle(self.layer(x), 2)


def judge(*, normalise):
    """A discriminator of patches of 16 pixels; ``normalise`` is applied to what has weights.

    No bias stands where a loss does not depend on it: Adam would make large steps of its noise.
    """
    return nn.Sequential(
        normalise(nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        normalise(nn.Linear(4 * 8 * 8, 1, bias=False)),
    )


def networks(*, normalise=lambda layer: layer):
    """A generator, a discriminator and a feature loss, the same ones at each call."""
    with seeded(4):
        trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        return Tiny(), judge(normalise=normalise), FeatureLoss(trunk, [Cut(1, 3)])


def adversarial_step(
    generator, discriminator, features, *, loss=LOSSES[0], weights=WEIGHTS, **options
):
    return AdversarialStep(
        generator,
        discriminator,
        features=features,
        adversarial=loss,
        weights=weights,
        learning_rate=RATE,
        **options,
    )


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(4, 3, 8, 8), (4, 3, 16, 16)]
    return tuple(torch.randint(0, 256, s, generator=generator, dtype=torch.uint8) for s in shapes)


def tensors(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def gradients(module):
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def distance(ours, theirs):
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


# The reference: plain torch, with the formulas of the papers


def losses_of(loss, real, fake):
    """The losses of discriminator and generator."""
    if isinstance(loss, Hinge):
        return (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean(), -fake.mean()
    if isinstance(loss, RelativisticAverage):
        real, fake = real - fake.mean(), fake - real.mean()
    real_is_real, real_is_fake = -real.sigmoid().log().mean(), -(-real).sigmoid().log().mean()
    fake_is_real, fake_is_fake = -fake.sigmoid().log().mean(), -(-fake).sigmoid().log().mean()
    relativistic = isinstance(loss, RelativisticAverage)
    return real_is_real + fake_is_fake, fake_is_real + (real_is_fake if relativistic else 0)


def reference(loss, steps, *, discriminator_first=True):
    """Train both by hand; return their tensors and each step's two losses."""
    generator, discriminator, features = networks()
    adam = {m: torch.optim.Adam(m.parameters(), lr=RATE) for m in (generator, discriminator)}
    losses = []
    for number in range(steps):
        low, high = (images.float() for images in batch(number))
        fake = generator(low)

        def of_discriminator(high=high, fake=fake):
            adam[discriminator].zero_grad()
            value = losses_of(loss, discriminator(high), discriminator(fake.detach()))[0]
            value.backward()
            adam[discriminator].step()
            return value

        def of_generator(high=high, fake=fake):
            adam[generator].zero_grad()
            deceived = losses_of(loss, discriminator(high), discriminator(fake))[1]
            compared = features.trunk(normalised(fake)) - features.trunk(normalised(high))
            value = 0.02 * (fake - high).abs().mean() + 0.5 * (compared**2).mean() + 1.5 * deceived
            value.backward()
            adam[generator].step()
            return value

        turns = [of_discriminator, of_generator]
        values = {turn: turn() for turn in (turns if discriminator_first else turns[::-1])}
        losses.append([values[turn].item() for turn in turns])
    return tensors(generator), tensors(discriminator), losses


def normalised(images):
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return (images / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(deviation).view(3, 1, 1)


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_equal_those_of_plain_torch(loss):
    generator, discriminator, features = networks()
    step = adversarial_step(generator, discriminator, features, loss=loss)
    scalars = [step.step([batch(number)]) for number in range(2)]
    expected, expected_judge, losses = reference(loss, 2)
    assert distance(tensors(generator), expected) < 1e-6
    assert distance(tensors(discriminator), expected_judge) < 1e-6
    for ours, theirs in zip(scalars, losses, strict=True):
        assert [float(ours["discriminator"]), float(ours["loss"])] == pytest.approx(
            theirs, rel=1e-5
        )
    # The reference can tell the order of the turns.
    assert distance(reference(loss, 2, discriminator_first=False)[0], expected) > 1e-5


# Who learns from what


@pytest.mark.parametrize("loss", LOSSES)
def test_generators_turn_leaves_the_discriminator_as_it_is(loss):
    generator, discriminator, features = networks(normalise=spectral_norm)
    step = adversarial_step(generator, discriminator, features, loss=loss)
    before, after_own_turn = tensors(discriminator), []
    step.optimisers[1].register_step_post_hook(
        lambda *_: after_own_turn.append((tensors(discriminator), gradients(discriminator)))
    )
    step.step([batch()])
    ((expected, expected_gradients),) = after_own_turn
    vector = "0.parametrizations.weight.0._u"
    assert not torch.equal(before[vector], expected[vector])  # its own turn moves it
    assert_equal(tensors(discriminator), expected)
    assert_equal(gradients(discriminator), expected_gradients)
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    assert discriminator.training


@pytest.mark.parametrize("loss", LOSSES)
def test_discriminator_is_frozen_and_in_evaluation_mode_in_generators_turn_alone(loss):
    generator, discriminator, features = networks(normalise=spectral_norm)
    turns, normalisations = [], []
    trained = discriminator[0].parametrizations.weight
    discriminator.register_forward_pre_hook(
        lambda module, inputs: turns.append(
            (module.training, trained.original.requires_grad, inputs[0].requires_grad)
        )
    )
    trained[0].register_forward_hook(lambda *_: normalisations.append(1))
    adversarial_step(generator, discriminator, features, loss=loss).step([batch()])
    learning, frozen = (True, True, False), (False, False, True)
    of_real = [(False, False, False)] if loss.needs_real else []
    assert turns == [learning, learning, frozen, *of_real]
    assert len(normalisations) == 2  # once in each turn


def test_generator_learns_nothing_from_the_discriminators_turn():
    generator, discriminator, features = networks()
    received = []
    generator.layer.bias.register_hook(received.append)
    step = adversarial_step(generator, discriminator, features)
    at_update = []
    step.optimisers[1].register_step_pre_hook(lambda *_: at_update.append(len(received)))
    step.step([batch()])
    assert at_update == [0]
    assert len(received) == 1


def test_scalars_are_the_weighted_terms_and_what_the_discriminator_thought():
    generator, discriminator, features = networks()
    low, high = (images.float() for images in batch())
    with torch.no_grad():
        fake = generator(low)
        pixel, perceptual = (fake - high).abs().mean(), features(fake, high)
        real_says, fake_says = (discriminator(images).sigmoid().mean() for images in (high, fake))
    scalars = adversarial_step(generator, discriminator, features).step([batch()])
    assert not any(value.requires_grad for value in scalars.values())
    assert float(scalars["pixel"]) == pytest.approx(0.02 * float(pixel))
    assert float(scalars["features"]) == pytest.approx(0.5 * float(perceptual))
    assert float(scalars["real"]) == pytest.approx(float(real_says))
    assert float(scalars["fake"]) == pytest.approx(float(fake_says))
    terms = sum(float(scalars[name]) for name in ("pixel", "features", "adversarial"))
    assert float(scalars["loss"]) == pytest.approx(terms)


@pytest.mark.parametrize("left_out", ["pixel", "features", "adversarial"])
def test_a_term_of_weight_zero_is_not_computed(left_out):
    generator, discriminator, features = networks()
    calls = {"features": 0, "adversarial": -2}  # the discriminator's own turn
    for name, module in (("features", features), ("adversarial", discriminator)):
        module.register_forward_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
    weights = LossWeights(**{"pixel": 0.02, "features": 0.5, "adversarial": 1.5, left_out: 0.0})
    before = tensors(discriminator)
    scalars = adversarial_step(generator, discriminator, features, weights=weights).step([batch()])
    present = {"pixel", "features", "adversarial"} - {left_out}
    also = {"influence"} if "adversarial" in present else set()
    assert scalars.keys() - {"loss", "discriminator", "real", "fake"} == present | also
    assert float(scalars["loss"]) == pytest.approx(sum(float(scalars[n]) for n in present))
    assert {name for name, count in calls.items() if count} == present - {"pixel"}
    assert distance(tensors(discriminator), before) > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_a_discriminator_that_tells_too_much_apart_does_not_learn(loss):
    """Bright images are real to this one, and the generator's are black: all are told apart."""
    generator, _, features = networks()
    nn.init.zeros_(generator.layer.weight)
    nn.init.zeros_(generator.layer.bias)
    for certainty, learns in ((1.0, False), (-1.0, True)):
        discriminator = Brightness(certainty)
        step = adversarial_step(generator, discriminator, features, loss=loss, balance=0.9)
        assert bool(step.step([batch()])["learnt"]) == learns
        assert (float(discriminator.certainty.detach()) != certainty) == learns


def test_weights_that_are_not_settled_are_refused():
    with pytest.raises(ValueError, match=r"weights\.features is unset"):
        adversarial_step(*networks(), weights=LossWeights())


# In the training loop


def training(step, *, steps=6):
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for number in range(2):
        low = torch.randint(0, 256, (3, 12, 12), generator=generator, dtype=torch.uint8)
        high = low.repeat_interleave(2, 1).repeat_interleave(2, 2)
        pairs.append(ImagePair(str(number), low, high))
    stream = PatchSampler(pairs, scale=2, patch=8, batch=3, seed=1)
    return Training(step, (stream,), steps=steps, schedule=cosine(steps), report_every=2)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("options", [{}, {"r1": 1e-4, "ema": 0.9}], ids=["plain", "r1 and ema"])
def test_resumed_training_gives_the_same_networks(loss, options):
    def begun():
        nets = networks(normalise=spectral_norm)
        return training(adversarial_step(*nets, loss=loss, **options)), nets

    whole, expected = begun()
    scalars = [event.scalars for event in whole.events()]
    interrupted, _ = begun()
    next(interrupted.events())
    buffer = io.BytesIO()
    torch.save(interrupted.state(), buffer)
    buffer.seek(0)
    again, ours = begun()
    again.restore(torch.load(buffer, weights_only=True))
    assert [event.scalars for event in again.events()] == scalars[1:]
    assert_equal(tensors(again.deliverable()), tensors(whole.deliverable()))
    for network, theirs in zip(ours[:2], expected[:2], strict=True):
        assert_equal(tensors(network), tensors(theirs))


def test_both_networks_follow_the_schedule():
    step = adversarial_step(*networks())
    task = training(step, steps=6)
    rates = [[o.param_groups[0]["lr"] for o in step.optimisers] for _ in task.events()]
    expected = [RATE * cosine(6)(done) for done in (1, 3, 5)]
    assert rates == [pytest.approx([rate, rate]) for rate in expected]


def test_the_deliverable_is_the_generator():
    generator, discriminator, features = networks()
    assert adversarial_step(generator, discriminator, features).deliverable() is generator


def test_with_an_average_the_deliverable_is_the_mean_of_late_weights():
    generator, discriminator, features = networks()
    step = adversarial_step(generator, discriminator, features, ema=0.5)
    expected = tensors(generator)
    for number in range(4):
        step.step([batch(number)])
        # The first weights are where the average begins; then its decay rises to 0.5.
        decay = 0.0 if number == 0 else min(0.5, (1 + number) / (10 + number))
        for name, tensor in tensors(generator).items():
            expected[name] = decay * expected[name] + (1 - decay) * tensor
    assert distance(tensors(step.deliverable()), expected) < 1e-6
    assert distance(tensors(generator), expected) > 1e-5


def test_gradient_penalty_of_a_linear_discriminator_is_its_squared_weights():
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 1))
    images = torch.rand(5, 3, 4, 4).mul(255).requires_grad_()
    penalty = gradient_penalty(linear(images), images)
    weight = linear[1].weight
    assert penalty.item() == pytest.approx(255**2 * weight.square().sum().item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, 2 * 255**2 * weight)


def test_r1_is_part_of_the_discriminators_loss_alone():
    with seeded(4):
        generator, features = Tiny(), networks()[2]
        linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1))
    before = linear[1].weight.detach().clone()
    step = adversarial_step(generator, linear, features, r1=1e4)
    scalars = step.step([batch()])
    expected = 1e4 / 2 * 255**2 * float(before.square().sum())
    assert float(scalars["penalty"]) == pytest.approx(expected, rel=1e-5)
    # So large a weight decides the direction of Adam's first step: every weight towards zero.
    moved = linear[1].weight.detach() - before
    assert torch.equal(moved.sign(), -before.sign())
    terms = sum(float(scalars[name]) for name in ("pixel", "features", "adversarial"))
    assert float(scalars["loss"]) == pytest.approx(terms, rel=1e-5)


@pytest.mark.parametrize("broken", ["generator", "discriminator"])
def test_a_network_that_leaves_the_finite_numbers_ends_the_training(broken):
    step = adversarial_step(*networks())
    events = training(step).events()
    next(events)
    with torch.no_grad():
        next(getattr(step, broken).parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="between steps 2 and 4"):
        next(events)


class Brightness(nn.Module):
    """A discriminator that takes bright images for real."""

    def __init__(self, certainty):
        super().__init__()
        self.certainty = nn.Parameter(torch.tensor(certainty))

    def forward(self, x):
        return self.certainty * (x.mean((1, 2, 3)) - 64)[:, None]


@pytest.mark.parametrize(
    ("loss", "certainty", "wins"),
    [
        (StandardAdversarial(), 1.0, True),
        (RelativisticAverage(), 1.0, True),
        (StandardAdversarial(), 0.001, False),
        # Its loss is 0, and its gradient as large as ever.
        (Hinge(), 1.0, None),
    ],
)
def test_a_discriminator_that_wins_outright_is_remarked_on(loss, certainty, wins):
    generator, _, features = networks()
    nn.init.zeros_(generator.layer.weight)
    nn.init.zeros_(generator.layer.bias)
    step = adversarial_step(generator, Brightness(certainty), features, loss=loss)
    event = next(training(step).events())
    assert (event.scalars["discriminator"] < WINNING_LOSS) == (wins is not False)
    assert ("the discriminator wins outright" in event.message) == bool(wins)
    assert bool(event.message) == bool(wins)
