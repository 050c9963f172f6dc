"""Plots of a search: sparsity, entropy, loss and cost, and the weights of the paths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from corenas.drawing.figures import ACCENT, CALM, GREY, save_figure, style
from corenas.values.trial import Event

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATH_WEIGHT = "path/"
"""Prefix of the scalars that hold the weights of paths; the path follows."""

SHOWN_PATHS = 30

_UNKNOWN = "#d5d9dc"
_TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)

_LEVELS: Mapping[str, tuple[str, str]] = {
    "path": ("path", ACCENT),
    "operation": ("operations", CALM),
    "width": ("widths", "#3d8b37"),
}


def sparsity_plot(path: Path, events: Iterable[Event]) -> None:
    """Draw sparsity and entropy of the three levels, loss and expected cost, over the steps.

    Sparsity is the share of a level's weights that are exactly zero, entropy the mean over its
    decisions. A number that an event lacks, or that is not finite, is a gap in its line.

    Args:
        path: Where to, as a PNG file.
        events: Events of a search; only those of the kind ``epoch`` are drawn.

    Raises:
        CorenasError: The file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    epochs = _epochs(events)
    figure = Figure(figsize=(11.0, 6.4), dpi=130, layout="constrained")
    (sparsity, loss), (entropy, cost) = figure.subplots(2, 2, sharex=True)
    _plot(sparsity, epochs, _level_lines("sparsity"), "Sparsity", "share of weights exactly zero")
    sparsity.set_ylim(0, 1)
    _plot(entropy, epochs, _level_lines("entropy"), "Entropy", "mean entropy in nats")
    entropy.set_ylim(bottom=0)
    _plot(loss, epochs, {"loss": ("", GREY)}, "Loss", "loss")
    _plot(cost, epochs, {"expected_cost": ("", GREY)}, "Expected cost", "mult-adds")
    cost.yaxis.set_major_formatter(EngFormatter())
    save_figure(figure, path)


def path_plot(path: Path, events: Iterable[Event]) -> None:
    """Draw the weights of the candidate paths over the steps as a heat map.

    The path with the largest final weight is at the top. Beyond the first thirty they are summed
    in one row. White is a weight of exactly zero.

    Args:
        path: Where to, as a PNG file.
        events: Events of a search. Those without any path's weight are skipped; in the others, a
            path that is not named has weight 0.

    Raises:
        CorenasError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    steps, weights = _path_weights(_epochs(events))
    figure = Figure(figsize=(8.6, 1.6 + 0.19 * max(8, len(weights))), dpi=130, layout="constrained")
    axes = figure.subplots()
    axes.set_title("Weights of the paths", loc="left", fontsize=11)
    axes.set(xlabel="step", ylabel="path")
    if steps:
        _draw_heat_map(axes, steps, weights)
    else:
        _say_nothing_is_known(axes)
    save_figure(figure, path)


def _epochs(events: Iterable[Event]) -> list[Event]:
    """Return the epochs in the order of steps; of several at one step, the last."""
    by_step = {event.step: event for event in events if event.kind == "epoch"}
    return [by_step[step] for step in sorted(by_step)]


def _level_lines(number: str) -> dict[str, tuple[str, str]]:
    return {f"{level}_{number}": look for level, look in _LEVELS.items()}


def _plot(
    axes: Axes,
    epochs: Sequence[Event],
    lines: Mapping[str, tuple[str, str]],
    title: str,
    label: str,
) -> None:
    """Plot scalars by name, each with its label and colour."""
    style(axes)
    axes.set_title(title, loc="left", fontsize=11)
    axes.set(xlabel="step", ylabel=label)
    axes.locator_params(axis="x", integer=True)
    axes.tick_params(labelbottom=True)
    steps = [event.step for event in epochs]
    for name, (text, colour) in lines.items():
        values = [_finite(event.scalars.get(name, math.nan)) for event in epochs]
        if not all(map(math.isnan, values)):
            line = axes.plot(steps, values, color=colour, linewidth=1.5, label=text, clip_on=False)
            line[0].set(marker="o", markersize=2.5)
    if not axes.lines:
        _say_nothing_is_known(axes)
    elif len(lines) > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=len(lines), frameon=False)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _say_nothing_is_known(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GREY)
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    axes.grid(visible=False)


def _path_weights(epochs: Iterable[Event]) -> tuple[list[int], dict[str, list[float]]]:
    """Return the steps with weights, and those of each row from the top; NaN where unknown."""
    found: dict[int, dict[str, float]] = {}
    for event in epochs:
        named = {
            name.removeprefix(PATH_WEIGHT): _finite(weight)
            for name, weight in event.scalars.items()
            if name.startswith(PATH_WEIGHT)
        }
        if named:
            found[event.step] = named
    names = sorted({name for named in found.values() for name in named})
    weights = {name: [named.get(name, 0.0) for named in found.values()] for name in names}
    ranked = sorted(names, key=lambda name: _rank(weights[name]))
    rows = {name: weights[name] for name in ranked[:SHOWN_PATHS]}
    if others := ranked[SHOWN_PATHS:]:
        columns = zip(*(weights[name] for name in others), strict=True)
        rows[f"{len(others)} others"] = [sum(column) for column in columns]
    return list(found), rows


def _rank(weights: Sequence[float]) -> tuple[float, float]:
    """Return a key that sorts by final weight, largest first, and then by the sum over time."""
    known = [weight for weight in weights if not math.isnan(weight)]
    return (-known[-1], -sum(known)) if known else (0.0, 0.0)


def _draw_heat_map(axes: Axes, steps: Sequence[int], rows: Mapping[str, Sequence[float]]) -> None:
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    colours = LinearSegmentedColormap.from_list("weights", ["#dfeaf3", CALM, "#0a1f33"])
    mesh = axes.pcolormesh(
        _borders(steps),
        range(len(rows) + 1),
        [[weight or -1.0 for weight in row] for row in rows.values()],  # zero: under the scale
        cmap=colours.with_extremes(under="white", bad=_UNKNOWN),
        norm=PowerNorm(0.5, vmin=0.0, vmax=1.0),  # small weights are to be seen
    )
    axes.invert_yaxis()
    axes.set_yticks([i + 0.5 for i in range(len(rows))], list(rows), fontsize=8, family="monospace")
    axes.tick_params(left=False)
    axes.locator_params(axis="x", integer=True)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.ax.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    bar.set_label("weight (white: exactly zero)")


def _borders(steps: Sequence[int]) -> list[float]:
    """Return the borders of the steps' columns, half way between the steps."""
    between = [(a + b) / 2 for a, b in pairwise(steps)]
    if not between:
        return [steps[0] - 0.5, steps[0] + 0.5]
    return [2 * steps[0] - between[0], *between, 2 * steps[-1] - between[-1]]
