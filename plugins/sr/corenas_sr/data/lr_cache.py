"""Low-resolution images made from high-resolution files, kept between runs."""

from __future__ import annotations

import hashlib
import warnings
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from corenas.errors import CorenasError, DataError
from corenas.files import cache_folder
from corenas_sr.data.images import read_image, resize, write_image


def cached_lr(hr_file: Path, hr: Tensor, scale: int) -> Tensor:
    """Return ``hr`` made smaller by MATLAB's bicubic, from the cache where it is there already.

    Entries go by the file's content, so a changed image is made again, and a moved one is not. A
    damaged entry is made again as well.

    Args:
        hr_file: The file that ``hr`` was read from.
        hr: uint8, shape (3, H, W), both sides multiples of ``scale``.
        scale: How many times smaller.
    """
    with open(hr_file, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    entry = cache_folder() / "bicubic" / f"x{scale}" / f"{digest}.png"
    if entry.exists():
        try:
            lr = read_image(entry)
        except DataError:
            pass
        else:
            if lr.shape == (3, hr.shape[1] // scale, hr.shape[2] // scale):
                return lr
    lr = resize(hr, Fraction(1, scale))
    try:
        write_image(entry, lr)
    except CorenasError:
        # The same words for every image, so that the warning is shown once.
        warnings.warn(f"{entry.parent}: cannot keep low-resolution images there", stacklevel=2)
    return lr
