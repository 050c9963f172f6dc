"""What makes images larger, by what a person calls it: a model file, bicubic, a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen
from torch import Tensor

from corenas import DataError, InputError
from corenas_sr.datasets import ImagePair
from corenas_sr.evaluation import Restore
from corenas_sr.images import read_image, write_image
from corenas_sr.inference import bicubic, upscale
from corenas_sr.layouts import image_files
from corenas_sr.modelfile import load_model


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
        what: ``bicubic`` or a model file.
        scale: Needed for bicubic; a model file knows its own.
        device: Where a model runs.
        tile: Side of a tile in input pixels.

    Raises:
        InputError: There is no such thing, or the scale is missing or another.
    """
    if what == "bicubic":
        factor = _needed(what, scale)
        return Upscaler(factor, lambda low: bicubic(low, factor))
    model = load_model(Path(what))
    if scale not in (None, model.scale):
        raise InputError(f"{what}: its scale is {model.scale}, not {scale}")
    return Upscaler(
        model.scale,
        lambda low: upscale(model.module, low, scale=model.scale, tile=tile, device=device),
    )


def find_restore(what: str, *, scale: int | None, device: str) -> tuple[int, Restore]:
    """Return scale and function for a model, or for a folder of images that are there already."""
    folder = Path(what)
    if folder.is_dir():
        return _needed(what, scale), lambda pair: _image_of(folder, pair)
    upscaler = find_upscaler(what, scale=scale, device=device)
    return upscaler.scale, upscaler.restore


def saving(restore: Restore, folder: Path) -> Restore:
    """Write every image that is restored into a folder, which is made.

    Raises:
        InputError: It cannot be made.
    """
    _make(folder)

    def save(pair: ImagePair) -> Tensor:
        image = restore(pair)
        write_image(folder / f"{pair.name}.png", image)
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


def _image_of(folder: Path, pair: ImagePair) -> Tensor:
    """Read the folder's image of a pair: ``img1.png``, ``img1x4.png`` or ``img1_more.png``."""
    files = image_files(folder)
    longer = re.compile(rf"{re.escape(pair.name)}(x\d|[^0-9A-Za-z])")
    exact = [p for p in files if p.stem == pair.name]
    found = exact or [p for p in files if longer.match(p.stem)]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} images are named {pair.name}; one is needed")
    image = read_image(found[0])
    if image.shape != pair.hr.shape:
        sizes = [f"{i.shape[2]}x{i.shape[1]}" for i in (image, pair.hr)]
        raise DataError(f"{found[0]}: its size is {sizes[0]}, that of the ground truth {sizes[1]}")
    return image
