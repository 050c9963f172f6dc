"""Peak signal-to-noise ratio, as super-resolution papers measure it: 10 log10(255^2 / MSE)."""

from __future__ import annotations

from functools import partial

import torch
from attrs import evolve
from torch import Tensor

from corenas_metrics._pairs import (
    PEAK,
    ProtocolMetric,
    check_and_shave,
    mean_over_tiles,
    split_batches,
)
from corenas_metrics._protocols import PROTOCOLS
from corenas_metrics.config import PSNR, PsnrConfig
from corenas_sr.data import images

_Y_OF_BLACK = 16


def psnr(
    image: Tensor,
    reference: Tensor,
    *,
    shave: int = 0,
    luma: bool = True,
    rounded: bool = False,
) -> Tensor:
    """Peak signal-to-noise ratio of each image, in dB (higher is better).

    A set's value is the mean of its images' values, never that of the mean error.

    Args:
        image: Restored and quantised images in 0..255, shape (N, 3, H, W), uint8 or whole numbers
            in floating point.
        reference: Ground truth, same shape and type.
        shave: Pixels cut off every side first; SR papers use the scale factor.
        luma: Compare only the Y channel of ITU-R BT.601 (studio range), not R, G and B.
        rounded: Round Y to integers, as MATLAB does.

    Returns:
        One float64 value per image, shape (N,); ``inf`` where both are equal.

    Raises:
        ValueError: Shapes or types differ, or values are not whole numbers in 0..255.
        DataError: Shaving leaves nothing.
    """
    image, reference = check_and_shave(image, reference, shave=shave)
    if luma:
        error = mean_over_tiles(partial(_luma_error, rounded=rounded), image, reference)
    else:
        error = torch.cat([_rgb_error(x, y) for x, y in split_batches(image, reference)])
    return 10 * torch.log10(PEAK**2 / error)


def _rgb_error(image: Tensor, reference: Tensor) -> Tensor:
    """Return the mean squared error of each image, exact although the squares are float32."""
    squares = image.float().sub_(reference).square_()
    # Whole numbers, and the sum of 256 of them stays below 2^24.
    chunks = torch.split(squares, 256, dim=-1)
    sums = [chunk.sum(-1).sum((1, 2), dtype=torch.float64) for chunk in chunks]
    return torch.stack(sums).sum(0) / image[0].numel()


def _luma_error(image: Tensor, reference: Tensor, *, rounded: bool) -> Tensor:
    """Return the squared error of Y, summed over a tile."""
    if rounded:
        y, y_reference = (images.luma(x.double(), rounded=True) for x in (image, reference))
        error = y.sub_(y_reference)
    else:
        # Y is linear but for its offset, so one conversion of the difference does for two.
        error = images.luma(image.double().sub_(reference)).sub_(_Y_OF_BLACK)
    return error.square_().sum((1, 2, 3))


def build(config: PsnrConfig) -> ProtocolMetric:
    """Build the component ``psnr``."""
    protocol = PROTOCOLS[config.protocol]
    return ProtocolMetric(psnr, protocol, evolve(PSNR, protocol=protocol.text))
