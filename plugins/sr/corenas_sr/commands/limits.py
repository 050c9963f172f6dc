"""The option ``--largest`` of the commands that read images."""

from __future__ import annotations

from typing import Annotated

import typer

Largest = Annotated[
    int | None,
    typer.Option(
        "--largest",
        min=1,
        metavar="MEGAPIXELS",
        help="Of an image that is read or written; default: 1074.",
    ),
]


def pixels_of(largest: int | None) -> int:
    """Return the limit in pixels; ``None`` stands for that of `corenas_sr.data.images`."""
    from corenas_sr.data.images import LARGEST

    return LARGEST if largest is None else largest * 10**6
