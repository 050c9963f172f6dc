"""Pictures of upscaled images side by side, with their most detailed part enlarged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from corenas.drawing.figures import ACCENT, GREY, save_figure
from corenas_sr.data.images import luma

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Pixels of a comparison.
_PANEL = 360
_TALLEST = 480
_GAP = 12
_MARGIN = 24
_HEAD = 72
_FOOT = 40
_CROP = 72  # a fifth of a panel, and a multiple of the scales 2, 3 and 4
_DPI = 100


def comparison(
    path: Path,
    *,
    name: str,
    lr: Tensor,
    hr: Tensor,
    images: Mapping[str, Tensor],
    numbers: Mapping[str, str],
) -> None:
    """Draw low resolution, upscaled images and ground truth side by side, as a PNG file.

    Below each image stands its part with the most detail, enlarged five times. A box marks that
    part in the whole image.

    Args:
        path: Where to.
        name: What the image is called.
        lr: Low-resolution image, uint8, shape (3, h, w).
        hr: Ground truth, uint8, shape (3, h * scale, w * scale).
        images: Upscaled images by label, of the shape of ``hr``.
        numbers: For some of the labels a line such as ``PSNR 31.10``.

    Raises:
        CorenasError: The file cannot be written.
        ValueError: The sizes do not fit together.
    """
    scale = hr.shape[1] // lr.shape[1]
    enlarged = lr.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    columns = [
        _Column("low resolution", enlarged, _size(lr)),
        *(_Column(label, image, numbers.get(label, "")) for label, image in images.items()),
        _Column("ground truth", hr, _size(hr)),
    ]
    for column in columns:
        if column.image.shape != hr.shape:
            raise ValueError(f"{column.label}: {_size(column.image)} does not fit {_size(hr)}")
    _, height, width = hr.shape
    square = most_detailed(hr, side=_CROP, step=scale)
    layout = _Layout(len(columns), height, width, square)
    figure = layout.figure(f"{name}  ×{scale}")
    for index, column in enumerate(columns):
        layout.draw(figure, index, column)
    save_figure(figure, path)


def most_detailed(image: Tensor, *, side: int, step: int = 1) -> tuple[int, int, int]:
    """Return top, left and side of the square with the strongest edges.

    It has the largest sum of squared brightness differences between neighbours, after a blur over
    3x3 pixels: grain and the finest texture, which no upscaling can recover, count little.

    Args:
        image: RGB values as uint8, shape (3, H, W).
        side: Wanted side; an image that is smaller has a smaller square.
        step: Top and left are multiples of it.
    """
    side = min(side, *image.shape[1:])
    y = luma(image[None].double())
    y = F.avg_pool2d(F.pad(y, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    edges = F.pad(y.diff(dim=2), (0, 0, 0, 1)) ** 2 + F.pad(y.diff(dim=3), (0, 1)) ** 2
    detail = F.avg_pool2d(edges, side, stride=step)[0, 0]
    row, column = divmod(int(detail.argmax()), detail.shape[1])
    return row * step, column * step, side


@frozen
class _Column:
    """A column of the comparison: its label, its image, and the note below."""

    label: str
    image: Tensor
    note: str


@frozen
class _Layout:
    """Positions in a comparison, in pixels from the top left.

    They are computed here and not left to automatic layout, so that every pixel of a crop becomes
    a block of the same size.
    """

    columns: int
    height: int
    width: int
    square: tuple[int, int, int]

    @property
    def whole(self) -> tuple[int, int]:
        """Width and height of a whole image as it is shown."""
        shrink = min(_PANEL / self.width, _TALLEST / self.height)
        return max(1, round(self.width * shrink)), max(1, round(self.height * shrink))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        width = 2 * _MARGIN + self.columns * (_PANEL + _GAP) - _GAP
        return width, _HEAD + self.whole[1] + _GAP + _PANEL + _FOOT

    def figure(self, title: str) -> Figure:
        """Return the picture with nothing but its title."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.size[0] / _DPI, self.size[1] / _DPI), dpi=_DPI)
        self._write(figure, title, _MARGIN, 24, size=13, weight="bold", align="left")
        return figure

    def draw(self, figure: Figure, index: int, column: _Column) -> None:
        """Draw one column."""
        left = _MARGIN + index * (_PANEL + _GAP)
        middle = left + _PANEL / 2
        self._write(figure, column.label, middle, _HEAD - 14, size=11)
        above = self._axes(figure, round(middle - self.whole[0] / 2), _HEAD, *self.whole)
        above.imshow(column.image.permute(1, 2, 0).cpu().numpy(), aspect="auto")
        self._mark(above)
        below = self._axes(figure, left, _HEAD + self.whole[1] + _GAP, _PANEL, _PANEL)
        top, start, side = self.square
        crop = column.image[:, top : top + side, start : start + side]
        below.imshow(crop.permute(1, 2, 0).cpu().numpy(), interpolation="nearest")
        y = self.size[1] - _FOOT / 2
        self._write(figure, column.note, middle, y, size=9.5, colour=GREY)

    def _mark(self, axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        top, left, side = self.square
        corner = (left - 0.5, top - 0.5)
        for width, colour in ((3.5, "white"), (1.5, ACCENT)):
            box = Rectangle(corner, side, side, fill=False, linewidth=width, edgecolor=colour)
            axes.add_patch(box)

    def _axes(self, figure: Figure, left: int, top: int, width: int, height: int) -> Axes:
        total_width, total_height = self.size
        bottom = total_height - top - height
        axes = figure.add_axes(
            (
                left / total_width,
                bottom / total_height,
                width / total_width,
                height / total_height,
            )
        )
        axes.set_axis_off()
        return axes

    def _write(
        self,
        figure: Figure,
        text: str,
        x: float,
        y: float,
        *,
        size: float,
        weight: str = "normal",
        colour: str = "black",
        align: str = "center",
    ) -> None:
        figure.text(
            x / self.size[0],
            1 - y / self.size[1],
            text,
            fontsize=size,
            fontweight=weight,
            color=colour,
            horizontalalignment=align,
            verticalalignment="center",
            parse_math=False,
        )


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}×{image.shape[1]}"
