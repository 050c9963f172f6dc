"""Pictures for people: images side by side, and how a search went."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, combinations
from pathlib import Path
from typing import TYPE_CHECKING

import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from corenas.errors import CorenasError
from corenas.files import atomic_write
from corenas.metric import COSTS
from corenas.pareto import front
from corenas.progress import format_number
from corenas.trial import Trial
from corenas_sr.images import luma

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

_PLOTS_IN_A_ROW = 3

_ACCENT = "#d1495b"
_CALM = "#30638e"
_GREY = "#5c6670"


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

    Below each is a part of it five times enlarged: where the ground truth has the most detail. A
    box marks it in the whole image.

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
    _save(figure, path)


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
    """What stands above, in and below a column of the comparison."""

    label: str
    image: Tensor
    note: str


@frozen
class _Layout:
    """Where things stand in a comparison, in pixels from the top left.

    Every pixel of a crop becomes a block of the same size, because nothing here is left to
    automatic layout.
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
        self._write(figure, column.note, middle, y, size=9.5, colour=_GREY)

    def _mark(self, axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        top, left, side = self.square
        corner = (left - 0.5, top - 0.5)
        for width, colour in ((3.5, "white"), (1.5, _ACCENT)):
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


def search_plot(path: Path, trials: Sequence[Trial]) -> None:
    """Draw score over trial with the best so far, and score over mult-adds, as a PNG file.

    Args:
        path: Where to.
        trials: Any trials; those with a score are drawn. Unless all of them have the metric
            ``mult_adds``, the second plot is left out.

    Raises:
        CorenasError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    points = [_Point.of(trial) for trial in trials if trial.score is not None]
    points.sort(key=lambda point: point.number)
    has_costs = bool(points) and all(point.mult_adds is not None for point in points)
    figure = Figure(figsize=(11.0 if has_costs else 5.8, 4.2), dpi=130, layout="constrained")
    left, *right = figure.subplots(1, 1 + has_costs, squeeze=False, sharey=True)[0]
    for axes in (left, *right):
        _style(axes)
    _plot_progress(left, points)
    for axes in right:
        _plot_costs(axes, points)
    _save(figure, path)


@frozen
class _Point:
    """A trial in the plots."""

    number: int
    score: float
    mult_adds: float | None

    @classmethod
    def of(cls, trial: Trial) -> _Point:
        metrics = trial.measurement.metrics if trial.measurement else {}
        return cls(trial.number, trial.score or 0.0, metrics.get("mult_adds"))


def _plot_progress(axes: Axes, points: Sequence[_Point]) -> None:
    axes.set_title("Score of each trial", loc="left", fontsize=11)
    axes.set(xlabel="trial", ylabel="score")
    axes.locator_params(axis="x", integer=True)
    if not points:
        return
    numbers, scores = [p.number for p in points], [p.score for p in points]
    axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    axes.scatter(numbers, scores, s=16, color=_CALM, alpha=0.55, linewidths=0, label="trial")
    best = list(accumulate(scores, max))
    axes.step(numbers, best, where="post", color=_ACCENT, linewidth=1.8, label="best so far")
    _legend(axes)


def _plot_costs(axes: Axes, points: Sequence[_Point]) -> None:
    axes.set_title("Score against cost", loc="left", fontsize=11)
    axes.set_xlabel("mult-adds in G")
    costs = [(p.mult_adds or 0.0) / 1e9 for p in points]
    axes.scatter(costs, [p.score for p in points], s=16, color=_CALM, alpha=0.55, linewidths=0)
    best = max(points, key=lambda p: p.score)
    label = f"trial {best.number}: {format_number(best.score)} at {format_number(best.mult_adds)}"
    at = (best.mult_adds or 0.0) / 1e9
    axes.scatter([at], [best.score], s=130, marker="*", color=_ACCENT, label=label, zorder=3)
    _legend(axes)


def pareto_plot(path: Path, trials: Sequence[Trial], directions: Mapping[str, int]) -> None:
    """Draw each two numbers of the trials against each other, with the best compromises.

    Args:
        path: Where to, as a PNG file.
        trials: Any trials; in each plot those that have both numbers are drawn.
        directions: By metric or cost, 1 where higher is better and -1 where lower is.

    Raises:
        CorenasError: The file cannot be written.
        ValueError: There are fewer than two numbers.
    """
    from matplotlib.figure import Figure

    pairs = list(combinations(directions, 2))
    if not pairs:
        raise ValueError(f"expected two or more numbers, got {list(directions)}")
    columns = min(len(pairs), _PLOTS_IN_A_ROW)
    rows = math.ceil(len(pairs) / columns)
    figure = Figure(figsize=(5.5 * columns, 4.2 * rows), dpi=130, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (y, x) in zip(places, pairs, strict=False):
        _style(axes)
        _plot_front(axes, trials, {x: directions[x], y: directions[y]})
    for unused in places[len(pairs) :]:
        unused.set_axis_off()
    _save(figure, path)


def _plot_front(axes: Axes, trials: Sequence[Trial], directions: Mapping[str, int]) -> None:
    """Plot the second number over the first."""
    from matplotlib.ticker import EngFormatter

    x, y = directions
    for name, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        axis.set_label_text(f"{name} ({'higher' if directions[name] > 0 else 'lower'} is better)")
        if name in COSTS:
            axis.set_major_formatter(EngFormatter())
    best = _both(front(trials, directions), x, y)
    axes.scatter(*_both(trials, x, y), s=16, color=_CALM, alpha=0.55, linewidths=0, label="trial")
    # Between two of them nothing is known to be better than the worse: the line has steps.
    axes.step(*best, where="post", color=_ACCENT, linewidth=1.2)
    axes.scatter(*best, s=34, color=_ACCENT, zorder=3, label="best compromises")
    _legend(axes)


def _both(trials: Sequence[Trial], x: str, y: str) -> tuple[list[float], list[float]]:
    """Return two numbers of all trials that have both."""
    measured = [trial.measurement.metrics for trial in trials if trial.measurement]
    known = [metrics for metrics in measured if x in metrics and y in metrics]
    return [metrics[x] for metrics in known], [metrics[y] for metrics in known]


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e6e8", linewidth=0.8)
    axes.set_axisbelow(True)


def _legend(axes: Axes) -> None:
    """Put the legend beside the title, where it hides no trial."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.99), ncols=2, frameon=False)


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}×{image.shape[1]}"


def _save(figure: Figure, path: Path) -> None:
    """Write a figure; no window system is asked for, because no canvas of one is made."""
    content = io.BytesIO()
    figure.savefig(content, format="png", pil_kwargs={"optimize": True})
    try:
        with atomic_write(path) as file:
            file.write(content.getbuffer())
    except OSError as error:
        raise CorenasError(f"{path}: cannot be written: {error.strerror or error}") from error
