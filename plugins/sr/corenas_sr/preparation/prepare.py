"""Low-resolution images beside high-resolution ones, as MATLAB makes them, in EDSR's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from corenas.errors import DataError
from corenas_sr.data.datasets import crop_hr
from corenas_sr.data.folders import find_hr_folders, image_files, prepared_lr
from corenas_sr.data.images import read_image, resize, write_image
from corenas_sr.preparation.parallel import work_on_each


@frozen
class Wanted:
    """A high-resolution file, and where its low-resolution images go, by scale."""

    hr: Path
    lr: Mapping[int, Path]


@frozen
class Prepared:
    """How many files were right already, and how many were made; what could not be read."""

    kept: int = 0
    made: int = 0
    problems: tuple[str, ...] = ()


def prepare(source: Path, scales: Sequence[int], *, workers: int | None = None) -> Prepared:
    """Write the low-resolution images for each scale; what is there and right is kept.

    A file is right when its pixels are those that would be written; anything else is made again.
    Each file appears whole or not at all, so an interrupted call is continued by the next.

    Args:
        source: A folder of images, or one with data sets in a known layout.
        scales: How many times smaller.
        workers: Processes at once; by default one per core.

    Raises:
        DataError: There are no images.
        CorenasError: A file cannot be written.
    """
    jobs = [
        Wanted(file, {scale: prepared_lr(file, scale) for scale in scales})
        for folder in find_hr_folders(source)
        for file in image_files(folder)
    ]
    results = list(work_on_each(prepare_image, jobs, what="preparing", workers=workers))
    return Prepared(
        sum(result.kept for result in results),
        sum(result.made for result in results),
        tuple(problem for result in results for problem in result.problems),
    )


def prepare_image(wanted: Wanted) -> Prepared:
    """Write one image's low-resolution files."""
    made, problems = 0, []
    try:
        image = read_image(wanted.hr)
    except DataError as error:
        return Prepared(problems=(str(error),))
    for scale, file in wanted.lr.items():
        try:
            lr = resize(crop_hr(wanted.hr, image, scale), Fraction(1, scale))
        except DataError as error:
            problems.append(str(error))
            continue
        if not _holds(file, lr):
            write_image(file, lr)
            made += 1
    return Prepared(len(wanted.lr) - made - len(problems), made, tuple(problems))


def _holds(file: Path, image: Tensor) -> bool:
    try:
        return torch.equal(read_image(file), image)
    except DataError:
        return False
