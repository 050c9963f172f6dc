"""Windows, and images cut into tiles that fit the processor's cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

TILE = 256
"""Side of a tile in pixels; the temporaries of larger ones fall out of the cache."""


def gaussian(size: int, sigma: float) -> list[float]:
    """Return ``size`` (odd) weights of a Gaussian window, summing to one."""
    middle = size // 2
    weights = [math.exp(-((k - middle) ** 2) / (2 * sigma**2)) for k in range(size)]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def filter_valid(images: Tensor, window: Sequence[float]) -> Tensor:
    """Filter rows and columns with a symmetric window, without padding.

    Args:
        images: Floating point, shape (..., H, W).
        window: The K weights of one dimension.

    Returns:
        Shape (..., H - K + 1, W - K + 1).
    """
    return _filter_last(_filter_last(images.mT, window).mT, window)


def _filter_last(images: Tensor, window: Sequence[float]) -> Tensor:
    length = images.shape[-1] - len(window) + 1
    filtered = images.narrow(-1, 0, length) * window[0]
    for k in range(1, len(window)):
        filtered.add_(images.narrow(-1, k, length), alpha=window[k])
    return filtered


def tiles(height: int, width: int, *, overlap: int = 0) -> Iterator[tuple[slice, slice]]:
    """Cut an image into rows and columns of tiles.

    Neighbours share ``overlap`` pixels, so filtering each tile without padding, by a window of
    ``overlap + 1``, gives every pixel of the whole image's result once.
    """
    for top in range(0, height - overlap, TILE):
        for left in range(0, width - overlap, TILE):
            bottom, right = top + TILE + overlap, left + TILE + overlap
            yield slice(top, min(bottom, height)), slice(left, min(right, width))
