"""Options and metadata of the metrics; imported without torch."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from corenas.options.structuring import option
from corenas_metrics._protocols import (
    LPIPS_NETS,
    NIQE_PROTOCOLS,
    PROTOCOLS,
    ST_LPIPS_NETS,
    lpips_text,
    st_lpips_text,
)
from corenas_sr.config import absolute_file
from corenas_sr.metric import MetricInfo

PSNR = MetricInfo("higher", range="0 to inf", unit="dB", protocol=PROTOCOLS["y"].text)
SSIM = MetricInfo("higher", range="-1 to 1", protocol=PROTOCOLS["y"].text)
LPIPS = MetricInfo(
    "lower", range="0 to about 1", protocol=lpips_text("vgg"), network=LPIPS_NETS["vgg"].trunk
)
ST_LPIPS = MetricInfo(
    "lower",
    range="0 to about 1",
    protocol=st_lpips_text("alex"),
    network=ST_LPIPS_NETS["alex"].trunk,
)
NIQE = MetricInfo("lower", reference="none", range="0 to inf", protocol=NIQE_PROTOCOLS["live"].text)
# Never called LPIPS: random weights know nothing of what people see.
RANDOM_FEATURES = MetricInfo(
    "lower",
    range="0 to inf",
    protocol="distance of random features of squeezenet1_1, for tests only",
    network="random-features",
)


@frozen
class PsnrConfig:
    """Options of PSNR."""

    protocol: str = option("y", "channels compared and pixels cut off", choices=PROTOCOLS)


@frozen
class SsimConfig:
    """Options of SSIM."""

    protocol: str = option("y", "channels compared and pixels cut off", choices=PROTOCOLS)


@frozen
class LpipsConfig:
    """Options of LPIPS: the network, its weights, and the device."""

    net: str = option("vgg", "network whose features are compared", choices=LPIPS_NETS)
    weights: Path | None = option(
        None,
        "file of that network's ImageNet weights; torchvision's cache when unset",
        converter=absolute_file,
    )
    download: bool = option(False, "fetch the weights into torchvision's cache if not there")
    device: str | None = option(None, "device that computes; that of the images when unset")


@frozen
class StLpipsConfig:
    """Options of ST-LPIPS: the network, its weights, and the device."""

    net: str = option("alex", "network whose features are compared", choices=ST_LPIPS_NETS)
    weights: Path | None = option(
        None,
        "file of that network's weights; that of the package stlpips_pytorch when unset",
        converter=absolute_file,
    )
    device: str | None = option(None, "device that computes; that of the images when unset")


@frozen
class RandomFeaturesConfig:
    """Options of the random features."""

    seed: int = option(0, "seed of the weights")


@frozen
class NiqeConfig:
    """Options of NIQE: the protocol, and the model of pristine photographs."""

    protocol: str = option("live", "plane measured and pixels cut off", choices=NIQE_PROTOCOLS)
    model: Path | None = option(
        None, "file of a pristine model of your own; LIVE's when unset", converter=absolute_file
    )
