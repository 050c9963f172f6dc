"""What an architecture pays for in a search, besides its loss."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import torch
from torch import Tensor

from corenas import Architecture, Relaxation, SearchSpace, State, Supernet
from corenas.supernets.mixtures import uniform
from corenas_oneshot.relaxing.logits import Logits


class Terms(Protocol):
    """Terms of the architecture's loss, and what is known of its cost; has a state."""

    def cost(self, point: Relaxation) -> Tensor:
        """Return the expected cost of a point, in mult-adds."""

    def penalties(self, logits: Logits, point: Relaxation) -> Mapping[str, Tensor]:
        """Return what is added to the loss, by name; differentiable, already weighted."""

    def taking_part(self, weights: Relaxation) -> Collection[str]:
        """Return the decisions that can matter where options have these weights."""

    def adapt(self, done: int, architecture: Callable[[], Architecture]) -> None:
        """Take in that so many steps are done, and which architecture would be derived now."""

    def scalars(self) -> Mapping[str, float]:
        """Return what is worth watching."""

    def state(self) -> State:
        """Return everything that later terms depend on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


class CostTerm:
    """The expected cost as a share of the uniform mixture's, times a weight.

    Args:
        space: The space.
        supernet: Counts the cost.
        weight: What the whole cost of the uniform mixture weighs in the loss; 0 for nothing.
    """

    def __init__(self, space: SearchSpace, supernet: Supernet, weight: float) -> None:
        self._space = space
        self._supernet = supernet
        self._weight = weight
        with torch.no_grad():
            self._whole = float(supernet.expected_cost(uniform(space))) if weight else 1.0

    def cost(self, point: Relaxation) -> Tensor:
        return self._supernet.expected_cost(point)

    def penalties(self, logits: Logits, point: Relaxation) -> Mapping[str, Tensor]:
        if not self._weight or not self._whole:
            return {}
        return {"cost_term": self._weight / self._whole * self.cost(point)}

    def taking_part(self, weights: Relaxation) -> Collection[str]:
        return weights.keys()

    def adapt(self, done: int, architecture: Callable[[], Architecture]) -> None:
        """Change nothing: the weight is constant."""

    def scalars(self) -> Mapping[str, float]:
        return {}

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """Nothing changes."""
