"""Points between architectures: what takes part in one, and the architectures at their corners."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from attrs import frozen
from torch import Tensor

from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture, Decision, Relaxation


def one_hot(
    space: SearchSpace,
    architecture: Architecture,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Relaxation:
    """Return the one-hot point, at which a supernet is this architecture's network."""
    point = {}
    for decision in space.decisions:
        index = torch.tensor(decision.index(architecture[decision.name]), device=device)
        point[decision.name] = F.one_hot(index, len(decision.options)).to(dtype)
    return point


def uniform(
    space: SearchSpace,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Relaxation:
    """Return the point at which all options of a decision weigh the same."""
    sizes = {decision.name: len(decision.options) for decision in space.decisions}
    return {
        name: torch.full((size,), 1 / size, dtype=dtype, device=device)
        for name, size in sizes.items()
    }


def argmax(space: SearchSpace, point: Relaxation) -> Architecture:
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
