"""The mathematics of comparisons, against second algorithms and SciPy."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from scipy import stats

from corenas.comparing.statistics import (
    DRAWN_SIGNS,
    EXACT_PAIRS,
    Spread,
    hypervolume,
    least_p,
    sign_flip_test,
    spread,
)

Point = tuple[float, ...]


def volume_by_inclusion(points: list[Point], reference: Point) -> float:
    """Add the boxes of all points, less those of all pairs, and so on: another algorithm."""
    total = 0.0
    for count in range(1, len(points) + 1):
        for chosen in itertools.combinations(points, count):
            corner = [max(axis) for axis in zip(*chosen, strict=True)]
            sides = [max(0.0, end - at) for at, end in zip(corner, reference, strict=True)]
            total -= (-1) ** count * math.prod(sides)
    return total


def volume_by_cells(points: list[Point], size: int) -> int:
    """Count the dominated unit cells of a grid."""
    dimensions = len(points[0])
    cells = itertools.product(range(size), repeat=dimensions)
    return sum(
        any(all(a <= c for a, c in zip(p, cell, strict=True)) for p in points) for cell in cells
    )


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_hypervolume_is_that_of_inclusion_and_exclusion(dimensions: int) -> None:
    draw = random.Random(dimensions)
    reference = (1.0,) * dimensions
    for _ in range(20):
        points = [tuple(draw.uniform(0, 1.2) for _ in reference) for _ in range(7)]
        assert hypervolume(points, reference) == pytest.approx(
            volume_by_inclusion(points, reference), abs=1e-12
        )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_hypervolume_with_ties_is_the_count_of_cells(dimensions: int) -> None:
    draw = random.Random(0)
    for _ in range(20):
        points = [tuple(float(draw.randrange(7)) for _ in range(dimensions)) for _ in range(9)]
        assert hypervolume(points, (6.0,) * dimensions) == volume_by_cells(points, 6)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0
    assert hypervolume([(1.0, 0.0), (2.0, 2.0)], (1.0, 1.0)) == 0
    assert hypervolume([(0.5, 0.5), (0.0, 1.0)], (1.0, 1.0)) == 0.25


@pytest.mark.parametrize("count", [2, 5, 9])
def test_sign_flips_are_those_of_scipys_permutation_test(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.5, 1.0, count)
    expected = stats.permutation_test(
        (differences,),
        np.sum,
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    assert sign_flip_test(list(differences)) == pytest.approx(expected.pvalue)


def test_sign_flips_of_ranks_are_wilcoxons_exact_test() -> None:
    draw = np.random.default_rng(3)
    values = draw.normal(0.3, 1.0, 8)
    ranks = stats.rankdata(abs(values)) * np.sign(values)
    assert sign_flip_test(list(ranks)) == pytest.approx(
        stats.wilcoxon(values, method="exact").pvalue
    )


def test_known_p_values() -> None:
    assert sign_flip_test([1.0]) == 1.0
    assert sign_flip_test([0.1, 0.2, 0.3]) == 0.25
    assert sign_flip_test([0.0, 0.0]) == 1.0
    assert sign_flip_test([1.0, -1.0, 0.0]) == 1.0
    with pytest.raises(ValueError, match="at least one pair"):
        sign_flip_test([])
    for number in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            sign_flip_test([1.0, number])


@pytest.mark.parametrize("pairs", [1, 3, EXACT_PAIRS, EXACT_PAIRS + 1, 60])
def test_the_least_p_is_that_of_equal_differences(pairs: int) -> None:
    assert sign_flip_test([1.0] * pairs) >= least_p(pairs)
    assert least_p(pairs, ties=pairs) == 1.0
    if pairs <= EXACT_PAIRS or pairs == 60:
        assert sign_flip_test([1.0] * pairs) == least_p(pairs)


def test_many_pairs_are_drawn_and_come_close_to_the_exact_value() -> None:
    draw = np.random.default_rng(1)
    differences = draw.normal(0.35, 1.0, EXACT_PAIRS)
    exact = sign_flip_test(list(differences))
    # A further difference of zero changes nothing but the number of pairs.
    drawn = sign_flip_test([*differences, 0.0])
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / DRAWN_SIGNS))
    assert sign_flip_test([1.0] * 100) == pytest.approx(1 / (DRAWN_SIGNS + 1))


def test_spread_is_that_of_a_sample() -> None:
    assert spread([3.0]) == Spread(3.0, None, 1)
    assert spread([1.0, 2.0, 4.0]).deviation == pytest.approx(np.std([1, 2, 4], ddof=1))
