"""Distillation: the training images as a teacher makes them (section 4 of Wu et al.).

The teacher's images are computed once, rounded to 8 bits and kept as files.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from corenas import Event, Result, State
from corenas.errors import CorenasError, DataError
from corenas.files import cache_folder
from corenas.show.progress_bar import bar
from corenas_sr.data.datasets import ImagePair, digest_of, load_pairs, refuse
from corenas_sr.data.images import read_image, write_image
from corenas_sr.data.packing import pack
from corenas_sr.models.upscalers import find_restore
from corenas_sr.results.evaluation import Restore
from corenas_trilevel.teacher.config import GROUND_TRUTH, TeacherConfig

VERSION = 1
"""To be raised whenever a teacher's images come out differently than before."""


def taught_pairs(
    pairs: Sequence[ImagePair], config: TeacherConfig, *, scale: int, device: str = "cpu"
) -> tuple[ImagePair, ...]:
    """Replace the ground truth of pairs by the teacher's images of their low-resolution side.

    Args:
        pairs: Images for training.
        config: Names the teacher; with the ground truth, pairs are returned unchanged.
        scale: The up-scaling factor of the pairs.
        device: Where the teacher computes.

    Raises:
        DataError: The teacher cannot be read, or has no image for a pair.
        InputError: Its scale is another.
        CorenasError: Its images need more memory than the device has.
    """
    if config.source == GROUND_TRUTH:
        return tuple(pairs)
    restore = _restore_of(config, scale=scale, device=device)
    images = [restore(pair) for pair in bar(pairs, total=len(pairs), what="teacher's images")]
    pack(images)
    return tuple(
        ImagePair(pair.name, pair.lr, image) for pair, image in zip(pairs, images, strict=True)
    )


class Teaching:
    """Makes the teacher's images one after the other, as a task with an event for each.

    Images are kept as files: later stages read them, and stopped work goes on where it was.

    Args:
        source: The training images.
        config: Names the teacher; with the ground truth there is nothing to do.
        scale: The up-scaling factor of the images.
        device: Where the teacher computes.
    """

    def __init__(self, source: str, config: TeacherConfig, *, scale: int, device: str) -> None:
        self._source = source
        self._config = config
        self._scale = scale
        self._device = device
        self._done = 0

    def events(self) -> Iterator[Event]:
        """Make the images.

        Raises:
            CorenasError: The teacher cannot make one.
        """
        pairs = load_pairs(self._source, scale=self._scale, split="train")
        restore = _restore_of(self._config, scale=self._scale, device=self._device)
        for pair in pairs[self._done :]:
            restore(pair)
            self._done += 1
            yield Event("epoch", self._done, len(pairs), message=pair.name)

    def state(self) -> State:
        """Return how many images are made."""
        return {"done": self._done}

    def restore(self, state: State) -> None:
        """Continue after the images that are made."""
        self._done = state["done"]

    def result(self, folder: Path) -> Result:
        """Return how many images are made; their files are in the cache, not in the run."""
        return Result({"images": self._done})


def check_teacher(config: TeacherConfig, *, scale: int, pairs: Sequence[ImagePair]) -> None:
    """Refuse a teacher that cannot teach, before anything is trained.

    A model is built; of a folder every image is read.

    Raises:
        DataError: It cannot be read, is no super-resolution network for RGB images, or lacks
            images; these are named.
        InputError: Its scale is another.
    """
    if config.source == GROUND_TRUTH:
        return
    # On the CPU: a model is only built here, to see whether it can be.
    restore = _restore_of(config, scale=scale, device="cpu")
    if not Path(config.source).is_dir():
        return
    problems = []
    for pair in bar(pairs, total=len(pairs), what="checking the teacher's images"):
        try:
            restore(pair)
        except DataError as error:
            problems.append(str(error))
    refuse(config.source, problems)


def _restore_of(config: TeacherConfig, *, scale: int, device: str) -> Restore:
    """Return the function that makes, or reads, the teacher's image of a pair."""
    source = Path(config.source)
    _, restore = find_restore(config.source, scale=scale, device=device, tile=config.tile)
    if source.is_dir():
        return restore
    # Kept by the model's content: a file of the same name may be another model.
    with source.open("rb") as file:
        teacher = hashlib.file_digest(file, "sha256").hexdigest()
    # Tiles may change an image near their borders, so they are part of the folder's name.
    tiles = f"-tile{config.tile}" if config.tile else ""
    root = config.cache or cache_folder() / "teacher"
    return _KeptImages(source, restore, root / teacher / f"x{scale}{tiles}-v{VERSION}").image_of


@frozen
class _KeptImages:
    """A model's images, made once and kept by the digest of the low-resolution image."""

    source: Path
    restore: Restore
    folder: Path

    def image_of(self, pair: ImagePair) -> Tensor:
        entry = self.folder / f"{digest_of(pair.lr)}.png"
        kept = _read_kept(entry, pair)
        if kept is not None:
            return kept
        image = self._make(pair)
        try:
            write_image(entry, image)
        except CorenasError:
            # The same words for every image, so that the warning is shown once.
            warnings.warn(f"{self.folder}: cannot keep the teacher's images there", stacklevel=2)
        return image

    def _make(self, pair: ImagePair) -> Tensor:
        try:
            return self.restore(pair)
        except (DataError, ValueError) as error:
            raise DataError(f"{self.source}: {pair.name}: {error}") from error
        except torch.cuda.OutOfMemoryError as error:
            raise CorenasError(
                f"{self.source}: {pair.name}: too large for the memory of the device; "
                "let the teacher work in tiles, with the teacher's option 'tile'"
            ) from error


def _read_kept(entry: Path, pair: ImagePair) -> Tensor | None:
    """Return a kept image, or None where there is none that can be used."""
    if not entry.exists():
        return None
    try:
        image = read_image(entry)
    except DataError as error:
        problem = str(error)
    else:
        if image.shape == pair.hr.shape:
            return image
        problem = f"{entry}: of another size"
    warnings.warn(f"{problem}; the teacher makes this image again", stacklevel=2)
    return None
