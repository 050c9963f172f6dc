"""What makes images larger, by what a person calls it: a model file, bicubic, a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from attrs import frozen
from torch import Tensor

from corenas import DataError, InputError
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.folders import image_files
from corenas_sr.data.images import LARGEST, read_image
from corenas_sr.data.marks import write_marked
from corenas_sr.models.inference import bicubic, upscale
from corenas_sr.models.networks import load_network
from corenas_sr.results.evaluation import Restore

SAVED = "evaluate"
"""Whose images `saving` writes, as their files say."""


@frozen
class Upscaler:
    """Makes a uint8 image of shape (3, H, W) ``scale`` times larger."""

    scale: int
    run: Callable[[Tensor], Tensor]

    def restore(self, pair: ImagePair) -> Tensor:
        """Upscale the low-resolution side of a pair."""
        return self.run(pair.lr)


def find_upscaler(
    what: str, *, scale: int | None, device: str = "cpu", tile: int | None = None
) -> Upscaler:
    """Return the model that ``what`` stands for.

    Args:
        what: ``bicubic`` or a file that `corenas_sr.models.networks.load_network` reads.
        scale: Needed for bicubic; a model file knows its own.
        device: Where a model runs.
        tile: Side of a tile in input pixels.

    Raises:
        InputError: There is no such thing, or the scale is missing or another.
    """
    if what == "bicubic":
        factor = _needed(what, scale)
        return Upscaler(factor, lambda low: bicubic(low, factor))
    network = load_network(Path(what))
    if scale not in (None, network.scale):
        raise InputError(f"{what}: its scale is {network.scale}, not {scale}")
    return Upscaler(
        network.scale,
        lambda low: upscale(network.module, low, scale=network.scale, tile=tile, device=device),
    )


def find_restore(
    what: str,
    *,
    scale: int | None,
    device: str,
    tile: int | None = None,
    largest: int = LARGEST,
) -> tuple[int, Restore]:
    """Return scale and function for a model, or for a folder of images that are there already.

    Args:
        what: As in `find_upscaler`, or the folder.
        scale: As in `find_upscaler`; needed for a folder.
        device: Where a model runs.
        tile: Side of a tile in input pixels.
        largest: Pixels that an image of the folder may have at most.
    """
    folder = Path(what)
    if folder.is_dir():
        return _needed(what, scale), _Upscaled(folder, largest).image_of
    upscaler = find_upscaler(what, scale=scale, device=device, tile=tile)
    return upscaler.scale, upscaler.restore


def saving(restore: Restore, folder: Path, *, largest: int = LARGEST) -> Restore:
    """Write every image that is restored into a folder, which is made.

    Args:
        restore: Makes the images.
        folder: Where they go.
        largest: Pixels that one may have at most.

    Raises:
        InputError: It cannot be made.
    """
    _make(folder)

    def save(pair: ImagePair) -> Tensor:
        image = restore(pair)
        write_marked(folder / f"{pair.name}.png", image, command=SAVED, largest=largest)
        return image

    return save


def input_files(paths: Sequence[Path]) -> list[Path]:
    """Return the image files among files and folders.

    Raises:
        DataError: A path does not exist, or a folder cannot be read or holds no image.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = image_files(path)
            if not found:
                raise DataError(f"{path}: no images in this folder")
            files += found
        elif path.exists():
            files.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    return files


def output_files(files: Sequence[Path], folder: Path, *, scale: int) -> dict[Path, Path]:
    """Return for each image file where its upscaled one goes, in a folder that is made.

    Raises:
        InputError: Two would overwrite each other, or the folder cannot be made.
    """
    sources: dict[Path, Path] = {}
    for file in files:
        target = folder / f"{file.stem}_x{scale}.png"
        other = sources.setdefault(target, file)
        if other != file:
            raise InputError(f"{other} and {file} would both become {target}")
    _make(folder)
    return {source: target for target, source in sources.items()}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error


def _needed(what: str, scale: int | None) -> int:
    if scale is None:
        raise InputError(f"{what}: say which scale with --scale")
    return scale


@frozen
class _Upscaled:
    """A folder of images that were upscaled by something else."""

    folder: Path
    largest: int

    @cached_property
    def _files(self) -> list[Path]:
        return image_files(self.folder)

    def image_of(self, pair: ImagePair) -> Tensor:
        """Read the image of a pair: ``img1.png``, ``img1x4.png`` or ``img1_more.png``."""
        longer = re.compile(rf"{re.escape(pair.name)}(x\d|[^0-9A-Za-z])")
        exact = [p for p in self._files if p.stem == pair.name]
        found = exact or [p for p in self._files if longer.match(p.stem)]
        if len(found) != 1:
            raise DataError(
                f"{self.folder}: {len(found)} images are named {pair.name}; one is needed"
            )
        image = read_image(found[0], largest=self.largest)
        if image.shape != pair.hr.shape:
            ours, wanted = (f"{i.shape[2]}x{i.shape[1]}" for i in (image, pair.hr))
            raise DataError(f"{found[0]}: its size is {ours}, that of the ground truth {wanted}")
        return image
