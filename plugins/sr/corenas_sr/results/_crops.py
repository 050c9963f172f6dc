"""The same part of several images, pixel by pixel, for the report of a run to compare."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from corenas.files import write_json
from corenas_sr.data.images import write_image
from corenas_sr.results._pictures import most_detailed
from corenas_sr.results.comparing import DESCRIPTION

# A page holds four of them and more, without losing a bit: a few hundred kilobytes each.
_WIDTH, _HEIGHT = 384, 256
_ZOOMED = 64  # side of what is shown enlarged at first


def save_crops(
    folder: Path,
    *,
    name: str,
    lr: Tensor,
    hr: Tensor,
    images: Mapping[str, Tensor],
    numbers: Mapping[str, str],
) -> None:
    """Write the part of all images around the one with the most detail, as PNG files.

    Args:
        folder: Where to; ``crops.json`` in it says what is what.
        name: What the image is called.
        lr: Low-resolution image, uint8, shape (3, h, w).
        hr: Ground truth, uint8, shape (3, h * scale, w * scale).
        images: Upscaled images by label, of the shape of ``hr``.
        numbers: For some of the labels a line such as ``PSNR 31.10``.

    Raises:
        CorenasError: A file cannot be written.
    """
    scale = hr.shape[1] // lr.shape[1]
    top, left, side = most_detailed(hr, side=_ZOOMED, step=scale)
    height = _multiple(min(_HEIGHT, hr.shape[1]), scale)
    width = _multiple(min(_WIDTH, hr.shape[2]), scale)
    row = _begin(top, side, height, hr.shape[1], scale)
    column = _begin(left, side, width, hr.shape[2], scale)
    low = _cut(lr, row // scale, column // scale, height // scale, width // scale)
    parts = {label: _cut(image, row, column, height, width) for label, image in images.items()}
    described = []
    shown = {"low resolution": low, **parts, "ground truth": _cut(hr, row, column, height, width)}
    for number, (label, part) in enumerate(shown.items()):
        file = f"{number}.png"
        write_image(folder / file, part)
        described.append({"label": label, "file": file, "note": numbers.get(label, "")})
    write_json(
        folder / DESCRIPTION,
        {
            "image": name,
            "scale": scale,
            "size": [hr.shape[2], hr.shape[1]],
            "part": [column, row, width, height],
            "zoomed": [left - column, top - row, side],
            "pictures": described,
        },
    )


def _multiple(size: int, scale: int) -> int:
    return size - size % scale


def _begin(start: int, side: int, length: int, whole: int, scale: int) -> int:
    """Return where a part of ``length`` begins that has the wanted one in its middle."""
    middle = start + side // 2 - length // 2
    return _multiple(max(0, min(middle, whole - length)), scale)


def _cut(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return image[:, top : top + height, left : left + width]
