"""Images of any size through a network of one: in windows that overlap by what it sees."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Protocol

import torch.nn.functional as F
from attrs import frozen
from torch import Tensor


class FixedNetwork(Protocol):
    """A network that takes images of one size only."""

    scale: int
    radius: int | None

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width."""

    def run(self, images: Tensor) -> Tensor:
        """Upscale images of that size."""


_BLIND_OVERLAP = 32

_GRID = 16
"""Windows begin at multiples of it where they can: some networks work on cells of pixels."""


def in_windows(network: FixedNetwork, images: Tensor) -> Tensor:
    """Upscale images of any size.

    Windows overlap by what the network sees, so that a larger image comes out as it would at once.
    There are two exceptions: a network that sees more than half a window, of which a warning says
    so; and one that works on cells of a grid, whose last window in a line is out of step where
    what the image is larger by is no multiple of 16. A smaller image is padded by repeating its
    border, which changes what is near there.

    Args:
        network: The network.
        images: RGB in 0..255, shape (N, 3, H, W).

    Returns:
        Shape (N, 3, H * scale, W * scale).
    """
    assert network.size is not None
    height, width = network.size
    rows, columns = images.shape[-2:]
    if (rows, columns) == network.size:
        return network.run(images)
    _warn(network, rows, columns)
    padded = F.pad(images, (0, max(0, width - columns), 0, max(0, height - rows)), mode="replicate")
    tall, wide = padded.shape[-2:]
    scale = network.scale
    larger = images.new_empty(*images.shape[:2], tall * scale, wide * scale)
    for down in _spans(tall, height, network.radius):
        for across in _spans(wide, width, network.radius):
            window = padded[..., down.first : down.first + height, :]
            window = window[..., across.first : across.first + width]
            made = network.run(window.contiguous())
            inner = made[..., down.inner(scale), across.inner(scale)]
            larger[..., down.outer(scale), across.outer(scale)] = inner
    return larger[..., : rows * scale, : columns * scale]


def _warn(network: FixedNetwork, rows: int, columns: int) -> None:
    assert network.size is not None
    height, width = network.size
    if rows < height or columns < width:
        warnings.warn(
            f"the network takes images of {width}x{height} only; one of {columns}x{rows} is "
            "padded, so that the result differs near the padding",
            stacklevel=4,
        )
    radius = network.radius
    if radius is None or 2 * radius >= min(height, width):
        sees = "the whole image" if radius is None else f"{radius} pixels around each"
        warnings.warn(
            f"the network sees {sees}, but takes images of {width}x{height} only: the result "
            "differs from that of the whole image",
            stacklevel=4,
        )


@frozen
class _Span:
    """Pixels ``start`` to ``stop`` of a line, from a window that begins at ``first``."""

    start: int
    stop: int
    first: int

    def outer(self, scale: int) -> slice:
        """Return where the result goes in the whole line."""
        return slice(self.start * scale, self.stop * scale)

    def inner(self, scale: int) -> slice:
        """Return where the result is in the window."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)


def _spans(size: int, window: int, radius: int | None) -> Iterator[_Span]:
    """Cover a line of at least a window's length by windows."""
    halo = min(_BLIND_OVERLAP if radius is None else radius, (window - 1) // 2)
    # Rounding down must leave something new in each window.
    step = _GRID if window - 2 * halo >= _GRID else 1
    start = 0
    while start < size:
        first = min(max(0, start - halo) // step * step, size - window)
        stop = size if first + window == size else first + window - halo
        yield _Span(start, stop, first)
        start = stop
