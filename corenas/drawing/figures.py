"""What all pictures share: colours, axes, and how a figure is written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corenas.errors import CorenasError
from corenas.files import atomic_write
from corenas.names import printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT = "#d1495b"
"""The colour of what a plot is about, such as the best so far."""

CALM = "#30638e"
"""The colour of all else that is plotted."""

GREY = "#5c6670"
"""The colour of small text and of lines that lead somewhere."""

INK = "#20262b"
"""The colour of text and of borders that stand out."""

LONGEST_LABEL = 56
"""As many characters as the shortest of axes has room for."""


def style(axes: Axes) -> None:
    """Draw two sides of the frame and a pale grid, behind what is plotted."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e6e8", linewidth=0.8)
    axes.set_axisbelow(True)


def legend(
    axes: Axes, names: Sequence[str], marks: Sequence[Artist], *, beside: bool = False
) -> None:
    """Name what is plotted where it hides no trial: above, beside the title, or to the right."""
    loc: Literal["center left", "lower right"] = "center left" if beside else "lower right"
    # The names come later, because matplotlib leaves out what begins with an underscore.
    drawn = axes.legend(marks, [" "] * len(names), loc=loc, frameon=False, ncols=2 - beside)
    drawn.set_bbox_to_anchor((1, 0.5) if beside else (1, 0.99))
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def shortened(text: str, longest: int = LONGEST_LABEL) -> str:
    """Return a text on one line, without its middle where it is too long: ends tell more."""
    text, half = printable(text), longest // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[1 - half :]}"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or, where the path ends so, as SVG; equal figures give equal files.

    Raises:
        CorenasError: The file cannot be written.
    """
    # Into memory first: matplotlib writes in pieces, and a file must appear whole.
    write_whole(path, render_figure(figure, svg=path.suffix == ".svg"))


def render_figure(figure: Figure, *, svg: bool = False) -> bytes:
    """Return a figure as PNG or SVG; equal figures give equal bytes.

    No window system is asked for, as no canvas of one is made.
    """
    from matplotlib import rc_context

    content = io.BytesIO()
    if svg:
        # Text stays text, and the names of parts are hashes whose salt is random by default.
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "corenas"}):
            figure.savefig(content, format="svg", metadata={"Date": None})
    else:
        figure.savefig(content, format="png", pil_kwargs={"optimize": True})
    return content.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there.

    Raises:
        CorenasError: It cannot be written.
    """
    try:
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        raise CorenasError(f"{path}: cannot be written: {error.strerror or error}") from error
