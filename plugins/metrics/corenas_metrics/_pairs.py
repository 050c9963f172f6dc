"""Checks, shaving and tiled comparison of images with their ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol as Interface

import torch
from attrs import frozen
from torch import Tensor

from corenas.errors import DataError
from corenas_metrics._filtering import TILE, tiles
from corenas_metrics._protocols import Protocol
from corenas_sr.metric import MetricInfo

PEAK = 255.0


class Measure(Interface):
    """A pure function that compares two batches: `psnr` or `ssim`."""

    def __call__(
        self, image: Tensor, reference: Tensor, *, shave: int, luma: bool, rounded: bool
    ) -> Tensor:
        """Return one float64 value per image, shape (N,)."""


@frozen
class ProtocolMetric:
    """A `corenas_sr.metric.ImageMetric` that compares under one of the named protocols."""

    measure: Measure
    protocol: Protocol
    info: MetricInfo

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        """Measure each image of a batch; see `corenas_sr.metric.ImageMetric`."""
        return self.measure(
            image,
            require_reference(reference),
            shave=self.protocol.shave(scale),
            luma=self.protocol.luma,
            rounded=self.protocol.rounded,
        )


def require_reference(reference: Tensor | None) -> Tensor:
    """Return the ground truth.

    Raises:
        ValueError: There is none.
    """
    if reference is None:
        raise ValueError("this metric compares with a ground truth; none was require_reference")
    return reference


def mean_over_tiles(
    compare: Callable[[Tensor, Tensor], Tensor],
    image: Tensor,
    reference: Tensor,
    *,
    overlap: int = 0,
) -> Tensor:
    """Average a map that compares two batches, computed tile by tile.

    Args:
        compare: From two batches (N, 3, h, w) to the sum over the places of their map, averaged
            over channels, float64 (N,).
        image: Shape (N, 3, H, W).
        reference: Same shape.
        overlap: Rows and columns by which the map is smaller than the image.

    Returns:
        Each image's mean over places, float64 (N,).
    """
    height, width = image.shape[-2:]
    sums = []
    for x, y in split_batches(image, reference):
        total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for rows, columns in tiles(height, width, overlap=overlap):
            total += compare(x[:, :, rows, columns], y[:, :, rows, columns])
        sums.append(total)
    return torch.cat(sums) / ((height - overlap) * (width - overlap))


def split_batches(image: Tensor, reference: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Split two batches into pairs of smaller ones, of about as many pixels as a tile has."""
    together = max(TILE**2 // image[0, 0].numel(), 1)
    return zip(torch.split(image, together), torch.split(reference, together), strict=True)


def check_and_shave(
    image: Tensor, reference: Tensor, *, shave: int, window: int = 1
) -> tuple[Tensor, Tensor]:
    """Check a pair of batches, and cut ``shave`` pixels off every side of both.

    Raises:
        ValueError: Shapes or types differ, values are not whole numbers in 0..255, or ``shave`` is
            negative.
        DataError: What is left is smaller than the metric's window.
    """
    if image.shape != reference.shape or image.dtype != reference.dtype:
        raise ValueError(
            f"image and reference differ: {image.dtype} {tuple(image.shape)} "
            f"and {reference.dtype} {tuple(reference.shape)}"
        )
    check_quantised(image)
    check_quantised(reference)
    if shave < 0:
        raise ValueError(f"shave must be at least 0, got {shave}")
    height, width = image.shape[-2:]
    if min(height, width) - 2 * shave < window:
        raise DataError(
            f"an image of {width}x{height} pixels is too small: with {shave} cut off every side, "
            f"at least {window}x{window} must be left"
        )
    inner = (..., slice(shave, height - shave), slice(shave, width - shave))
    return image[inner], reference[inner]


def check_quantised(image: Tensor) -> None:
    """Refuse all but quantised RGB images, in uint8 or floating point.

    Raises:
        ValueError: The shape is not (N, 3, H, W), or values are not whole numbers in 0..255.
    """
    if image.ndim != 4 or image.shape[1] != 3 or len(image) == 0:
        raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(image.shape)}")
    if image.dtype == torch.uint8:
        return
    # NaN is unequal to its own rounding, so this refuses it too.
    whole = (image == image.round()) & (image >= 0) & (image <= PEAK)
    if not image.is_floating_point() or not bool(whole.all()):
        raise ValueError(
            f"expected uint8, or floating point with whole numbers in 0..255; got {image.dtype} "
            "with other values: quantise restored images first (corenas_sr.data.images.quantise)"
        )
