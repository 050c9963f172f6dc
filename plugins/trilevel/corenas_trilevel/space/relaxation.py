"""Points between architectures: made from tensors, mixed by the supernet, rounded at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from corenas.values.architecture import Architecture, Decision, Relaxation
from corenas_trilevel.space.decisions import PATH, operation_names, width_names

if TYPE_CHECKING:
    from corenas_trilevel.space.space import TrilevelSpace


def relaxation(
    space: TrilevelSpace, *, path: Tensor, operations: Tensor, widths: Tensor
) -> Relaxation:
    """Name the weights of a space's decisions; gradients flow back into the three tensors.

    Args:
        space: Its ``cells`` give the order of the cells.
        path: Weights of the candidates, shape (candidates,).
        operations: Shape (cells, 5, 4).
        widths: Shape (cells, 4, widths).
    """
    point = {PATH: path}
    for cell, rows, columns in zip(space.cells, operations, widths, strict=True):
        point |= zip(operation_names(cell), rows.unbind(), strict=True)
        point |= zip(width_names(cell), columns.unbind(), strict=True)
    return point


def one_hot(
    space: TrilevelSpace,
    architecture: Architecture,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Relaxation:
    """Return the one-hot point, at which the supernet is this architecture's network."""
    point = {}
    for decision in space.decisions:
        index = torch.tensor(decision.index(architecture[decision.name]), device=device)
        point[decision.name] = F.one_hot(index, len(decision.options)).to(dtype)
    return point


def argmax(space: TrilevelSpace, point: Relaxation) -> Architecture:
    """Return the architecture of the largest weights; of tied ones the first is taken."""
    # One transfer for all decisions: each reading waits for the device.
    largest = torch.stack([point[decision.name].argmax() for decision in space.decisions])
    choices = {
        decision.name: decision.options[index]
        for decision, index in zip(space.decisions, largest.tolist(), strict=True)
    }
    return space.canonical(Architecture(space.name, choices))


@frozen
class Mixture:
    """One decision's weights, and the indices of those that take part."""

    weights: Tensor
    taking_part: tuple[int, ...]

    def dense(self) -> Mixture:
        """Return the mixture in which zero weights take part as well."""
        return Mixture(self.weights, tuple(range(len(self.weights))))


def mixtures(point: Relaxation, decisions: Iterable[Decision]) -> dict[str, Mixture]:
    """Return each decision's mixture, in which weights that are exactly zero take no part.

    All values are read at once, because each reading waits for the device.

    Raises:
        ValueError: A decision is missing, its weights are not one per option, or all are zero.
    """
    decisions = tuple(decisions)
    _check_shapes(point, decisions)
    values = iter(torch.cat([point[decision.name].detach() for decision in decisions]).tolist())
    result = {}
    for decision in decisions:
        row = [next(values) for _ in decision.options]
        taking_part = tuple(i for i, value in enumerate(row) if value != 0)
        if not taking_part:
            raise ValueError(f"{decision.name}: all weights are zero")
        result[decision.name] = Mixture(point[decision.name], taking_part)
    return result


def _check_shapes(point: Relaxation, decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        if decision.name not in point:
            raise ValueError(f"{decision.name}: the point lacks this decision")
        shape, expected = tuple(point[decision.name].shape), (len(decision.options),)
        if shape != expected:
            raise ValueError(f"{decision.name}: expected weights of shape {expected}, got {shape}")
