"""``niqe-model``: a model of pristine photographs from images of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corenas.errors import DataError, InputError
from corenas_metrics._protocols import NIQE_PROTOCOLS
from corenas_metrics.config import NiqeConfig

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 96
"""Side of NIQE's blocks; each image needs one."""


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("niqe-model")(niqe_model)


def niqe_model(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Sharp photographs.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where to, ending in .json.")],
    protocol: Annotated[str, typer.Option(help="NIQE's, under which it will be used.")] = "live",
) -> None:
    """Fit NIQE's model of pristine photographs to images of your own."""
    from corenas_metrics.niqe import fit_pristine
    from corenas_sr.data.folders import image_files

    NiqeConfig(protocol=protocol)  # refuses an unknown one
    files = image_files(folder.expanduser())
    if not files:
        raise DataError(f"{folder}: no images in this folder")
    if out.suffix != ".json":
        raise InputError(f"{out}: the name of a model of pristine photographs ends in .json")
    model = fit_pristine(_images(files, protocol), protocol=protocol)
    try:
        model.save(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error
    typer.echo(f"{out}: a model of {len(files)} images, for protocol {protocol}")
    typer.echo(f"use it with --metrics niqe --set niqe.model={out} --set niqe.protocol={protocol}")


def _images(files: Sequence[Path], protocol: str) -> Iterator[Tensor]:
    """Read the images one by one; refuse those that are too small, by name."""
    from corenas.show.progress_bar import bar
    from corenas_sr.data.images import read_image

    least = _BLOCK + 2 * NIQE_PROTOCOLS[protocol].shave
    for file in bar(files, total=len(files), what="measuring"):
        image = read_image(file)
        height, width = image.shape[1:]
        if min(height, width) < least:
            raise DataError(f"{file}: {width}x{height} pixels; {least}x{least} are needed")
        yield image
