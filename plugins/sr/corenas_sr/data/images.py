"""Images as uint8 tensors: reading, writing, luma, and MATLAB's bicubic resize.

An image is RGB with values 0..255, shape (3, H, W); a batch is (N, 3, H, W).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from corenas.errors import CorenasError, DataError
from corenas.files import atomic_write, mistaken_for
from corenas.search.executors.attempt import is_out_of_memory

# Named, because Pillow would also hand PostScript and the like to outside programs.
_WANTED = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000", "DIB", "AVIF")
_ENDINGS = Image.registered_extensions()  # brings every format that this Pillow has
FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)
SUFFIXES = frozenset(ending for ending, name in _ENDINGS.items() if name in (*FORMATS, "MPO"))
"""How the names of image files end, in lower case."""

LARGEST = 2**30
"""Pixels of the largest image that is read or written: 3 GiB as RGB."""

_LEVEL = 1
"""Of zlib: on photographs 4.6 times as fast as its usual 6, for 14 % more bytes."""

_READABLE_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA"})
_LIMIT = Lock()
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


def read_image(path: str | Path, *, largest: int = LARGEST) -> Tensor:
    """Read an 8-bit image; greyscale becomes RGB, a camera's rotation flag is obeyed.

    Args:
        path: The file.
        largest: Pixels that it may have at most.

    Returns:
        RGB values as uint8, shape (3, H, W), channels last in memory.

    Raises:
        DataError: The file is missing, damaged, no image, too large, animated, or has
            transparency or more than 8 bits per channel.
    """
    with _opened(path) as image:
        reason = _too_large(image.size, largest) or _refusal(image)
        if reason:
            raise DataError(f"{path}: {reason}")
        ImageOps.exif_transpose(image, in_place=True)
        pixels = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def read_size(path: str | Path) -> tuple[int, int]:
    """Return the two sides of an image in pixels, from its header alone, whatever its rotation.

    Raises:
        DataError: It is missing, or no image.
    """
    with _opened(path) as image:
        return image.size


def read_profile(path: str | Path) -> bytes | None:
    """Return the ICC profile of an image's colours; None for none, and for one not of RGB.

    Raises:
        DataError: It is missing, or no image.
    """
    with _opened(path) as image:
        profile: bytes | None = image.info.get("icc_profile")
    # A greyscale image becomes RGB, which its own profile does not describe.
    return profile if profile and profile[16:20] == b"RGB " else None


def read_text(path: str | Path) -> dict[str, str]:
    """Return what a PNG file says of itself, by key; nothing for any other file."""
    try:
        with _opened(path) as image:
            return {str(key): value for key, value in image.info.items() if isinstance(value, str)}
    except DataError:
        return {}


def is_damaged(path: Path) -> bool:
    """Whether the content of a file cannot be decoded; a file that cannot be opened has none."""
    try:
        with path.open("rb") as file, _unlimited(file) as image:
            image.load()
    except _UNREADABLE:
        return path.is_file()
    return False


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    try:
        with _unlimited(path) as image:
            yield image
    except _UNREADABLE as error:
        reason = mistaken_for(Path(path)) or _what_is_wrong(error)
        raise DataError(f"{path}: {reason}") from error


def _unlimited(path: str | Path | BinaryIO) -> Image.Image:
    """Open an image of any size: Pillow's own limit is the process's, and calls it damaged."""
    with _LIMIT:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _too_large(size: tuple[int, int], largest: int) -> str:
    if math.prod(size) <= largest:
        return ""
    most = f"at most {largest / 1e6:.0f} are read and written"
    return f"too large: {math.prod(size) / 1e6:.0f} megapixels; {most}"


def _refusal(image: Image.Image) -> str:
    """Return why an opened image cannot be used, or nothing."""
    # Phones store a preview as the second frame of a JPEG; the first is the photograph.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return "animated or several pages; one still image is needed"
    if image.mode.startswith(("I", "F")) or _sixteen_bit_colour(image):
        return "more than 8 bits per channel; convert it to 8-bit RGB first"
    if image.mode not in _READABLE_MODES:
        return f"colour mode {image.mode}; only RGB and greyscale are read"
    if image.has_transparency_data and not _is_opaque(image):
        return "has transparency (alpha); flatten it to RGB first"
    return ""


def _is_opaque(image: Image.Image) -> bool:
    return image.convert("RGBA").getchannel("A").getextrema() == (255, 255)


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


def write_image(
    path: str | Path,
    image: Tensor,
    *,
    text: Mapping[str, str] | None = None,
    profile: bytes | None = None,
    largest: int = LARGEST,
) -> None:
    """Write a PNG file; it appears whole or not at all.

    Args:
        path: Where to, ending in ``.png``.
        image: RGB values as uint8, shape (3, H, W); not copied if its channels are last in memory.
        text: What the file says of itself, by key.
        profile: An ICC profile of its colours.
        largest: Pixels that it may have at most.

    Raises:
        DataError: The name does not end in ``.png``, or the image is too large to be read again.
        CorenasError: The file cannot be written.
        ValueError: ``image`` has another type or shape.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: images are written as PNG; give a name that ends in .png")
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(f"expected uint8 (3, H, W), got {image.dtype} {tuple(image.shape)}")
    refuse_large(path, (image.shape[2], image.shape[1]), largest=largest)
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    picture = Image.fromarray(image.permute(1, 2, 0).cpu().numpy())
    try:
        with atomic_write(path) as file:
            picture.save(file, "PNG", compress_level=_LEVEL, pnginfo=info, icc_profile=profile)
    except OSError as error:
        raise CorenasError(f"{path}: cannot be written: {error.strerror or error}") from error


def refuse_large(path: str | Path, size: tuple[int, int], *, largest: int = LARGEST) -> None:
    """Refuse an image by its size alone, before it is made.

    Raises:
        DataError: It has more than ``largest`` pixels.
    """
    if reason := _too_large(size, largest):
        raise DataError(f"{path}: {reason}")


@contextmanager
def within_memory(path: str | Path, *, advice: str = "") -> Iterator[None]:
    """Turn memory that runs out over one image into an error of that image.

    Args:
        path: The image, for the message.
        advice: What helps, for the message.

    Raises:
        DataError: Memory ran out, of this process or of a device.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        # From nothing: the frames of what failed would keep their memory.
        raise DataError(f"{path}: out of memory{advice and f'; {advice}'}") from None


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
