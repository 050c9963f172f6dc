"""Plots: how a search went, its best compromises, and candidates by two numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, combinations
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from corenas.drawing.figures import ACCENT, CALM, legend, save_figure, style
from corenas.metric import COSTS
from corenas.search.pareto import front
from corenas.show.progress import format_number
from corenas.values.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PLOTS_IN_A_ROW = 3


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
        style(axes)
    _plot_progress(left, points)
    for axes in right:
        _plot_costs(axes, points)
    save_figure(figure, path)


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
    axes.scatter(numbers, scores, s=16, color=CALM, alpha=0.55, linewidths=0, label="trial")
    best = list(accumulate(scores, max))
    axes.step(numbers, best, where="post", color=ACCENT, linewidth=1.8, label="best so far")
    legend(axes)


def _plot_costs(axes: Axes, points: Sequence[_Point]) -> None:
    axes.set_title("Score against cost", loc="left", fontsize=11)
    axes.set_xlabel("mult-adds in G")
    costs = [(p.mult_adds or 0.0) / 1e9 for p in points]
    axes.scatter(costs, [p.score for p in points], s=16, color=CALM, alpha=0.55, linewidths=0)
    best = max(points, key=lambda p: p.score)
    label = f"trial {best.number}: {format_number(best.score)} at {format_number(best.mult_adds)}"
    at = (best.mult_adds or 0.0) / 1e9
    axes.scatter([at], [best.score], s=130, marker="*", color=ACCENT, label=label, zorder=3)
    legend(axes)


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
        style(axes)
        _plot_front(axes, trials, {x: directions[x], y: directions[y]})
    for unused in places[len(pairs) :]:
        unused.set_axis_off()
    save_figure(figure, path)


def _plot_front(axes: Axes, trials: Sequence[Trial], directions: Mapping[str, int]) -> None:
    """Plot the second number over the first."""
    from matplotlib.ticker import EngFormatter

    x, y = directions
    for name, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        axis.set_label_text(f"{name} ({'higher' if directions[name] > 0 else 'lower'} is better)")
        if name in COSTS:
            axis.set_major_formatter(EngFormatter())
    best = _both(front(trials, directions), x, y)
    axes.scatter(*_both(trials, x, y), s=16, color=CALM, alpha=0.55, linewidths=0, label="trial")
    # Between two of them nothing is known to be better than the worse: the line has steps.
    axes.step(*best, where="post", color=ACCENT, linewidth=1.2)
    axes.scatter(*best, s=34, color=ACCENT, zorder=3, label="best compromises")
    legend(axes)


def _both(trials: Sequence[Trial], x: str, y: str) -> tuple[list[float], list[float]]:
    """Return two numbers of all trials that have both."""
    measured = [trial.measurement.metrics for trial in trials if trial.measurement]
    known = [metrics for metrics in measured if x in metrics and y in metrics]
    return [metrics[x] for metrics in known], [metrics[y] for metrics in known]


@frozen
class Dot:
    """A point with a name."""

    name: str
    x: float
    y: float


def dots_plot(path: Path, dots: Sequence[Dot], *, x: str, y: str, title: str) -> None:
    """Draw named points by two numbers, as a PNG file; what is not finite is left out.

    Args:
        path: Where to.
        dots: The points.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        title: Stands above.

    Raises:
        CorenasError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.8), dpi=130, layout="constrained")
    axes = figure.subplots()
    style(axes)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set(xlabel=x, ylabel=y)
    markers = "os^Dv<>P*X"
    for number, dot in enumerate(dots):
        if math.isfinite(dot.x) and math.isfinite(dot.y):
            marker = markers[number % len(markers)]
            axes.scatter([dot.x], [dot.y], s=52, marker=marker, alpha=0.8, label=dot.name)
    # Beside the plot, because good points lie close together.
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    save_figure(figure, path)
