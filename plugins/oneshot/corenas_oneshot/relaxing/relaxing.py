"""What a kind of decision is relaxed by: from logits to weights, or to one drawn option."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from attrs import frozen
from torch import Tensor

from corenas_oneshot.config import Center, Method
from corenas_oneshot.relaxing.draws import gumbel_one_hot, uniform_one_hot
from corenas_oneshot.relaxing.sparsestmax import softmax, sparsemax, sparsestmax

_WEIGHTS: Mapping[Method, Callable[[Tensor, float, Center], Tensor]] = {
    "sparsestmax": lambda logits, radius, center: sparsestmax(logits, radius, center=center),
    "sparsemax": lambda logits, radius, center: sparsemax(logits),
    "softmax": lambda logits, radius, center: softmax(logits),
    # Options that are drawn have chances.
    "gumbel": lambda logits, radius, center: softmax(logits),
    "uniform": lambda logits, radius, center: torch.full_like(logits, 1 / logits.shape[-1]),
}

DRAWN: frozenset[Method] = frozenset({"gumbel", "uniform"})
"""Methods by which one option is drawn in each step; the others mix."""


@frozen
class Relaxing:
    """How logits of one kind of decision become weights, and with which values they begin.

    Args:
        method: The function on the simplex, or the draw.
        center: What sparsestmax keeps its distance from.
        temperature: Of the Gumbel-softmax.
        initial: The logits at the start, or their standard deviation.
        random: Whether they are drawn at the start.
        drawn_first: Whether one option is drawn while weights are trained alone, each with the same
            chance; else options are mixed by the logits' first weights.
    """

    method: Method
    center: Center = "simplex"
    temperature: float = 1.0
    initial: float = 1e-3
    random: bool = False
    drawn_first: bool = False

    def weights(self, logits: Tensor, radius: float) -> Tensor:
        """Return weights or chances of all options, shape (..., K), at sparsestmax's radius."""
        return _WEIGHTS[self.method](logits, radius, self.center)

    def step_weights(self, logits: Tensor, radius: float, generator: torch.Generator) -> Tensor:
        """Return the weights of one step: a draw where the method draws."""
        if self.method == "gumbel":
            return gumbel_one_hot(logits, temperature=self.temperature, generator=generator)
        if self.method == "uniform":
            return uniform_one_hot(logits.detach(), generator)
        return self.weights(logits, radius)

    def first_weights(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weights of one step in which the weights of the supernet learn alone."""
        if self.drawn_first:
            return uniform_one_hot(logits.detach(), generator)
        return self.weights(logits, 0.0)
