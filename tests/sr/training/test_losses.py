"""Perceptual and adversarial losses, against formulas in NumPy and torchvision's own layers."""

import math
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from corenas import ConfigError, DataError, structure
from corenas_sr.features.config import (
    CUTS,
    FEATURE_WEIGHTS,
    TITLES,
    Cut,
    FeaturesConfig,
    LossWeights,
)
from corenas_sr.features.trunks import random_trunk
from corenas_sr.training.losses import (
    FeatureLoss,
    RelativisticAverage,
    StandardAdversarial,
    feature_loss,
)

ALL_CUTS = [
    (net, name) for net in ("vgg19", "vgg16", "alexnet", "squeezenet1_1") for name in CUTS[net]
]


def images(side=24, *, seed=0):
    """Two batches that leave [0, 255], as a generator does."""
    generator = torch.Generator().manual_seed(seed)
    return 300 * torch.rand(2, 2, 3, side, side, generator=generator) - 20


@cache
def empty(network):
    with torch.device("meta"):
        return torchvision.models.get_model(network, weights=None).features


def convolutions(side=2):
    """A trunk whose compared layers stand before ReLUs that work in place."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 4, side), nn.ReLU(inplace=True), nn.Conv2d(4, 5, side), nn.ReLU()
        )


# Features


@pytest.mark.parametrize(("network", "name"), ALL_CUTS)
def test_a_cut_is_the_layer_of_its_name(network, name):
    cut = CUTS[network][name]
    layers = list(empty(network))[: cut.layers]
    kinds = [type(layer).__name__ for layer in layers]
    if network == "vgg19":
        last_pool = max((i for i, kind in enumerate(kinds) if kind == "MaxPool2d"), default=-1)
        block = kinds.count("MaxPool2d") + 1
        assert name == f"{block}{kinds[last_pool + 1 :].count('Conv2d')}"
        assert kinds[-1] == "Conv2d"  # before its ReLU
    elif network == "vgg16":
        last_pool = max((i for i, kind in enumerate(kinds) if kind == "MaxPool2d"), default=-1)
        block = kinds.count("MaxPool2d") + 1
        last = {"Conv2d": "conv", "ReLU": "relu"}[kinds[-1]]
        assert name == f"{last}{block}_{kinds[last_pool + 1 :].count('Conv2d')}"
    elif network == "alexnet":
        last = {"Conv2d": "conv", "ReLU": "relu"}[kinds[-1]]
        assert name == f"{last}{kinds.count('Conv2d')}"
    elif name == "conv1":
        assert kinds == ["Conv2d"]
    else:
        assert name == f"fire{kinds.count('Fire') + 1}"
        assert kinds[-1] == "Fire"


@pytest.mark.parametrize(
    ("network", "layer", "name"),
    [("vgg16", 28, "conv5_3"), ("vgg16", 29, "relu5_3"), ("alexnet", 10, "conv5")],
)
def test_features_of_real_weights_are_those_of_torchvision(network, layer, name):
    """Torchvision's own network and normalisation, up to the layer with that number."""
    folder = os.environ.get("CORENAS_DATA")
    if not folder:
        pytest.skip("CORENAS_DATA, the folder that holds weights, is not set")
    file = Path(folder) / "weights" / f"{network}_features.pth"
    whole = torchvision.models.get_model(network, weights=None).features.eval()
    whole.load_state_dict(torch.load(file, weights_only=True))
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    generator = torch.Generator().manual_seed(0)
    image, truth = 255 * torch.rand(2, 1, 3, 48, 64, generator=generator)
    with torch.no_grad():
        ours, theirs = (whole[: layer + 1](normalise(x / 255)) for x in (image, truth))
        loss = feature_loss(FeaturesConfig(network, (name,), file))
        assert float(loss(image, truth)) == pytest.approx(
            float((ours - theirs).square().mean()), rel=1e-5
        )
    assert (type(whole[layer]).__name__ == "ReLU") == name.startswith("relu")


def test_the_cuts_of_the_specification():
    assert (CUTS["vgg19"]["22"].layers, CUTS["vgg19"]["54"].layers) == (8, 35)
    assert CUTS["random-features"] == CUTS["squeezenet1_1"]


@pytest.mark.parametrize(("network", "name"), ALL_CUTS)
def test_the_least_side_is_the_least_that_torchvision_takes(network, name):
    cut = CUTS[network][name]
    trunk = empty(network)[: cut.layers]
    assert trunk(torch.empty(1, 3, cut.least, cut.least, device="meta")).numel()
    if cut.least > 1:
        with pytest.raises(RuntimeError):
            trunk(torch.empty(1, 3, cut.least - 1, cut.least - 1, device="meta"))


@pytest.mark.parametrize(("distance", "power"), [("mse", 2), ("l1", 1)])
def test_images_are_normalised_as_imagenet_is(distance, power):
    image, reference = images()
    difference = (image.numpy().astype(np.float64) - reference.numpy()) / 255
    deviation = np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1)
    expected = np.mean(np.abs(difference / deviation) ** power)
    loss = FeatureLoss(nn.Sequential(nn.Identity()), [Cut(1, 1)], distance=distance)
    assert float(loss(image, reference)) == pytest.approx(expected, rel=1e-5)


def test_the_mean_colour_of_imagenet_is_zero_to_the_trunk():
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    seen = []
    trunk = nn.Sequential(nn.Identity())
    trunk[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    FeatureLoss(trunk, [Cut(1, 1)])((255 * mean).expand(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    grey = [(0 - m) / s for m, s in [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]]
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(grey)  # the reference comes first
    assert float(seen[1].abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("layers", "distance"), [(("fire5",), "mse"), (("conv1", "fire3", "fire9"), "l1")]
)
def test_the_loss_is_the_sum_over_layers_of_mean_distances(layers, distance):
    image, reference = images()
    config = FeaturesConfig("random-features", layers, distance=distance)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    trunk, expected = random_trunk("squeezenet1_1"), 0.0
    for cut in config.cuts:
        ours, theirs = (
            trunk[: cut.layers]((batch / 255 - mean) / deviation).numpy().astype(np.float64)
            for batch in (image, reference)
        )
        difference = np.abs(ours - theirs)
        expected += np.mean(difference**2 if distance == "mse" else difference)
    assert float(feature_loss(config)(image, reference)) == pytest.approx(expected, rel=1e-5)


def test_a_layer_is_compared_as_it_is_before_its_relu():
    image, reference = images()
    both = FeatureLoss(convolutions(), [Cut(1, 2), Cut(3, 3)])
    each = [FeatureLoss(convolutions(), [cut]) for cut in (Cut(1, 2), Cut(3, 3))]
    expected = sum(float(loss(image, reference)) for loss in each)
    assert float(both(image, reference)) == pytest.approx(expected, rel=1e-6)
    both(image.requires_grad_(), reference).backward()


def test_only_the_first_image_gets_a_gradient_and_the_trunk_never_trains():
    image, reference = (batch.clone().requires_grad_() for batch in images())
    loss = FeatureLoss(convolutions(), [Cut(3, 3)])
    loss(image, reference).backward()
    assert float(image.grad.abs().sum()) > 0
    assert reference.grad is None
    assert not any(parameter.requires_grad for parameter in loss.parameters())
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_the_trunk_ends_with_its_deepest_layer():
    assert len(feature_loss(FeaturesConfig("random-features", ("fire4", "conv1"))).trunk) == 7


def test_patches_that_are_too_small_are_refused():
    loss = feature_loss(FeaturesConfig("random-features", ("fire9",)))
    loss(*images(17))
    with pytest.raises(DataError, match=r"patches of 16x16 .* need 17 pixels"):
        loss(*images(16))


def test_weights_come_from_the_named_file(tmp_path):
    trunk = random_trunk("squeezenet1_1", seed=7)
    torch.save(trunk.state_dict(), tmp_path / "weights.pth")
    config = FeaturesConfig("squeezenet1_1", ("fire2",), weights=tmp_path / "weights.pth")
    pair = images()
    expected = FeatureLoss(trunk, config.cuts)(*pair)
    assert torch.equal(feature_loss(config)(*pair), expected)


def test_missing_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError, match="the weights of vgg19 are not on this machine"):
        feature_loss(FeaturesConfig())


# Options


def test_an_unknown_layer_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^layers: .*'fir5' of squeezenet1_1.*mean 'fire5'\?"):
        structure(FeaturesConfig, {"network": "squeezenet1_1", "layers": ["fir5"]})
    with pytest.raises(ConfigError, match="'22' of squeezenet1_1; allowed: conv1, fire2"):
        FeaturesConfig("squeezenet1_1")
    with pytest.raises(ConfigError, match="'vgg18'; did you mean 'vgg19'"):
        FeaturesConfig("vgg18")


@pytest.mark.parametrize("layers", [(), ("22", "22")])
def test_layers_are_named_once_each(layers):
    with pytest.raises(ConfigError, match="layers: name at least one, each once"):
        FeaturesConfig(layers=layers)


def test_weights_are_found_again_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert structure(FeaturesConfig, {"weights": "w.pth"}).weights == tmp_path / "w.pth"


def test_features_are_described_honestly(tmp_path):
    assert FeaturesConfig().description == "VGG19 features 22 (ImageNet), MSE"
    named = FeaturesConfig("squeezenet1_1", ("fire3", "fire9"), tmp_path / "my.pth", distance="l1")
    assert named.description == "SqueezeNet 1.1 features fire3 + fire9 (weights of my.pth), L1"
    assert FeaturesConfig("random-features", ("fire5",), tmp_path / "my.pth").description == (
        "random-features (random weights, they know nothing of images): fire5, MSE"
    )


def test_a_loss_without_terms_is_refused():
    paper = LossWeights(pixel=0.01, features=1.0, adversarial=0.005)
    assert LossWeights().settled("vgg19") == LossWeights().settled("vgg16") == paper
    assert LossWeights(features=3.0).settled("st-alexnet").features == 3.0
    assert CUTS.keys() == FEATURE_WEIGHTS.keys() == TITLES.keys()
    with pytest.raises(ConfigError, match="greater than 0"):
        LossWeights(pixel=0.0, features=0.0, adversarial=0.0)
    with pytest.raises(ConfigError, match="pixel: must be at least 0"):
        LossWeights(pixel=-1.0)


# Adversarial losses

REAL, FAKE = np.array([0.3, -1.2, 4.0, 0.0]), np.array([-0.7, 2.5, 0.1, -3.0])


def logits():
    return [torch.tensor(side, dtype=torch.float32)[:, None] for side in (REAL, FAKE)]


def minus_log_probability(logits, label):
    """-log of the probability of a label, as it is written in papers."""
    probability = 1 / (1 + np.exp(-logits))
    return float(np.mean(-np.log(probability if label else 1 - probability)))


def test_standard_loss_equals_the_formula():
    loss, (real, fake) = StandardAdversarial(), logits()
    expected = minus_log_probability(REAL, 1) + minus_log_probability(FAKE, 0)
    assert float(loss.discriminator(real, fake)) == pytest.approx(expected, rel=1e-6)
    expected = minus_log_probability(FAKE, 1)
    assert float(loss.generator(None, fake)) == pytest.approx(expected, rel=1e-6)
    assert not loss.needs_real


def test_relativistic_average_loss_equals_the_formula():
    loss, (real, fake) = RelativisticAverage(), logits()
    real_against, fake_against = REAL - FAKE.mean(), FAKE - REAL.mean()
    expected = minus_log_probability(real_against, 1) + minus_log_probability(fake_against, 0)
    assert float(loss.discriminator(real, fake)) == pytest.approx(expected, rel=1e-6)
    expected = minus_log_probability(fake_against, 1) + minus_log_probability(real_against, 0)
    assert float(loss.generator(real, fake)) == pytest.approx(expected, rel=1e-6)
    assert loss.needs_real
    with pytest.raises(ValueError, match="needs the logits of the ground truth"):
        loss.generator(None, fake)


@pytest.mark.parametrize("loss", [StandardAdversarial(), RelativisticAverage()])
def test_an_undecided_discriminator_loses_twice_log_two(loss):
    zero = torch.zeros(3, 1)
    assert float(loss.discriminator(zero, zero)) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("loss", [StandardAdversarial(), RelativisticAverage()])
def test_logits_of_any_size_give_finite_gradients(loss):
    sure = [torch.full((3, 1), value, requires_grad=True) for value in (200.0, -200.0)]
    (loss.discriminator(*sure) + loss.generator(*sure)).backward()
    assert all(bool(side.grad.isfinite().all()) for side in sure)
    assert float(sure[1].grad.sum()) < 0  # the generator is still told where to go
