"""Options of perceptual and adversarial losses: features, and the weights of terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.names import nearest
from corenas.options.structuring import option
from corenas_sr.config import absolute_file

Network = Literal[
    "vgg19", "vgg16", "alexnet", "squeezenet1_1", "st-vgg16", "st-alexnet", "random-features"
]
"""An ImageNet classifier, one of ST-LPIPS's, or squeezenet1_1 with random weights."""

Distance = Literal["mse", "l1"]

Adversarial = Literal["standard", "relativistic", "hinge"]
"""A loss of discriminator and generator."""


@frozen
class Cut:
    """A depth of a network at which features are compared.

    ``layers`` is the number of torchvision's layers before it. ``least`` is the least side of an
    image in pixels: of a smaller one, poolings leave nothing at that depth.
    """

    layers: int
    least: int


# Numbers of torchvision's layers. Names are those of the modules in the paper of SqueezeNet.
_SQUEEZENET = {
    "conv1": Cut(1, 3),
    "fire2": Cut(4, 5),
    "fire3": Cut(5, 5),
    "fire4": Cut(7, 9),
    "fire5": Cut(8, 9),
    "fire6": Cut(10, 17),
    "fire7": Cut(11, 17),
    "fire8": Cut(12, 17),
    "fire9": Cut(13, 17),
}

_VGG16 = {
    "conv1_2": Cut(3, 1),
    "relu1_2": Cut(4, 1),
    "conv2_2": Cut(8, 2),
    "relu2_2": Cut(9, 2),
    "conv3_3": Cut(15, 4),
    "relu3_3": Cut(16, 4),
    "conv4_3": Cut(22, 8),
    "relu4_3": Cut(23, 8),
    "conv5_3": Cut(29, 16),
    "relu5_3": Cut(30, 16),
}

_ALEXNET = {
    "conv1": Cut(1, 7),
    "relu1": Cut(2, 7),
    "conv2": Cut(4, 15),
    "relu2": Cut(5, 15),
    "conv3": Cut(7, 31),
    "relu3": Cut(8, 31),
    "conv4": Cut(9, 31),
    "relu4": Cut(10, 31),
    "conv5": Cut(11, 31),
    "relu5": Cut(12, 31),
}

_ST_VGG16 = {
    "slice1": Cut(4, 1),
    "slice2": Cut(10, 4),
    "slice3": Cut(18, 6),
    "slice4": Cut(26, 10),
    "slice5": Cut(34, 18),
}

_ST_ALEXNET = {
    "slice1": Cut(3, 9),
    "slice2": Cut(7, 13),
    "slice3": Cut(11, 21),
    "slice4": Cut(13, 21),
    "slice5": Cut(15, 21),
}

CUTS: Mapping[Network, Mapping[str, Cut]] = {
    "vgg19": {
        "12": Cut(3, 1),
        "22": Cut(8, 2),
        "34": Cut(17, 4),
        "44": Cut(26, 8),
        "54": Cut(35, 16),
    },
    "vgg16": _VGG16,
    "alexnet": _ALEXNET,
    "squeezenet1_1": _SQUEEZENET,
    "st-vgg16": _ST_VGG16,
    "st-alexnet": _ST_ALEXNET,
    "random-features": _SQUEEZENET,
}
"""The layers of each network by name.

VGG19's are the last convolutions before its poolings: ``54`` is the fourth one of the fifth block,
before its ReLU (section 2.2.1 of Ledig et al., arXiv:1609.04802, reads it after the ReLU; EDSR's
code, on which Lee et al. train, before). VGG16's and AlexNet's are a convolution, or the ReLU after
it; the slices of ST-LPIPS's networks end with the ReLU whose features it compares.
"""

FEATURE_WEIGHTS: Mapping[Network, float] = {
    "vgg19": 1.0,
    "vgg16": 1.0,
    "alexnet": 0.4,
    "squeezenet1_1": 0.02,
    "st-vgg16": 0.007,
    "st-alexnet": 400.0,
    "random-features": 1.0,
}
"""Weight of the squared distance of features, by network.

VGG's is the papers' (lambda = 1 of Lee et al.). With the others the term is 2 to 3 for what a
network of 61 K parameters, trained by L1, makes of photographs at x4: it neither drowns the other
terms nor is drowned by them. The features themselves differ by a factor of 70,000.
"""

TITLES = {
    "vgg19": "VGG19",
    "vgg16": "VGG16",
    "alexnet": "AlexNet",
    "squeezenet1_1": "SqueezeNet 1.1",
    "st-vgg16": "ST-LPIPS's VGG16",
    "st-alexnet": "ST-LPIPS's AlexNet",
    "random-features": "random features",
}
"""Networks as people call them."""


def cuts_of(network: str) -> Mapping[str, Cut]:
    """Return the layers of the network of this name.

    Raises:
        KeyError: There is no such network.
    """
    return {str(name): cuts for name, cuts in CUTS.items()}[network]


@frozen
class FeaturesConfig:
    """Options of a perceptual loss: the network, its layers, and the distance."""

    network: Network = option(
        "vgg19",
        "classifier whose features are compared; random-features has no training at all",
        paper="vgg19",
        choices=CUTS,
    )
    layers: tuple[str, ...] = option(
        ("22",),
        "layers whose terms are summed: 12, 22, 34, 44, 54 of vgg19; conv1_2, relu1_2 to relu5_3 "
        "of vgg16; conv1, relu1 to relu5 of alexnet; conv1, fire2 to fire9 of squeezenet1_1; "
        "slice1 to slice5 of ST-LPIPS's networks",
        paper="22 in the proxy, 54 in the full task",
    )
    weights: Path | None = option(
        None,
        "file of that network's weights; unset: torchvision's cache, or the package of ST-LPIPS; "
        "random-features has none",
        converter=absolute_file,
    )
    download: bool = option(False, "fetch the weights into torchvision's cache if not there")
    distance: Distance = option(
        "mse",
        "mean over all features of the squares or the sizes of differences",
        paper="mse",
        choices=get_args(Distance),
    )

    def __attrs_post_init__(self) -> None:
        known = CUTS[self.network]
        for name in self.layers:
            if name not in known:
                raise ConfigError(
                    f"layers: unknown layer {name!r} of {self.network}{nearest(name, known)}"
                )
        if not self.layers or len(set(self.layers)) < len(self.layers):
            raise ConfigError(f"layers: name at least one, each once, got {list(self.layers)}")

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The depths at which features are compared, in the order of ``layers``."""
        return tuple(CUTS[self.network][name] for name in self.layers)

    @property
    def description(self) -> str:
        """The features and the distance, in one line for reports."""
        layers, distance = " + ".join(self.layers), self.distance.upper()
        if self.network == "random-features":
            knowledge = "random weights, they know nothing of images"
            return f"random-features ({knowledge}): {layers}, {distance}"
        trained = "ST-LPIPS v0.0" if self.network.startswith("st-") else "ImageNet"
        source = trained if self.weights is None else f"weights of {self.weights.name}"
        return f"{TITLES[self.network]} features {layers} ({source}), {distance}"


@frozen
class LossWeights:
    """Weights of the generator's loss terms (Eq. 8 of Lee et al.); 0 leaves a term out."""

    pixel: float = option(
        0.01, "weight of L1 between images in [0, 255] (alpha)", paper="0.01", ge=0
    )
    features: float | None = option(
        None,
        "weight of the distance between features (lambda); unset: 1 for vgg19 and vgg16, 0.4 for "
        "alexnet, 0.02 for squeezenet1_1, 0.007 for st-vgg16, 400 for st-alexnet, whose features "
        "are as much larger or smaller",
        paper="1",
        ge=0,
    )
    adversarial: float = option(
        0.005, "weight of what the discriminator says (gamma)", paper="0.005", ge=0
    )

    def __attrs_post_init__(self) -> None:
        if not (self.pixel or self.features is None or self.features or self.adversarial):
            raise ConfigError("one weight of the generator's loss must be greater than 0")

    def settled(self, network: Network) -> LossWeights:
        """Return the weights with that of the features, by default the network's own."""
        if self.features is not None:
            return self
        return evolve(self, features=FEATURE_WEIGHTS[network])
