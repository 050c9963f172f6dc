"""A sheet for diagrams: shapes, curves and lines of text, in points, with y downwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corenas.drawing._layout import Box, Point, round_corners
from corenas.drawing.figures import GREY, INK, save_figure

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path as Outline

_PNG_DPI = 160
_FONTS = ["DejaVu Sans", "sans-serif"]  # the first comes with matplotlib; a browser may lack it


class Canvas:
    """An empty sheet; ``area`` is the part of the plane that it shows."""

    def __init__(self, area: Box) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(area.width / 72, area.height / 72), dpi=_PNG_DPI)
        x, y = (area.left, area.right), (area.bottom, area.top)
        self._axes = self.figure.add_axes((0, 0, 1, 1), xlim=x, ylim=y)
        self._axes.set_axis_off()

    def shape(
        self,
        box: Box,
        *,
        name: str,
        radius: float,
        fill: str,
        border: str,
        line: float = 1.0,
        dashed: bool = False,
    ) -> None:
        """Draw a box with round corners; ``name`` is its id in an SVG."""
        from matplotlib.patches import PathPatch

        left, right, top, bottom = box.left, box.right, box.top, box.bottom
        corners = [(right, top), (right, bottom), (left, bottom), (left, top)]
        outline = round_corners([(left + radius, top), *corners, (left + radius, top)], radius)
        patch = PathPatch(
            _make_outline(outline),
            facecolor=fill,
            edgecolor=border,
            linewidth=line,
            linestyle=(0, (3, 2)) if dashed else "solid",
            gid=name,
        )
        self._axes.add_patch(patch)

    def curve(self, points: Sequence[Point], *, name: str, pointed: bool) -> None:
        """Draw an edge as `corenas.drawing._layout.Layout` holds it."""
        from matplotlib.patches import FancyArrowPatch

        arrow = FancyArrowPatch(
            path=_make_outline(points),
            arrowstyle="-|>,head_length=0.5,head_width=0.25" if pointed else "-",
            mutation_scale=10,
            color=GREY,
            capstyle="butt",
            joinstyle="miter",
            shrinkA=0,
            shrinkB=0,
            gid=name,
        )
        self._axes.add_patch(arrow)

    def text(
        self,
        text: str,
        x: float,
        y: float,
        *,
        size: float,
        colour: str = INK,
        bold: bool = False,
        centred: bool = False,
        upwards: bool = False,
    ) -> None:
        """Write a line that begins or has its middle at x; y is its baseline.

        One that runs upwards is to be centred, and has its middle at y.
        """
        self._axes.text(
            x,
            y,
            text,
            fontproperties=_make_font(size, bold=bold),
            color=colour,
            rotation=90 if upwards else 0,
            horizontalalignment="center" if centred else "left",
            verticalalignment="center" if upwards else "baseline",
            parse_math=False,
        )

    def save(self, path: Path) -> None:
        """Write ``.svg`` and ``.png``, which are added to the path.

        Raises:
            CorenasError: A file cannot be written.
        """
        for suffix in (".svg", ".png"):
            save_figure(self.figure, path.with_name(path.name + suffix))


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how long a line of text is, in points."""
    from matplotlib.textpath import text_to_path

    font = _make_font(size, bold=bold)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def _make_font(size: float, *, bold: bool) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=_FONTS, size=size, weight="bold" if bold else "normal")


def _make_outline(points: Sequence[Point]) -> Outline:
    from matplotlib.path import Path as Outline

    return Outline(points, [Outline.MOVETO, *[Outline.CURVE4] * (len(points) - 1)])
