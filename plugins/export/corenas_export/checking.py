"""The check of an export against torch: three sizes, one of them odd."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from corenas.errors import CorenasError
from corenas_export.format import Exported, Source
from corenas_export.programs import one_line
from corenas_sr.data.images import quantise

_SIZES = ((40, 24), (53, 37), (64, 48))
"""Width and height; the second one is odd, and is checked with two images at once."""


@frozen
class Check:
    """The largest difference from torch, in levels of 0..255, by the size of the images."""

    differences: tuple[tuple[str, float], ...]

    @property
    def largest(self) -> float:
        """The largest of all."""
        return max(difference for _, difference in self.differences)


def check_against_torch(source: Source, exported: Exported) -> Check | None:
    """Compare what an export makes of images of noise with what torch makes of them.

    Returns:
        The differences; None where nothing is installed that could run the export.

    Raises:
        CorenasError: It fails on an image, makes another shape, or differs by more than rounding.
    """
    if exported.run is None:
        return None
    generator = torch.Generator().manual_seed(0)
    found = []
    for number, (width, height) in enumerate(_sizes(source)):
        batch = 2 if number == 1 and exported.batches and source.size is None else 1
        images = torch.randint(0, 256, (batch, 3, height, width), generator=generator).float()
        what = f"{width}x{height}"
        with torch.no_grad():
            expected = source.module(images)
        found.append((what, _compare(what, expected, _run(what, exported, images), exported)))
    return Check(tuple(found))


def _sizes(source: Source) -> tuple[tuple[int, int], ...]:
    if source.size is not None:
        return (source.size,) * len(_SIZES)
    fit = source.sizes.fit
    return tuple((fit(width), fit(height)) for width, height in _SIZES)


def _run(what: str, exported: Exported, images: Tensor) -> Tensor:
    assert exported.run is not None
    try:
        return exported.run(images)
    except Exception as error:  # each runtime stumbles in its own way
        raise CorenasError(
            f"nothing was written: the export fails on an image of {what}: {one_line(error)}"
        ) from error


def _compare(what: str, expected: Tensor, got: Tensor, exported: Exported) -> float:
    """Return the largest difference, in levels."""
    if got.shape != expected.shape:
        raise CorenasError(
            f"nothing was written: of an image of {what} the export makes "
            f"{tuple(got.shape)}, not {tuple(expected.shape)}"
        )
    if exported.rounded:
        # A value on the edge between two levels may go to either; so it is compared unrounded.
        wrong = (got - expected.clamp(0, 255)).abs().max() - 0.5
        difference = (got - quantise(expected).float()).abs().max()
    else:
        difference = wrong = (got - expected).abs().max()
    # Fresh networks have values far outside of 0..255, of which floating point keeps fewer digits.
    unit = max(1.0, float(expected.abs().max()) / 255)
    if exported.tolerance is not None and not float(wrong) <= exported.tolerance * unit:
        raise CorenasError(
            f"nothing was written: for an image of {what} the export differs from torch by "
            f"{float(difference):.3g} of 255 levels; up to {exported.tolerance * unit:.3g} before "
            "rounding would come from the order of sums"
        )
    return float(difference)
