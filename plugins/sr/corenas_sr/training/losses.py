"""Losses: of pixels and frequencies, of features, and adversarial (Eq. 8 of Lee et al.)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corenas.errors import DataError
from corenas.training.step import Loss
from corenas_sr.config import PixelLoss
from corenas_sr.features.config import Adversarial, Cut, Distance, FeaturesConfig
from corenas_sr.features.trunks import load_trunk, random_trunk

CHARBONNIER = 1.0
"""Where the Charbonnier loss turns from a square into a slope: one level of 0..255."""


def pixel_loss(name: PixelLoss, *, fft_weight: float = 0.05) -> Loss:
    """Return a loss of images in 0..255, shape (N, 3, H, W) both; it gives a scalar.

    Args:
        name: Which one.
        fft_weight: Weight of the term of ``l1-fft`` that compares frequencies.
    """
    match name:
        case "l1":
            return F.l1_loss
        case "l2":
            return F.mse_loss
        case "charbonnier":
            return charbonnier
        case "l1-fft":
            return lambda image, truth: F.l1_loss(image, truth) + fft_weight * fft_l1(image, truth)


def charbonnier(image: Tensor, truth: Tensor) -> Tensor:
    """Return the mean of sqrt(d^2 + 1), d in levels (Lai et al., arXiv:1710.01992, Eq. 4)."""
    return torch.sqrt((image - truth).square() + CHARBONNIER**2).mean()


def fft_l1(image: Tensor, truth: Tensor) -> Tensor:
    """Return the mean distance of Fourier coefficients (Cho et al., MIMO-UNet, 2108.05054, Eq. 6).

    The transform is the orthonormal one, so the number does not grow with the patch: of white noise
    in the pixels it is about as large as L1.
    """
    coefficients: Tensor = torch.fft.rfft2(image - truth, norm="ortho")
    return coefficients.abs().mean()


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of RGB in [0, 1], by which the trunks' training images were normalised."""

_DISTANCES: dict[Distance, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
}


class FeatureLoss(nn.Module):
    """Distance between two images' features in a frozen network (Johnson et al., Ledig et al.).

    A layer's term is the mean over all elements of its features, not scaled any further; the terms
    of several layers are summed.

    Args:
        trunk: Takes RGB normalised by ImageNet's mean and deviation.
        cuts: The layers.
        distance: Mean of squared differences, or of absolute ones.
    """

    def __init__(
        self, trunk: nn.Sequential, cuts: Sequence[Cut], *, distance: Distance = "mse"
    ) -> None:
        super().__init__()
        self._cuts = frozenset(cut.layers for cut in cuts)
        self._least = max(cut.least for cut in cuts)
        self._distance = _DISTANCES[distance]
        self.trunk = trunk[: max(self._cuts)].requires_grad_(False).eval()
        # A ReLU in place would overwrite the layer before it, which may be one that is compared.
        for module in self.trunk.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Compare images; only ``image`` gets a gradient.

        Args:
            image: RGB in [0, 255], not clamped, shape (N, 3, H, W).
            reference: Ground truth, same shape and range.

        Returns:
            A scalar.

        Raises:
            DataError: The images are too small for the deepest layer.
        """
        height, width = image.shape[-2:]
        if min(height, width) < self._least:
            raise DataError(
                f"patches of {width}x{height} are too small for the features that the loss "
                f"compares: these need {self._least} pixels at least"
            )
        # The ground truth is constant: a graph of its features would double the memory.
        with torch.no_grad():
            targets = self._features(reference)
        pairs = zip(self._features(image), targets, strict=True)
        return torch.stack([self._distance(*pair) for pair in pairs]).sum()

    def _features(self, image: Tensor) -> list[Tensor]:
        x = (image / 255 - self.mean) / self.std
        features = []
        for number, layer in enumerate(self.trunk, start=1):
            x = layer(x)
            if number in self._cuts:
                features.append(x)
        return features


def feature_loss(config: FeaturesConfig) -> FeatureLoss:
    """Build the feature loss that the options describe.

    Raises:
        MissingWeights: There are none; the message says where to get them.
        DataError: The file cannot be read, or the weights in it do not fit.
        CorenasError: The download failed.
    """
    if config.network == "random-features":
        trunk = random_trunk("squeezenet1_1")
    else:
        trunk = load_trunk(config.network, weights=config.weights, download=config.download)
    return FeatureLoss(trunk, config.cuts, distance=config.distance)


WINNING_LOSS = 0.02
"""Mean cross-entropy below which a discriminator is 99 % sure of real and of fake images."""


class AdversarialLoss(Protocol):
    """Losses of discriminator and generator, from logits of shape (N, 1)."""

    needs_real: ClassVar[bool]
    """Whether the generator's loss needs the logits of the ground truth."""

    wins_below: ClassVar[float]
    """Mean loss below which a discriminator tells the generator little; 0 where none does."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss, a scalar."""

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        """Return the generator's loss, a scalar; ``real`` may be None where it is not needed."""


class StandardAdversarial:
    """Binary cross-entropy, non-saturating for the generator (Goodfellow et al., arXiv:1406.2661).

    The discriminator's two terms are summed, not averaged.
    """

    needs_real: ClassVar[bool] = False
    wins_below: ClassVar[float] = WINNING_LOSS

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return _cross_entropy(real, 1) + _cross_entropy(fake, 0)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return _cross_entropy(fake, 1)


class RelativisticAverage:
    """Each side relative to the other's mean logit (section 3.2 of ESRGAN, arXiv:1809.00219).

    Both losses are sums of two terms, not averages.
    """

    needs_real: ClassVar[bool] = True
    wins_below: ClassVar[float] = WINNING_LOSS

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return _cross_entropy(real - fake.mean(), 1) + _cross_entropy(fake - real.mean(), 0)

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        if real is None:
            raise ValueError("the relativistic loss needs the logits of the ground truth")
        return self.discriminator(fake, real)


class Hinge:
    """The hinge loss (Lim and Ye, arXiv:1705.02894; Miyato et al., arXiv:1802.05957, Eq. 16, 17).

    The discriminator's two terms are summed, not averaged. The generator's does not saturate, so a
    discriminator that is sure of both sides still tells it where to go.
    """

    needs_real: ClassVar[bool] = False
    wins_below: ClassVar[float] = 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake.mean()


ADVERSARIAL: Mapping[Adversarial, type[AdversarialLoss]] = {
    "standard": StandardAdversarial,
    "relativistic": RelativisticAverage,
    "hinge": Hinge,
}
"""Adversarial losses by name."""


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return R1 without its weight of gamma / 2 (Mescheder et al., arXiv:1801.04406, Eq. 9).

    Args:
        logits: What a discriminator says of the images, shape (N, 1).
        images: Ground truth in [0, 255], shape (N, 3, H, W), that the logits were computed of and
            that requires a gradient.

    Returns:
        The mean over images of the squared norm of the gradient by their values in [0, 1]. Where a
        discriminator normalises by the batch, an image's gradient has in it what it does to the
        logits of the others.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return (255 * gradient).square().sum((1, 2, 3)).mean()


def _cross_entropy(logits: Tensor, label: int) -> Tensor:
    """Return the mean over the batch of the cross-entropy with one label for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
