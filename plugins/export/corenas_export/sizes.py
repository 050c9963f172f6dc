"""Which images a network takes, found by trying."""

from __future__ import annotations

import torch
from torch import nn

from corenas.errors import DataError, InputError
from corenas_export.format import Sizes
from corenas_export.programs import one_line

_SIDES = (1, 2, 4, 8, 16, 32, 64)


def find_sizes(module: nn.Module, scale: int) -> Sizes:
    """Find the sizes of images that a network takes, among powers of two up to 64.

    Raises:
        DataError: It takes none of them.
    """
    smallest = next((side for side in _SIDES if not problem_of(module, scale, side, side)), None)
    if smallest is None:
        raise DataError(
            "the network takes no square image of up to 64 pixels: "
            f"{problem_of(module, scale, _SIDES[-1], _SIDES[-1])}"
        )
    base = _SIDES[-1]
    multiple = next((m for m in _SIDES if not problem_of(module, scale, base + m, base + m)), base)
    return Sizes(max(smallest, multiple), multiple)


def describe(sizes: Sizes) -> str:
    """Return what a user has to know of the sizes; nothing where a network takes all."""
    parts = []
    if sizes.smallest > 1:
        parts.append(f"at least {sizes.smallest} pixels")
    if sizes.multiple > 1:
        parts.append(f"multiples of {sizes.multiple}")
    return f"the network takes only images whose sides are {' and '.join(parts)}" if parts else ""


def check_size(module: nn.Module, scale: int, size: tuple[int, int]) -> None:
    """Check that a network takes images of one width and height.

    Raises:
        InputError: It does not.
    """
    width, height = size
    if problem := problem_of(module, scale, width, height):
        raise InputError(f"--input {width}x{height}: the network cannot take it: {problem}")


def problem_of(module: nn.Module, scale: int, width: int, height: int) -> str:
    """Return why a network makes nothing of an image of this size, or an empty string."""
    try:
        with torch.no_grad():
            larger = module(torch.zeros(1, 3, height, width))
    except (RuntimeError, ValueError, IndexError) as error:
        return one_line(error)
    expected = (1, 3, height * scale, width * scale)
    if tuple(larger.shape) != expected:
        return f"it makes {tuple(larger.shape)} of it, not {expected}"
    return ""
