"""Images as uint8 tensors: reading, writing, luma, and MATLAB's bicubic resize.

An image is RGB with values 0..255, shape (3, H, W); a batch is (N, 3, H, W).
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from corenas.errors import CorenasError, DataError
from corenas.files import atomic_write

# Named, because Pillow would also hand PostScript and the like to outside programs.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""How the names of image files end, in lower case."""

_READABLE_MODES = frozenset({"1", "L", "P", "RGB"})
_UNREADABLE = (
    OSError,
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
)


def read_image(path: str | Path) -> Tensor:
    """Read an 8-bit image; greyscale becomes RGB, a camera's rotation flag is obeyed.

    Returns:
        RGB values as uint8, shape (3, H, W), channels last in memory.

    Raises:
        DataError: The file is missing, damaged, no image, animated, or has transparency or more
            than 8 bits per channel.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            reason = _refusal(image)
            if reason:
                raise DataError(f"{path}: {reason}")
            pixels = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except _UNREADABLE as error:
        raise DataError(f"{path}: {_what_is_wrong(error)}") from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _refusal(image: Image.Image) -> str:
    """Return why an opened image cannot be used, or nothing."""
    # Phones store a preview as the second frame of a JPEG; the first is the photograph.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return "animated or several pages; one still image is needed"
    if image.has_transparency_data:
        return "has transparency (alpha); flatten it to RGB first"
    if image.mode.startswith(("I", "F")) or _sixteen_bit_colour(image):
        return "more than 8 bits per channel; convert it to 8-bit RGB first"
    if image.mode not in _READABLE_MODES:
        return f"colour mode {image.mode}; only RGB and greyscale are read"
    return ""


def _sixteen_bit_colour(image: Image.Image) -> bool:
    """Pillow opens 16-bit colour as RGB and drops the low bytes: only the decoder's mode tells."""
    tiles = getattr(image, "tile", [])
    return any("RGB;16" in str(tile[3]) for tile in tiles)


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not an image of a known format ({', '.join(FORMATS)})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged image: {error}"


def write_image(path: str | Path, image: Tensor) -> None:
    """Write a PNG file; it appears whole or not at all.

    Args:
        path: Where to, ending in ``.png``.
        image: RGB values as uint8, shape (3, H, W).

    Raises:
        DataError: The name does not end in ``.png``.
        CorenasError: The file cannot be written.
        ValueError: ``image`` has another type or shape.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: images are written as PNG; give a name that ends in .png")
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"expected uint8 (3, H, W), got {image.dtype} {tuple(image.shape)}")
    try:
        with atomic_write(path) as file:
            Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(file, format="PNG")
    except OSError as error:
        raise CorenasError(f"{path}: cannot be written: {error.strerror or error}") from error


def luma(images: Tensor, *, rounded: bool = False) -> Tensor:
    """Y of ITU-R BT.601 in studio range: 16 for black, 235 for white.

    Args:
        images: RGB values in 0..255, shape (N, 3, H, W).
        rounded: Round to integers, half up, as MATLAB's ``rgb2ycbcr`` does with uint8.

    Returns:
        Shape (N, 1, H, W), in the type of ``images``; float64 for uint8.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"expected images of shape (N, 3, H, W), got {tuple(images.shape)}")
    red, green, blue = (images if images.is_floating_point() else images.double()).unbind(1)
    y = (16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255).unsqueeze(1)
    return _round_half_up(y) if rounded else y


def quantise(images: Tensor) -> Tensor:
    """Round to uint8 and clamp to 0..255, as before every metric; halves go up, as in MATLAB.

    Raises:
        DataError: A value is not a number, so that it has no nearest level.
    """
    if images.dtype == torch.uint8:
        return images
    if bool(images.isnan().any()):
        raise DataError("an image has values that are not numbers, as those of a diverged network")
    return _levels(images)


def _levels(images: Tensor) -> Tensor:
    return _round_half_up(images).clamp(0, 255).to(torch.uint8)


def crop_to_multiple(images: Tensor, scale: int) -> Tensor:
    """Cut rows at the bottom and columns at the right until ``scale`` divides both sides."""
    height, width = images.shape[-2:]
    return images[..., : height - height % scale, : width - width % scale]


def resize(images: Tensor, factor: Fraction | int) -> Tensor:
    """Resize as MATLAB's ``imresize``: bicubic (a = -0.5), antialiased when it makes smaller.

    uint8 images are rounded after each of the two one-dimensional passes, rows first, which is how
    the published low-resolution sets were made. Floating-point images are not rounded at all.

    Args:
        images: Shape (..., H, W), uint8, float32 or float64.
        factor: New size over old size, above zero.

    Returns:
        Same type, shape (..., ceil(H * factor), ceil(W * factor)).
    """
    factor = Fraction(factor)
    rows = _resize_rows(images, factor)
    return _resize_rows(rows.mT, factor).mT.contiguous()


def _resize_rows(images: Tensor, factor: Fraction) -> Tensor:
    taps, weights = _taps(images.shape[-2], factor)
    images = images.contiguous()
    source = images if images.is_floating_point() else images.double()
    resized = source.new_zeros(*source.shape[:-2], taps.shape[1], source.shape[-1])
    # One tap at a time: little memory, and one order of summation whatever the size.
    for tap, weight in zip(taps.to(source.device), weights.to(source), strict=True):
        resized = resized.addcmul(source.index_select(-2, tap), weight[:, None])
    return resized if images.is_floating_point() else _levels(resized)


@lru_cache(maxsize=64)
def _taps(size: int, factor: Fraction) -> tuple[Tensor, Tensor]:
    """Indices into a line of ``size`` pixels, and their weights in float64, both (taps, out)."""
    if factor <= 0 or size < 1:
        raise ValueError(f"cannot resize {size} pixels by {factor}")
    up, down = factor.numerator, factor.denominator
    # Positions count in 1 / (2 * up) pixel, where they are integers; the kernel reaches 2 pixels
    # of the coarser grid to either side.
    coarse = max(up, down)
    centre = (2 * torch.arange(math.ceil(size * factor)) + 1) * down - up
    first = -((4 * coarse - centre) // (2 * up))
    index = first + torch.arange(math.ceil(4 * coarse / up) + 1)[:, None]
    weight = _cubic((centre - 2 * up * index).double() / (2 * coarse))
    return _mirror(index, size), weight / weight.sum(dim=0)


def _mirror(index: Tensor, size: int) -> Tensor:
    """Reflect indices at the borders, border pixels repeated: 2 1 0 | 0 1 2 | 2 1 0."""
    index = index % (2 * size)
    return torch.minimum(index, 2 * size - 1 - index)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel (1981, Eq. 15), with a = -0.5."""
    x = distance.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, far) * (x < 2)


def _round_half_up(values: Tensor) -> Tensor:
    return torch.floor(values + 0.5)
