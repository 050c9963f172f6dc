"""LPIPS, learned perceptual image patch similarity (Zhang et al., CVPR 2018, arXiv:1801.03924).

The arithmetic and the linear layers are those of the package ``lpips``; the trunk's weights are
loaded apart, so that nothing is downloaded unasked.
"""

from __future__ import annotations

import warnings
from importlib.resources import as_file, files

import lpips
import torch
from attrs import evolve, frozen
from torch import Tensor, nn

from corenas.errors import ConfigError
from corenas_metrics._pairs import check_and_shave, require_reference
from corenas_metrics._protocols import LPIPS_NETS, lpips_text
from corenas_metrics.config import LPIPS, RANDOM_FEATURES, LpipsConfig, RandomFeaturesConfig
from corenas_sr.metric import MetricInfo
from corenas_sr.training.trunks import load_trunk, random_trunk

# Pixels that go through the network at once: four images of 512x512, for which VGG takes 2.6 GB.
_BATCH_PIXELS = 2**20


@frozen(eq=False)
class FeatureDistance:
    """A `corenas_sr.metric.ImageMetric`: the weighted distance between two images' features."""

    network: lpips.LPIPS
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
    info = evolve(LPIPS, protocol=lpips_text(config.net))
    return FeatureDistance(network(config.net, trunk), net.least, info, config.device)


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    # Without its backend, torch answers in one of these ways.
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device: {device!r} cannot be used: {error}") from error


def build_random(config: RandomFeaturesConfig) -> FeatureDistance:
    """Build the component ``random-features``: LPIPS's arithmetic without its knowledge."""
    net = LPIPS_NETS["squeeze"]
    trunk = random_trunk(net.trunk, seed=config.seed)
    return FeatureDistance(network("squeeze", trunk), net.least, RANDOM_FEATURES)
