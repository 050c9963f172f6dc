"""Separable Gaussian filtering in strips: what SSIM and NIQE share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

# Larger temporaries fall out of the processor's cache: 128 rows of a 512-pixel image.
STRIP_PIXELS = 2**16


def gaussian(size: int, sigma: float) -> list[float]:
    """Return ``size`` (odd) weights of a Gaussian window, summing to one."""
    middle = size // 2
    weights = [math.exp(-((k - middle) ** 2) / (2 * sigma**2)) for k in range(size)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def filter_valid(images: Tensor, window: Sequence[float]) -> Tensor:
    """Filter rows and columns with a symmetric window of odd size, without padding.

    Args:
        images: Floating point, shape (..., H, W).
        window: The K weights of one dimension.

    Returns:
        Shape (..., H - K + 1, W - K + 1).
    """
    return _filter_last(_filter_last(images.mT, window).mT, window)


def _filter_last(images: Tensor, window: Sequence[float]) -> Tensor:
    middle = len(window) // 2
    length = images.shape[-1] - 2 * middle
    filtered = images.narrow(-1, middle, length) * window[middle]
    for k in range(middle):
        mirrored = images.narrow(-1, len(window) - 1 - k, length)
        filtered.add_(images.narrow(-1, k, length) + mirrored, alpha=window[k])
    return filtered


def strips(height: int, width: int, *, overlap: int = 0) -> Iterator[slice]:
    """Cut the rows of an image into strips small enough for the cache.

    Neighbours share ``overlap`` rows, so filtering each strip without padding, by a window of
    ``overlap + 1``, gives every row of the whole image's result once.
    """
    rows = max(STRIP_PIXELS // width, 2 * overlap, 1)
    for start in range(0, height - overlap, rows):
        yield slice(start, min(start + rows + overlap, height))
