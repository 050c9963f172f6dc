"""Structural similarity (Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 2004, Eq. 13)."""

from __future__ import annotations

from functools import partial

import torch
from attrs import evolve
from torch import Tensor

from corenas_metrics._filtering import filter_valid, gaussian
from corenas_metrics._pairs import PEAK, ProtocolMetric, check_and_shave, mean_over_tiles
from corenas_metrics._protocols import PROTOCOLS
from corenas_metrics.config import SSIM, SsimConfig
from corenas_sr.data import images

_WINDOW = gaussian(11, 1.5)
_C1 = (0.01 * PEAK) ** 2
_C2 = (0.03 * PEAK) ** 2


def ssim(
    image: Tensor,
    reference: Tensor,
    *,
    shave: int = 0,
    luma: bool = True,
    rounded: bool = False,
) -> Tensor:
    """Structural similarity of each image (1 when equal, higher is better).

    The parameters are those of the authors' ``ssim_index.m``: a Gaussian window of 11x11 with
    sigma 1.5, K1 = 0.01, K2 = 0.03, the mean over all places where the window fits.

    Args:
        image: Restored and quantised images in 0..255, shape (N, 3, H, W), uint8 or whole numbers
            in floating point.
        reference: Ground truth, same shape and type.
        shave: Pixels cut off every side first; SR papers use the scale factor.
        luma: Compare only the Y channel of ITU-R BT.601 (studio range); otherwise the result is
            the mean over R, G and B.
        rounded: Round Y to integers, as MATLAB does.

    Returns:
        One float64 value per image, shape (N,).

    Raises:
        ValueError: Shapes or types differ, or values are not whole numbers in 0..255.
        DataError: Shaving leaves less than the window.
    """
    image, reference = check_and_shave(image, reference, shave=shave, window=len(_WINDOW))
    compare = partial(_similarity, luma=luma, rounded=rounded)
    return mean_over_tiles(compare, image, reference, overlap=len(_WINDOW) - 1)


def _similarity(image: Tensor, reference: Tensor, *, luma: bool, rounded: bool) -> Tensor:
    """Return the sum over the places of a tile, averaged over channels."""
    x, y = (each.double() for each in (image, reference))
    if luma:
        x, y = (images.luma(each, rounded=rounded) for each in (x, y))
    # The formula needs only the sum of both variances, so four filterings do for five.
    moments = torch.stack((x, y, x.square().add_(y.square()), x * y))
    mean_x, mean_y, mean_squares, mean_product = filter_valid(moments, _WINDOW).unbind()
    product, squares = mean_x * mean_y, mean_x.square().add_(mean_y.square())
    covariance, variances = mean_product.sub_(product), mean_squares.sub_(squares)
    # In place, because a temporary costs more than the arithmetic.
    numerator = product.mul_(2).add_(_C1).mul_(covariance.mul_(2).add_(_C2))
    denominator = squares.add_(_C1).mul_(variances.add_(_C2))
    return numerator.div_(denominator).sum((1, 2, 3)) / x.shape[1]


def build(config: SsimConfig) -> ProtocolMetric:
    """Build the component ``ssim``."""
    protocol = PROTOCOLS[config.protocol]
    return ProtocolMetric(ssim, protocol, evolve(SSIM, protocol=protocol.text))
