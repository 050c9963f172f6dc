"""Low-resolution images beside high-resolution ones, as MATLAB makes them, in EDSR's layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from corenas.errors import CorenasError, DataError
from corenas_sr.data.datasets import crop_hr
from corenas_sr.data.folders import PARTIAL, find_hr_folders, image_files, prepared_lr
from corenas_sr.data.images import LARGEST, read_image, resize, within_memory
from corenas_sr.data.marks import digest_of_file, is_made_from, is_ours, write_marked
from corenas_sr.preparation.parallel import work_on_each

_COMMAND = "prepare"


@frozen
class Wanted:
    """A high-resolution file, and where its low-resolution images go, by scale."""

    hr: Path
    lr: Mapping[int, Path]
    overwrite: bool = False
    largest: int = LARGEST


@frozen
class Prepared:
    """How many files were right already, and how many were made; what could not be read."""

    kept: int = 0
    made: int = 0
    problems: tuple[str, ...] = ()


def prepare(
    source: Path,
    scales: Sequence[int],
    *,
    workers: int | None = None,
    overwrite: bool = False,
    largest: int = LARGEST,
) -> Prepared:
    """Write the low-resolution images for each scale; what is there and right is kept.

    A file is right when its pixels are those that would be written. What this command wrote is
    made again where its source has changed; a file of someone else is refused. Each file appears
    whole or not at all, so an interrupted call is continued by the next. Until all files of a
    folder are there, a hidden file in it says so, and the folder is not used.

    Args:
        source: A folder of images, or one with data sets in a known layout.
        scales: How many times smaller.
        workers: Processes at once; by default one per core.
        overwrite: Replace files that this command did not write.
        largest: Pixels that an image may have at most.

    Raises:
        DataError: There are no images.
        CorenasError: A folder cannot be written.
    """
    jobs = [
        Wanted(file, {scale: prepared_lr(file, scale) for scale in scales}, overwrite, largest)
        for folder in find_hr_folders(source)
        for file in image_files(folder)
    ]
    folders = {file.parent for job in jobs for file in job.lr.values()}
    _begin(file for job in jobs for file in job.lr.values() if not file.exists())
    results = list(work_on_each(prepare_image, jobs, what="preparing", workers=workers))
    if not any(result.problems for result in results):
        # Also one that an earlier call left; what stands in a folder is complete now.
        for folder in folders:
            (folder / PARTIAL).unlink(missing_ok=True)
    return Prepared(
        sum(result.kept for result in results),
        sum(result.made for result in results),
        tuple(problem for result in results for problem in result.problems),
    )


def _begin(missing: Iterable[Path]) -> None:
    """Mark the folders of files that are to be made."""
    for file in missing:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / PARTIAL).touch()
        except OSError as error:
            raise CorenasError(f"{file}: cannot be written: {error.strerror}") from error


def prepare_image(wanted: Wanted) -> Prepared:
    """Write one image's low-resolution files."""
    made, problems = 0, []
    try:
        digest = digest_of_file(wanted.hr)
        missing = {
            scale: file
            for scale, file in wanted.lr.items()
            if not is_made_from(file, digest, command=_COMMAND)
        }
        if not missing:
            return Prepared(kept=len(wanted.lr))
        with within_memory(wanted.hr):
            image = read_image(wanted.hr, largest=wanted.largest)
    except DataError as error:
        return Prepared(problems=(str(error),))
    for scale, file in missing.items():
        try:
            with within_memory(file):
                made += _make(wanted, image, scale, file, digest)
        except CorenasError as error:
            problems.append(str(error))
    return Prepared(len(wanted.lr) - made - len(problems), made, tuple(problems))


def _make(wanted: Wanted, image: Tensor, scale: int, file: Path, digest: str) -> bool:
    """Write a low-resolution file; return whether that was needed."""
    lr = resize(crop_hr(wanted.hr, image, scale), Fraction(1, scale))
    if _holds(file, lr, wanted.largest):
        return False
    there = file.exists() or file.is_symlink()
    if there and not (wanted.overwrite or is_ours(file, command=_COMMAND)):
        raise DataError(
            f"{file}: is another image, not written by this command, or changed since; it is left"
            " as it is; --overwrite replaces such files"
        )
    write_marked(file, lr, command=_COMMAND, source=digest, largest=wanted.largest)
    return True


def _holds(file: Path, image: Tensor, largest: int) -> bool:
    try:
        return torch.equal(read_image(file, largest=largest), image)
    except DataError:
        return False
