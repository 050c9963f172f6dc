"""Folders of images, checked file by file before anything is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.errors import DataError
from corenas_sr.data.datasets import crop_hr, digest_of, read_lr
from corenas_sr.data.folders import PLAIN, find_hr_folders, find_pairs, image_files
from corenas_sr.data.images import LARGEST, read_image, within_memory
from corenas_sr.preparation.parallel import work_on_each


@frozen
class ImageFiles:
    """A high-resolution file and the low-resolution files that it has, by scale."""

    hr: Path
    lr: Mapping[int, Path]
    scales: Sequence[int]
    largest: int = LARGEST


@frozen
class ImageReport:
    """What is wrong with an image, its width and height, and a digest of its pixels."""

    file: Path
    problems: tuple[str, ...]
    size: tuple[int, int] = (0, 0)
    digest: str = ""


@frozen
class SetReport:
    """What is in one folder of high-resolution images; ``pairs`` counts LR partners by scale."""

    folder: Path
    layout: str
    pairs: Mapping[int, int]
    images: Sequence[ImageReport]
    unpaired: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong, file by file."""
        return (*self.unpaired, *(problem for image in self.images for problem in image.problems))

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of the images that can be read, the smallest area first."""
        return sorted((image.size for image in self.images if image.digest), key=prod)

    def to_json(self) -> dict[str, Any]:
        """Return counts, sizes in pixels, pairs by scale, and problems."""
        sizes = self.sizes
        return {
            "folder": str(self.folder),
            "layout": self.layout,
            "images": len(self.images),
            "smallest": list(sizes[0]) if sizes else None,
            "largest": list(sizes[-1]) if sizes else None,
            "megapixels": round(sum(map(prod, sizes)) / 1e6, 3),
            "pairs": {str(scale): count for scale, count in self.pairs.items()},
            "problems": list(self.problems),
        }


def check_folder(source: Path, scales: Sequence[int], *, largest: int = LARGEST) -> list[SetReport]:
    """Decode every image below a folder, and compare the sizes of each pair.

    Args:
        source: A folder of images, or one with data sets in a known layout.
        scales: Where there are low-resolution images for a scale, each must have its partner.
        largest: Pixels that an image may have at most.

    Raises:
        DataError: There are no images.
    """
    return [_check_set(folder, scales, largest) for folder in find_hr_folders(source)]


def _check_set(folder: Path, scales: Sequence[int], largest: int) -> SetReport:
    files = image_files(folder)
    partners: dict[Path, dict[int, Path]] = {file: {} for file in files}
    found = {scale: find_pairs(folder, scale=scale, split="train") for scale in scales}
    for scale, layout in found.items():
        for pair in layout.pairs:
            if pair.lr is not None:
                partners[pair.hr][scale] = pair.lr
    jobs = [ImageFiles(hr, lr, tuple(scales), largest) for hr, lr in partners.items()]
    # A name that stands twice is found at every scale.
    problems = dict.fromkeys(problem for each in found.values() for problem in each.problems)
    return SetReport(
        folder,
        next((each.layout for each in found.values() if each.layout != PLAIN), PLAIN),
        {scale: sum(scale in given for given in partners.values()) for scale in scales},
        list(work_on_each(check_image, jobs, what=f"checking {folder.name}")),
        tuple(problems),
    )


def check_image(files: ImageFiles) -> ImageReport:
    """Decode an image and its partners."""
    try:
        with within_memory(files.hr):
            image = read_image(files.hr, largest=files.largest)
    except DataError as error:
        return ImageReport(files.hr, (str(error),))
    problems = []
    for scale in files.scales:
        try:
            crop_hr(files.hr, image, scale)
            if scale in files.lr:
                with within_memory(files.lr[scale]):
                    read_lr(files.lr[scale], files.hr, image, scale, largest=files.largest)
        except DataError as error:
            problems.append(str(error))
    height, width = image.shape[1:]
    return ImageReport(files.hr, tuple(problems), (width, height), digest_of(image))


def duplicates(
    training: Iterable[SetReport], validation: Iterable[SetReport]
) -> list[tuple[Path, Path]]:
    """Return the validation files whose pixels are trained on, and where."""
    trained = {
        image.digest: image.file for report in training for image in report.images if image.digest
    }
    return [
        (image.file, trained[image.digest])
        for report in validation
        for image in report.images
        if image.digest in trained
    ]
