"""The mathematics of comparisons: spread, dominated volume, and a paired test by flipped signs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from attrs import frozen

EXACT_PAIRS = 20
"""Up to so many pairs every assignment of signs is looked at: 2^20 of them take a few megabytes."""

DRAWN_SIGNS = 100_000
"""With more pairs, so many random assignments stand for all."""


@frozen
class Spread:
    """Mean and sample standard deviation of ``count`` numbers; one number has no deviation."""

    mean: float
    deviation: float | None
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Return mean and spread of at least one number."""
    return Spread(fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Return the volume that points dominate, up to a reference point, where lower is better.

    It is the S-metric of Zitzler and Thiele (IEEE Transactions on Evolutionary Computation 3,
    1999), computed in slices along the last axis. Points that are not better than the reference in
    everything add nothing.

    Args:
        points: Any points of one dimension; they need not be a front.
        reference: What is just not good enough, of the same dimension.
    """
    inside = [
        p for p in map(tuple, points) if all(a < b for a, b in zip(p, reference, strict=True))
    ]
    return _sweep(sorted(set(inside), key=lambda point: point[-1]), tuple(reference))


def _sweep(points: Sequence[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """Sum the slices between points that are sorted by their last number."""
    if not points:
        return 0.0
    if len(reference) == 1:
        return reference[0] - points[0][0]
    ends = [*(point[-1] for point in points[1:]), reference[-1]]
    if len(reference) == 2:  # the slice's length is known without looking at all points again
        best, area = math.inf, 0.0
        for (x, y), end in zip(points, ends, strict=True):
            best = min(best, x)
            area += (reference[0] - best) * (end - y)
        return area
    total = 0.0
    for at, (point, end) in enumerate(zip(points, ends, strict=True)):
        if end > point[-1]:
            slice_ = sorted({each[:-1] for each in points[: at + 1]}, key=lambda each: each[-1])
            total += (end - point[-1]) * _sweep(slice_, reference[:-1])
    return total


def least_p(pairs: int, *, ties: int = 0) -> float:
    """Return the smallest p-value that `sign_flip_test` can give for so many pairs.

    Of every assignment of signs to ``pairs`` less ``ties`` differences, two have the farthest sums;
    drawn assignments have one among them for certain, the observed one.
    """
    exact = 2.0 ** (1 - max(1, pairs - ties))
    return exact if pairs <= EXACT_PAIRS else max(exact, 1 / (DRAWN_SIGNS + 1))


def sign_flip_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of paired differences under Fisher's sign-flip test.

    It is the share of all assignments of signs with a sum at least as far from zero as the one that
    was observed (Fisher, The Design of Experiments, 1935, section 21). Nothing is assumed of the
    differences but that, without an effect, either sign is equally likely. With more than
    `EXACT_PAIRS` of them, random assignments stand for all, and the observed one counts as well.

    Raises:
        ValueError: There is no difference, or one is not finite.
    """
    if not differences:
        raise ValueError("a paired test needs at least one pair")
    if not all(map(math.isfinite, differences)):
        raise ValueError("a paired test needs finite differences")
    import numpy as np  # most commands compute nothing, and start faster without it

    sizes = np.abs(np.array(differences, dtype=float))
    # Rounding must not tell an assignment from the observed one where both have the same sum.
    observed = abs(math.fsum(differences)) * (1 - 1e-9) - 1e-12 * float(sizes.max())
    if len(sizes) > EXACT_PAIRS:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(DRAWN_SIGNS, len(sizes)))
        return float((np.count_nonzero(np.abs(signs @ sizes) >= observed) + 1) / (DRAWN_SIGNS + 1))
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return float(np.mean(np.abs(sums) >= observed))
