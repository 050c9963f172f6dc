"""The command ``interpolate``: a network between two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corenas.commands.output import say
from corenas.errors import InputError


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(interpolate)


def interpolate(
    first: Annotated[Path, typer.Argument(help="Model file, such as one trained for PSNR.")],
    second: Annotated[Path, typer.Argument(help="One that was trained on from it to look good.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="How far to go from the first to the second.")
    ],
    out: Annotated[Path, typer.Option(help="The model file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace that file.")] = False,
) -> None:
    """Mix two networks of one architecture: a point between what both are good at."""
    from corenas_sr.models.files import interpolate_models

    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists; --overwrite replaces it")
    if not out.absolute().parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.absolute().parent}")
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: the name of a model file ends with .safetensors")
    interpolate_models(first, second, share, out)
    say(f"{out}: {share:g} of the way from {first} to {second}")
