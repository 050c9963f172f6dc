"""Options of the second half of the recipe ``tpsr``: the search for a discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, component, components, option, section
from corenas_sr.config import PatchTrainingConfig, absolute_file
from corenas_sr.features.config import Adversarial, FeaturesConfig, LossWeights, Network

BASELINES = ("srgan", "esrgan", "random")
"""Discriminators that the searched ones are compared with."""

# In place of VGG19, whose weights are half a gigabyte: shallow, middle and deep features together.
_SQUEEZENET = ("fire2", "fire5", "fire9")

_SLICES = ("slice1", "slice3", "slice5")

PROXY_LAYERS = {
    "vgg19": ("22",),
    "vgg16": ("conv2_2",),
    "alexnet": ("conv2",),
    "squeezenet1_1": _SQUEEZENET,
    "st-vgg16": _SLICES,
    "st-alexnet": _SLICES,
    "random-features": _SQUEEZENET,
}
"""Layers of the search's feature loss, by network."""

FULL_LAYERS = {
    "vgg19": ("54",),
    "vgg16": ("conv5_3",),
    "alexnet": ("conv5",),
    "squeezenet1_1": _SQUEEZENET,
    "st-vgg16": _SLICES,
    "st-alexnet": _SLICES,
    "random-features": _SQUEEZENET,
}
"""Layers of the full task's feature loss, by network."""


@frozen
class PerceptualConfig:
    """Options of stage two: the features and losses that it optimises, and its metric."""

    network: Network = option(
        "vgg19", "ImageNet network whose features the loss compares", paper="vgg19"
    )
    weights: Path | None = option(
        None,
        "file with that network's weights; unset: torchvision's cache, or the package of ST-LPIPS",
        converter=absolute_file,
    )
    download: bool = option(False, "fetch the weights into torchvision's cache if not there")
    distance: Literal["mse", "l1"] = option(
        "mse", "squared or absolute difference of features", paper="mse"
    )
    metric: Chosen = component(
        "metrics", "lpips", "metric of the search, the comparison and the final numbers"
    )
    missing: Literal["refuse", "st-lpips", "random-features"] = option(
        "refuse",
        "where the weights of network or metric are not on this machine: refuse before the start, "
        "go on with the networks of ST-LPIPS (AlexNet in the loss, VGG16 in the metric), or, for "
        "tests, with random features, which know nothing of images",
    )
    losses: LossWeights = section(LossWeights, "weights of the generator's losses")
    adversarial: Adversarial = option(
        "standard",
        "loss of the discriminators of the space and of the generator against them; those of SRGAN "
        "and ESRGAN keep their own, but have r1, balance and ema as all",
        paper="standard",
    )
    r1: float = option(
        0.0,
        "weight of R1, the penalty on a discriminator's gradient at the ground truth; it is meant "
        "for discriminators without batch norm (discriminator.space.batch_norm)",
        paper="none",
        ge=0,
    )
    balance: float | None = option(
        None,
        "share of a batch, real and fake, above which a discriminator that tells so much apart "
        "does not learn from it; unset: it always learns",
        paper="none",
        ge=0.5,
        lt=1,
    )
    ema: float | None = option(
        None,
        "decay of a moving average of the generator's weights, which then is what counts",
        paper="none",
        ge=0,
        lt=1,
    )

    @property
    def weights_of_losses(self) -> LossWeights:
        """The weights of the losses, that of the features settled for the network."""
        return self.losses.settled(self.network)

    def features(self, layers: tuple[str, ...]) -> FeaturesConfig:
        """Return the options of the feature loss on these layers."""
        return FeaturesConfig(self.network, layers, self.weights, self.download, self.distance)


@frozen
class AdversarialProxyConfig:
    """Options of the evaluator ``tpsr-adversarial``, which trains against one discriminator."""

    generator: Path | None = option(
        None,
        "model file that every candidate's generator starts from; unset: the recipe's own",
        converter=absolute_file,
    )
    perceptual: PerceptualConfig | None = option(
        None, "features, losses and metric of the search; unset: as in the recipe"
    )
    layers: tuple[str, ...] = option(
        (),
        "layers of the feature loss; none named: 22 of vgg19, conv2_2 of vgg16, conv2 of alexnet, "
        "fire2, fire5 and fire9 of squeezenet1_1, slice1, slice3 and slice5 of ST-LPIPS's networks",
        paper="22",
    )
    training: PatchTrainingConfig = section(
        PatchTrainingConfig, "the proxy task", steps=50_000, batch=32, patch=24
    )
    evaluations: int = option(
        3, "measurements at the end, of which the best or the mean counts", paper="3", ge=1
    )
    counts: Literal["best", "mean"] = option(
        "best", "which of them counts: the best one with all its numbers, or the mean", paper="best"
    )
    evaluate_every: int = option(1000, "steps from one of them to the next", paper="1000", ge=1)
    trainings: int = option(
        1,
        "trainings of a candidate, from other weights and with other patches; means count",
        paper="1",
        ge=1,
    )
    patches: int | None = option(
        None,
        "seed of the patches with which all candidates are trained, so that luck with them is the "
        "same, in this run and in others with this number; unset: each has patches of its own",
        ge=0,
    )
    metrics: tuple[Chosen, ...] = components(
        "metrics", ("psnr",), "further metrics, beside the perceptual one"
    )
    crops: int = option(32, "fixed validation crops that are measured", ge=1)
    crop_size: int = option(48, "side of those crops", unit="low-resolution pixels", ge=16)

    def __attrs_post_init__(self) -> None:
        first = self.training.steps - (self.evaluations - 1) * self.evaluate_every
        if first < 1:
            raise ConfigError(
                f"evaluations: {self.evaluations} of them, {self.evaluate_every} steps apart, "
                f"do not fit into {self.training.steps} steps"
            )


@frozen
class CompareConfig:
    """Options of the full task, which compares the best discriminators found with known ones."""

    count: int = option(3, "best discriminators of the search that take part", paper="3", ge=0)
    baselines: tuple[str, ...] = option(
        BASELINES, "known discriminators that take part", choices=BASELINES
    )
    trainings: int = option(
        5, "trainings of the generator against each; the best by perceptual.metric counts",
        paper="5", ge=1,
    )  # fmt: skip
    interpolate: tuple[float, ...] = option(
        (0.1, 0.3, 0.5, 0.7, 0.9),
        "shares of the way from the generator to the best training, at each of which a network "
        "between both is handed over",
        paper="none",
        gt=0,
        lt=1,
    )
    layers: tuple[str, ...] = option(
        (),
        "layers of the feature loss; none named: 54 of vgg19, conv5_3 of vgg16, conv5 of alexnet, "
        "and of the others those of the search",
        paper="54",
    )
    keep: Literal["best", "last"] = option(
        "best", "which weights of a training count: the best validated, or the last"
    )
    training: PatchTrainingConfig = section(
        PatchTrainingConfig,
        "the full task",
        steps=450_000,
        batch=16,
        patch=48,
        schedule="multistep",
        milestones=(200_000,),
        validate_every=10_000,
    )

    def __attrs_post_init__(self) -> None:
        if len(set(self.baselines)) < len(self.baselines):
            raise ConfigError(f"baselines: name each once, got {list(self.baselines)}")
        # Files are named by six digits of them.
        names = [f"{share:g}" for share in self.interpolate]
        if sorted(self.interpolate) != list(self.interpolate) or len(set(names)) < len(names):
            raise ConfigError(f"interpolate: ascending, each once, got {list(self.interpolate)}")
        if not self.count and not self.baselines:
            raise ConfigError("count: 0, and no baselines: no discriminator is left")
