"""Penalties of the architecture: its cost, and the order of paths (Wu et al., supplement)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from corenas.values.architecture import Relaxation
from corenas_trilevel.space.decisions import operation_names, width_names
from corenas_trilevel.space.supernet import TrilevelSupernet

Order = Literal["difference", "hinge", "off"]

SEARCH_SIZE = (350, 510)
"""Height and width of the input for which the paper's search counts costs."""


def cost_term(
    supernet: TrilevelSupernet,
    point: Relaxation,
    *,
    omega1: float = 2 / 7,
    omega2: float = 5 / 7,
    size: tuple[int, int] = SEARCH_SIZE,
) -> Tensor:
    """Return the cost to be multiplied by lambda and added to the architecture's loss.

    The first part has the operations' weights at full width; the second has the widths' weights
    with operations of equal weight. The path's weights are in both.

    Args:
        supernet: Where the point lies.
        point: Weights of every decision.
        omega1: Share of the first part.
        omega2: Share of the second part.
        size: Height and width of the input, in pixels.

    Returns:
        Mult-adds, a float64 number; differentiable.
    """
    space = supernet.space
    operations = supernet.expected_cost(_at_full_width(space.cells, point), size=size)
    widths = supernet.expected_cost(_with_equal_operations(space.cells, point), size=size)
    return omega1 * operations + omega2 * widths


def _at_full_width(cells: Sequence[str], point: Relaxation) -> Relaxation:
    names = [name for cell in cells for name in width_names(cell)]
    widest = torch.zeros_like(point[names[0]])
    widest[-1] = 1
    return {**point, **dict.fromkeys(names, widest)}


def _with_equal_operations(cells: Sequence[str], point: Relaxation) -> Relaxation:
    names = [name for cell in cells for name in operation_names(cell)]
    weights = point[names[0]]
    return {**point, **dict.fromkeys(names, torch.full_like(weights, 1 / len(weights)))}


def adapted_lambda(
    value: float, mult_adds: float, *, lowest: float = 100e9, highest: float = 400e9
) -> float:
    """Return the factor of the cost term after an evaluation.

    It is halved when the derived network has fewer mult-adds than ``lowest``, doubled when it has
    more than ``highest``.
    """
    if mult_adds < lowest:
        return value / 2
    return value * 2 if mult_adds > highest else value


def order_term(
    mode: Order, *, logits: Tensor, weights: Tensor, chains: Sequence[Sequence[int]]
) -> Tensor:
    """Return the ordering constraint: a longer path shall weigh no more than its prefix (Eq. 2).

    Args:
        mode: ``difference`` sums logit(deeper) - logit(shallower) over all steps, as the authors'
            code does; ``hinge`` sums by how much the deeper weight exceeds the shallower one;
            ``off`` is zero.
        logits: Of the candidate paths, shape (candidates,).
        weights: The normalised logits, same shape.
        chains: Indices of candidates, each the prefix of the next; see `TrilevelSpace.chains`.

    Returns:
        A number; differentiable.

    Raises:
        ValueError: The mode is unknown.
    """
    if mode == "off":
        return logits.new_zeros(())
    if mode == "difference":
        return _step_differences(logits, chains).sum()
    if mode == "hinge":
        return _step_differences(weights, chains).relu().sum()
    raise ValueError(f"mode must be 'difference', 'hinge' or 'off', got {mode!r}")


def _step_differences(values: Tensor, chains: Sequence[Sequence[int]]) -> Tensor:
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    shallower, deeper = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return values[deeper] - values[shallower]
