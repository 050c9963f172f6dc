"""Plots: how a search went, its best compromises, and candidates by two numbers.

Names are written as they are: a dollar sign begins no formula. Numbers that are not finite, or
too large to compute with, are left out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, combinations
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from corenas.drawing.figures import (
    ACCENT,
    CALM,
    LONGEST_LABEL,
    legend,
    render_figure,
    save_figure,
    shortened,
    style,
)
from corenas.show.progress import format_number
from corenas.values.quantity import Quantity
from corenas.values.ranking import at_highest_fidelity
from corenas.values.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.collections import PathCollection

SHOWN_DOTS = 10_000
"""How many dots the plots of a file have at most together; it stays below a megabyte."""

_PLOTS_IN_A_ROW = 3
_MOST_PLOTS = 12  # four rows fit a screen
_LONGEST_NAME = LONGEST_LABEL // 2  # as unit and direction follow
_LONGEST_TITLE = 80
_LEGEND_LINE = 0.22  # inches
_MARKERS = "os^Dv<>P*"  # nine, as there are ten colours: 90 points differ
_LARGEST = 1e100  # matplotlib multiplies ranges, and must not overflow

_Point = tuple[float, float]


def search_plot(
    path: Path,
    trials: Sequence[Trial],
    quantities: Mapping[str, Quantity],
    *,
    cost: str | None = None,
) -> None:
    """Draw score over trial with the best so far, and score over a cost, as a PNG file.

    Of more trials than `SHOWN_DOTS` allows a random choice is drawn, as the legend says; the line
    of the best so far knows all, and the best one has a star.

    Args:
        path: Where to.
        trials: Any trials; those with a score are drawn, of the highest fidelity among them.
        quantities: What is known of the measured numbers, by name.
        cost: Which of them is the cost; the first of which less is better if none is named. Unless
            all trials drawn have it, the second plot is left out.

    Raises:
        CorenasError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    scored = [
        trial
        for trial in at_highest_fidelity(trials)
        if trial.score is not None and _is_drawable(trial.score)
    ]
    # With several workers they end in another order than they began.
    scored.sort(key=lambda trial: trial.number)
    if cost is None:
        cost = next((name for name, each in quantities.items() if each.better == "lower"), "")
    measured = [_metrics_of(trial).get(cost) for trial in scored]
    has_costs = cost in quantities and bool(scored) and None not in measured
    figure = Figure(figsize=(11.0 if has_costs else 5.8, 4.2), dpi=130, layout="constrained")
    left, *right = figure.subplots(1, 1 + has_costs, squeeze=False, sharey=True)[0]
    _plot_progress(left, scored)
    for axes in right:
        _plot_costs(axes, scored, quantities[cost])
    save_figure(figure, path)


def _plot_progress(axes: Axes, scored: Sequence[Trial]) -> None:
    from matplotlib.ticker import MaxNLocator

    style(axes)
    axes.set_title("Score of each trial", loc="left", fontsize=11)
    points = [(float(trial.number), trial.score or 0.0) for trial in scored]
    _label_axis(axes.xaxis, "trial", [])
    _label_axis(axes.yaxis, "score", [score for _, score in points])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not points:
        return
    axes.set_xlim(points[0][0] - 0.5, points[-1][0] + 0.5)
    name, dots = _scatter(axes, points)
    best = accumulate((score for _, score in points), max)
    numbers = [number for number, _ in points]
    (line,) = axes.step(numbers, [*best], where="post", color=ACCENT, linewidth=1.8)
    legend(axes, [name, "best so far"], [dots, line])


def _plot_costs(axes: Axes, scored: Sequence[Trial], cost: Quantity) -> None:
    style(axes)
    axes.set_title("Score against cost", loc="left", fontsize=11)
    measured = [(_metrics_of(trial)[cost.name], trial.score or 0.0, trial) for trial in scored]
    shown = [each for each in measured if _is_drawable(each[0])]
    _label_axis(axes.xaxis, _write_label(cost), [at for at, _, _ in shown])
    if not shown:
        return
    _scatter(axes, [(at, score) for at, score, _ in shown])
    at, score, best = max(shown, key=lambda each: each[1])
    number = f"{format_number(at)} {cost.unit}".strip()
    star = axes.scatter([at], [score], s=130, marker="*", color=ACCENT, zorder=3)
    legend(axes, [f"trial {best.number}: {format_number(score)} at {number}"], [star])


def pareto_plot(path: Path, trials: Sequence[Trial], quantities: Mapping[str, Quantity]) -> None:
    """Draw numbers of the trials against each other, with the best compromises, as a PNG file.

    Every two numbers have a plot. Where that were more than twelve plots, it is the first number
    against each of the others, twelve of them at most, and the title says so. Fewer than two
    numbers have no compromise: nothing is written. Of more trials than `SHOWN_DOTS` allows a
    random choice is drawn, as the legend says, with all of the best compromises.

    Args:
        path: Where to.
        trials: Any trials; in each plot those that have both numbers are drawn, of the highest
            fidelity among all.
        quantities: The numbers, by name; those of which neither more nor less is better are left
            out.

    Raises:
        CorenasError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    aims = [quantity for quantity in quantities.values() if quantity.sign]
    pairs = every = list(combinations(aims, 2))
    if not pairs:
        return
    if len(every) > _MOST_PLOTS:
        pairs = every[: min(len(aims) - 1, _MOST_PLOTS)]  # those of the first come first
    columns = min(len(pairs), _PLOTS_IN_A_ROW)
    rows = math.ceil(len(pairs) / columns)
    compared = at_highest_fidelity(trials)
    figure = Figure(figsize=(5.5 * columns, 4.2 * rows), dpi=130, layout="constrained")
    if len(pairs) < len(every):
        figure.suptitle(f"{len(pairs)} of {len(every)} pairs of {len(aims)} numbers")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (y, x) in zip(places, pairs, strict=False):
        _plot_front(axes, compared, x, y)
    for unused in places[len(pairs) :]:
        unused.set_axis_off()
    save_figure(figure, path)


def _plot_front(axes: Axes, trials: Sequence[Trial], x: Quantity, y: Quantity) -> None:
    style(axes)
    measured = [_metrics_of(trial) for trial in trials]
    both = [(m[x.name], m[y.name]) for m in measured if x.name in m and y.name in m]
    points = [point for point in both if all(map(_is_drawable, point))]
    _label_axis(axes.xaxis, _write_label(x), [at for at, _ in points])
    _label_axis(axes.yaxis, _write_label(y), [at for _, at in points])
    name, dots = _scatter(axes, points)
    best = _find_front(points, x, y)
    xs, ys = [at for at, _ in best], [at for _, at in best]
    # Between two of them nothing is known to be better than the worse: the line has steps.
    axes.step(xs, ys, where="post", color=ACCENT, linewidth=1.2)
    front = axes.scatter(xs, ys, s=34, color=ACCENT, zorder=3, label="best compromises")
    legend(axes, [name, "best compromises"], [dots, front])


@frozen
class FrontLine:
    """The front of a run among several: its name, the number of its colour, and its trials."""

    name: str
    colour: int
    trials: Sequence[Trial]


def fronts_picture(lines: Sequence[FrontLine], aims: Sequence[Quantity]) -> bytes:
    """Draw the best compromises of several runs over each other, as a PNG file's content.

    Every two numbers have a plot. Runs of one colour belong together; the legend tells them apart
    by their marks.

    Args:
        lines: One for each run; one without trials has no line.
        aims: Two numbers or more, each with a good direction.
    """
    from matplotlib.figure import Figure

    shown = [line for line in lines if line.trials]
    pairs = list(combinations(aims, 2))
    columns = min(len(pairs), _PLOTS_IN_A_ROW)
    rows = math.ceil(len(pairs) / columns)
    height = max(4.2 * rows, 1.0 + _LEGEND_LINE * len(shown))
    figure = Figure(figsize=(5.5 * columns + 1.5, height), dpi=130, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (y, x) in zip(places, pairs, strict=False):
        marks = _plot_fronts(axes, shown, x, y)
    for unused in places[len(pairs) :]:
        unused.set_axis_off()
    names = [shortened(line.name, _LONGEST_NAME) for line in shown]
    legend(places[len(pairs) - 1], names, marks, beside=True)
    return render_figure(figure)


def _plot_fronts(
    axes: Axes, lines: Sequence[FrontLine], x: Quantity, y: Quantity
) -> list[PathCollection]:
    style(axes)
    fronts = []
    for line in lines:
        measured = [_metrics_of(trial) for trial in line.trials]
        both = [(m[x.name], m[y.name]) for m in measured if x.name in m and y.name in m]
        fronts.append(_find_front([p for p in both if all(map(_is_drawable, p))], x, y))
    _label_axis(axes.xaxis, _write_label(x), [at for front in fronts for at, _ in front])
    _label_axis(axes.yaxis, _write_label(y), [at for front in fronts for _, at in front])
    marks = []
    for number, (line, front) in enumerate(zip(lines, fronts, strict=True)):
        xs, ys = [at for at, _ in front], [at for _, at in front]
        colour = f"C{line.colour % 10}"
        axes.step(xs, ys, where="post", color=colour, linewidth=1.2, alpha=0.8)
        mark = _MARKERS[number % len(_MARKERS)]
        marks.append(axes.scatter(xs, ys, s=30, color=colour, marker=mark, alpha=0.8, zorder=3))
    return marks


def _find_front(points: Iterable[_Point], x: Quantity, y: Quantity) -> list[_Point]:
    """Return the Pareto front, from the best to the worst in x.

    For two numbers one pass is enough; `corenas.search.pareto.front` compares each with each.
    """
    front: list[_Point] = []
    for point in sorted(set(points), key=lambda point: (-x.sign * point[0], -y.sign * point[1])):
        if not front or y.sign * point[1] > y.sign * front[-1][1]:
            front.append(point)
    return front


def _metrics_of(trial: Trial) -> Mapping[str, float]:
    return trial.measurement.metrics if trial.measurement else {}


def _is_drawable(value: float) -> bool:
    return abs(value) <= _LARGEST  # not so for what is no number


def _write_label(quantity: Quantity) -> str:
    unit = f" in {quantity.unit}" if quantity.unit else ""
    aim = f" ({quantity.better} is better)" if quantity.sign else ""
    return f"{shortened(quantity.name, _LONGEST_NAME)}{unit}{aim}"


def _label_axis(axis: Axis, text: str, values: Sequence[float]) -> None:
    """Name an axis; large numbers have SI prefixes, unless they differ too little for that."""
    from matplotlib.ticker import EngFormatter

    axis.set_label_text(shortened(text), parse_math=False)
    largest = max(map(abs, values), default=0.0)
    if largest >= 1e4 and not 0 < max(values) - min(values) < largest / 1e4:
        axis.set_major_formatter(EngFormatter())


def _scatter(axes: Axes, points: Sequence[_Point]) -> tuple[str, PathCollection]:
    """Draw points, or a random choice of them, and return what the legend says."""
    name, most = "trial", SHOWN_DOTS // len(axes.figure.axes)
    if len(points) > most:
        name = f"{most} of {len(points)} trials"
        # At random: every tenth would always be the same member of a population of ten.
        points = random.Random(0).sample(points, most)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return name, axes.scatter(xs, ys, s=16, color=CALM, alpha=0.55, linewidths=0, label=name)


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

    shown = [dot for dot in dots if _is_drawable(dot.x) and _is_drawable(dot.y)]
    height = max(4.8, 1.5 + _LEGEND_LINE * len(shown))
    figure = Figure(figsize=(7.2, height), dpi=130, layout="constrained")
    axes = figure.subplots()
    style(axes)
    axes.set_title(shortened(title, _LONGEST_TITLE), loc="left", fontsize=11, parse_math=False)
    _label_axis(axes.xaxis, x, [dot.x for dot in shown])
    _label_axis(axes.yaxis, y, [dot.y for dot in shown])
    marks = [
        axes.scatter([dot.x], [dot.y], s=52, marker=_MARKERS[number % len(_MARKERS)], alpha=0.8)
        for number, dot in enumerate(shown)
    ]
    # Beside the plot, because good points lie close together.
    legend(axes, [shortened(dot.name, _LONGEST_NAME) for dot in shown], marks, beside=True)
    save_figure(figure, path)
