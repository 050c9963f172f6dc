"""Upscaling of whole images: in tiles where they are large, with the values of the whole image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from weakref import WeakKeyDictionary

import torch
from attrs import frozen
from torch import Tensor, nn

from corenas_sr.data.images import quantise, resize

DEFAULT_TILE = 512
"""Side of a tile in low-resolution pixels, where an image is too large to be done at once."""

_BLIND_OVERLAP = 32
_GRID = 16
_PROBED_RADII = (16, 32, 64, 128)
_KNOWN_RADII: WeakKeyDictionary[nn.Module, int | None] = WeakKeyDictionary()


def upscale(
    model: nn.Module,
    image: Tensor,
    *,
    scale: int,
    tile: int | None = None,
    overlap: int | None = None,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Upscale one image.

    A tile is computed with all the pixels around it that the network sees, so that tiles give the
    values of the whole image. A network that sees everything at once, through global pooling, gets
    the whole image, unless ``tile`` is set; then a warning says that the result differs.

    Args:
        model: A network from and to RGB in 0..255, shape (N, 3, H, W). It is moved to ``device``,
            and used in the mode (training or evaluation) that it is in.
        image: RGB values as uint8, shape (3, H, W).
        scale: The network's up-scaling factor.
        tile: Largest side of a tile in pixels of ``image``. By default an image of at most
            `DEFAULT_TILE` squared pixels is done at once, and a larger one in tiles of that side.
        overlap: How many pixels around a tile are computed with it; by default as many as the
            network sees.
        device: Where to compute.

    Returns:
        RGB values as uint8, shape (3, H * scale, W * scale), on the image's device.

    Raises:
        ValueError: The image has another type or shape, ``tile`` is below 1, ``overlap`` below 0,
            or the network's scale is another.

    Note:
        torch's libraries may choose by the size in which order they sum, so that a value on the
        edge between two levels moves by one. On CPUs tiles of 100 pixels and more of networks with
        up to 48 channels came out equal bit for bit; with 64 channels one value in 10^4 moved.
    """
    _check(image, tile, overlap)
    model.to(device)
    height, width = image.shape[1:]
    side = tile or DEFAULT_TILE
    at_once = max(height, width) <= side if tile else height * width <= side**2
    halo = 0 if at_once else _halo(model, scale, overlap, forced=tile is not None)
    if at_once or halo is None:
        side, halo = max(height, width), 0
    # Channels last, as image files are written.
    result = image.new_empty(height * scale, width * scale, 3).permute(2, 0, 1)
    for rows in _spans(height, side, halo):
        for columns in _spans(width, side, halo):
            window = image[:, rows.first : rows.last, columns.first : columns.last]
            larger = _run(model, window, scale, device)
            inner = larger[:, rows.inner(scale), columns.inner(scale)]
            result[:, rows.outer(scale), columns.outer(scale)] = inner
    return result


def bicubic(image: Tensor, scale: int) -> Tensor:
    """Upscale one uint8 image of shape (3, H, W) as MATLAB's ``imresize`` does."""
    return resize(image, scale)


def receptive_radius(model: nn.Module, *, scale: int) -> int | None:
    """Return how far, in low-resolution pixels, the network looks; None for the whole image.

    A block of pixels that are not a number is sent through a copy of the network. What comes out
    as not a number depends on it, whatever the weights are. More than 128 pixels count as the
    whole image. A network that works on a coarser grid, of up to 16 pixels, looks so far from the
    edge of the grid's cell.
    """
    probed = deepcopy(model).cpu().float().eval()
    for radius in _PROBED_RADII:
        seen = _influence(probed, radius, scale)
        if seen < radius:
            return seen
    return None


def state_radius(model: nn.Module, radius: int | None) -> None:
    """Say how far a network looks that cannot be probed; see `receptive_radius`."""
    _KNOWN_RADII[model] = radius


def _influence(model: nn.Module, margin: int, scale: int) -> int:
    """Return how far a block's influence reaches into a margin around it, at most ``margin``."""
    side = 2 * margin + _GRID
    image = torch.zeros(1, 3, side, side)
    image[..., margin : margin + _GRID, margin : margin + _GRID] = torch.nan
    with torch.no_grad():
        touched = model(image).isnan().any(dim=1)[0].nonzero() // scale
    if not len(touched):
        return 0
    before = margin - int(touched.min())
    after = int(touched.max()) - (margin + _GRID - 1)
    return max(before, after)


def _check(image: Tensor, tile: int | None, overlap: int | None) -> None:
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"expected uint8 (3, H, W), got {image.dtype} {tuple(image.shape)}")
    if tile is not None and tile < 1:
        raise ValueError(f"tile must be at least 1, got {tile}")
    if overlap is not None and overlap < 0:
        raise ValueError(f"overlap must be at least 0, got {overlap}")


def _halo(model: nn.Module, scale: int, overlap: int | None, *, forced: bool) -> int | None:
    """Return how many pixels go around a tile; None where tiles should not be used."""
    if model not in _KNOWN_RADII:
        _KNOWN_RADII[model] = receptive_radius(model, scale=scale)
    radius = _KNOWN_RADII[model]
    if radius is None and not forced:
        return None
    halo = overlap if overlap is not None else radius if radius is not None else _BLIND_OVERLAP
    if radius is None or halo < radius:
        sees = "the whole image" if radius is None else f"{radius} pixels around each"
        warnings.warn(
            f"the network sees {sees}, but tiles overlap by {halo} pixels: "
            "the result differs from that of the whole image",
            stacklevel=3,
        )
    return halo


@frozen
class _Span:
    """Pixels ``start`` to ``stop`` of a line, computed from the wider ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int

    def outer(self, scale: int) -> slice:
        """Return where the result goes in the whole line."""
        return slice(self.start * scale, self.stop * scale)

    def inner(self, scale: int) -> slice:
        """Return where the result is in what was computed."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)


def _spans(size: int, tile: int, halo: int) -> Iterator[_Span]:
    """Cut a line into equal parts of at most ``tile``, each with a halo up to the grid's lines.

    The grid keeps networks in step that work on cells of several pixels.
    """
    count = -(-size // tile)
    bounds = [size * i // count for i in range(count + 1)]
    for start, stop in pairwise(bounds):
        first = max(0, (start - halo) // _GRID * _GRID)
        last = min(size, -(-(stop + halo) // _GRID) * _GRID)
        yield _Span(start, stop, first, last)


def _run(model: nn.Module, image: Tensor, scale: int, device: str | torch.device) -> Tensor:
    """Upscale a uint8 image of shape (3, H, W) at once."""
    # With channels last, a CPU's convolutions sum in one order for almost every size; otherwise
    # tiles would differ from the whole image here and there. It is the faster way besides.
    batch = image[None].to(device, torch.float32).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        larger: Tensor = quantise(model(batch))[0]
    height, width = image.shape[1:]
    if larger.shape != (3, height * scale, width * scale):
        raise ValueError(
            f"the network makes {tuple(larger.shape)} of {tuple(image.shape)}, not ×{scale}"
        )
    return larger.to(image.device)
