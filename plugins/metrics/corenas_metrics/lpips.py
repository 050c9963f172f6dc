"""LPIPS, learned perceptual image patch similarity (Zhang et al., CVPR 2018, arXiv:1801.03924).

The arithmetic and the linear layers are those of the package ``lpips``; the trunk's weights are
loaded apart, so that nothing is downloaded unasked. ST-LPIPS (Ghildyal and Liu, arXiv:2207.13686)
is the same arithmetic on networks of its own, with linear layers of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files

import lpips
import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from corenas.errors import ConfigError, DataError
from corenas_metrics._pairs import check_and_shave, require_reference
from corenas_metrics._protocols import LPIPS_NETS, ST_LPIPS_NETS, lpips_text, st_lpips_text
from corenas_metrics.config import (
    LPIPS,
    RANDOM_FEATURES,
    ST_LPIPS,
    LpipsConfig,
    RandomFeaturesConfig,
    StLpipsConfig,
)
from corenas_sr.features.config import cuts_of
from corenas_sr.features.shift_tolerant import linear_layers_in
from corenas_sr.features.trunks import load_trunk, random_trunk, read_shift_tolerant
from corenas_sr.metric import MetricInfo
from corenas_sr.training.losses import IMAGENET_MEAN, IMAGENET_STD

# Pixels that go through the network at once: four images of 512x512, for which VGG takes 2.6 GB.
_BATCH_PIXELS = 2**20


@frozen(eq=False)
class FeatureDistance:
    """A `corenas_sr.metric.ImageMetric`: the weighted distance between two images' features."""

    network: nn.Module
    least: int
    info: MetricInfo
    device: str | None = None

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        """Measure each image of a batch, whole; the scale is not used.

        Raises:
            ValueError: There is no reference, or the images cannot be compared.
            DataError: They are too small for the network.
        """
        image, reference = check_and_shave(
            image, require_reference(reference), shave=0, window=self.least
        )
        device = self.device or image.device
        network = self.network.to(device)
        together = max(_BATCH_PIXELS // (image.shape[-2] * image.shape[-1]), 1)
        pairs = zip(torch.split(image, together), torch.split(reference, together), strict=True)
        # The same images must have the same distance each time, and TF32 would round it.
        with (
            torch.inference_mode(),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            distances = [network(*(_scale_to_unit(x, device) for x in pair)) for pair in pairs]
        return torch.cat(distances).flatten().to(image.device, torch.float64)


def _scale_to_unit(image: Tensor, device: str | torch.device) -> Tensor:
    """Turn 0..255 into -1..1, which the network expects; 0..1 would give other distances."""
    return image.to(device, torch.float32) / 127.5 - 1


def network(net: str, trunk: nn.Sequential) -> lpips.LPIPS:
    """Put a trunk under the linear layers that the package ships for it.

    Args:
        net: ``vgg``, ``alex`` or ``squeeze``.
        trunk: The features of `LPIPS_NETS`' network of that name.
    """
    with warnings.catch_warnings(), torch.device("meta"):
        # It asks torchvision for networks in a way that is deprecated there.
        warnings.simplefilter("ignore")
        model = lpips.LPIPS(net=net, version="0.1", pretrained=False, pnet_rand=True, verbose=False)
    features = trunk.state_dict()
    # Each slice of the trunk numbers its layers as the whole: "slice2.4.weight" is "4.weight".
    state = {f"net.{key}": features[key.partition(".")[2]] for key in model.net.state_dict()}
    model.load_state_dict(state | _linear_layers(net), strict=False, assign=True)
    return model.requires_grad_(False).eval()


def _linear_layers(net: str) -> dict[str, Tensor]:
    with as_file(files(lpips) / "weights" / "v0.1" / f"{net}.pth") as path:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def build(config: LpipsConfig) -> FeatureDistance:
    """Build the component ``lpips``.

    Raises:
        ConfigError: The device cannot be used.
        DataError: There are no weights; the message says where to get them.
        CorenasError: They could not be downloaded.
    """
    if config.device is not None:
        _check_device(config.device)
    net = LPIPS_NETS[config.net]
    trunk = load_trunk(net.trunk, weights=config.weights, download=config.download)
    info = evolve(LPIPS, protocol=lpips_text(config.net), network=net.trunk)
    return FeatureDistance(network(config.net, trunk), net.least, info, config.device)


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    # Without its backend, torch answers in one of these ways.
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device: {device!r} cannot be used: {error}") from error


class ShiftTolerant(nn.Module):
    """ST-LPIPS: squared differences of unit-length features, weighted by channel.

    Args:
        trunk: Ends with the deepest level that is compared.
        cuts: How many of its layers stand before each level's features.
        linear: The weights of each level's channels, shape (1, C, 1, 1).
    """

    def __init__(self, trunk: nn.Sequential, cuts: Sequence[int], linear: Sequence[Tensor]) -> None:
        super().__init__()
        self.trunk = trunk
        self._cuts = frozenset(cuts)
        self.linear = nn.ParameterList(
            nn.Parameter(weights, requires_grad=False) for weights in linear
        )
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor, reference: Tensor) -> Tensor:
        """Return the distances of images in -1..1, shape (N, 3, H, W), as (N,)."""
        levels = zip(self._features(image), self._features(reference), self.linear, strict=True)
        distances = [
            ((_unit(ours) - _unit(theirs)).square() * weights).sum(1).mean((1, 2))
            for ours, theirs, weights in levels
        ]
        return torch.stack(distances).sum(0)

    def _features(self, image: Tensor) -> Iterator[Tensor]:
        x = ((image + 1) / 2 - self.mean) / self.std
        for number, layer in enumerate(self.trunk, start=1):
            x = layer(x)
            if number in self._cuts:
                yield x


def _unit(features: Tensor) -> Tensor:
    """Scale each pixel's features to length 1; those of length 0 stay there."""
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + 1e-10)


def build_shift_tolerant(config: StLpipsConfig) -> FeatureDistance:
    """Build the component ``st-lpips``.

    Raises:
        ConfigError: The device cannot be used.
        DataError: There are no weights; the message says where to get them.
    """
    if config.device is not None:
        _check_device(config.device)
    net = ST_LPIPS_NETS[config.net]
    trunk = load_trunk(net.trunk, weights=config.weights)
    state, path = read_shift_tolerant(net.trunk, config.weights)
    try:
        linear = linear_layers_in(state)
    except KeyError as error:
        raise DataError(f"{path}: holds no linear layers of ST-LPIPS: {error}") from error
    cuts = [cut.layers for cut in cuts_of(net.trunk).values()]
    info = evolve(ST_LPIPS, protocol=st_lpips_text(config.net), network=net.trunk)
    return FeatureDistance(
        ShiftTolerant(trunk, cuts, linear).eval(), net.least, info, config.device
    )


def build_random(config: RandomFeaturesConfig) -> FeatureDistance:
    """Build the component ``random-features``: LPIPS's arithmetic without its knowledge."""
    net = LPIPS_NETS["squeeze"]
    trunk = random_trunk(net.trunk, seed=config.seed)
    return FeatureDistance(network("squeeze", trunk), net.least, RANDOM_FEATURES)
