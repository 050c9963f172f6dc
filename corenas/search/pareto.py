"""The trials that are the best compromises between several metrics and costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from corenas.metric import COSTS, MetricInfo
from corenas.values.trial import Trial


def front(trials: Iterable[Trial], directions: Mapping[str, int]) -> list[Trial]:
    """Return the Pareto front: the trials that no other one equals or beats in everything.

    Args:
        trials: Those that lack one of the numbers, or have one that is not finite, are left out.
        directions: By metric or cost, 1 where higher is better and -1 where lower is.

    Returns:
        Trials from the best to the worst in the first metric; of equal ones the earliest.
    """
    points = sorted(_points(trials, directions), key=lambda each: (each[0], each[1].number))
    kept: list[tuple[_Point, Trial]] = []
    # In this order nothing is beaten by what comes later.
    for point, trial in points:
        if not any(_as_good(known, point) for known, _ in kept):
            kept.append((point, trial))
    return [trial for _, trial in kept]


_Point = tuple[float, ...]
"""The numbers of a trial, turned so that lower is better."""


def _points(
    trials: Iterable[Trial], directions: Mapping[str, int]
) -> Iterable[tuple[_Point, Trial]]:
    for trial in trials:
        metrics = trial.measurement.metrics if trial.measurement else {}
        point = tuple(-sign * metrics.get(name, math.nan) for name, sign in directions.items())
        if all(map(math.isfinite, point)):
            yield point, trial


def _as_good(one: _Point, other: _Point) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def directions(trials: Iterable[Trial], infos: Mapping[str, MetricInfo]) -> dict[str, int]:
    """Return the good direction of what was measured: metrics first, then costs.

    Args:
        trials: Those whose numbers count.
        infos: What is known of metrics, by name. A number that is neither such a metric nor a cost
            has no direction.
    """
    measured = {
        name: None for trial in trials if trial.measurement for name in trial.measurement.metrics
    }
    known = {name: infos[name].sign for name in measured if name in infos}
    return known | {name: -1 for name in COSTS if name in measured}
