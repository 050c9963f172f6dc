"""The architecture as the search learns it: logits, and the weights that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas.values.architecture import Architecture
from corenas_trilevel.search.config import ArchitectureConfig
from corenas_trilevel.search.sparsestmax import NORMALIZERS, softmax
from corenas_trilevel.space.config import OPERATION_NAMES
from corenas_trilevel.space.decisions import OPERATIONS_PER_CELL
from corenas_trilevel.space.paths import steps
from corenas_trilevel.space.relaxation import argmax, relaxation

if TYPE_CHECKING:
    from corenas_trilevel.space.space import TrilevelSpace

PATH_LOGIT = 0.3
SMALL_LOGIT = 1e-3
"""Initial logits in the authors' code: of paths, and of operations and widths."""


class Logits(nn.Module):
    """One logit for each option of each decision, in three levels.

    Args:
        space: The space of the decisions.
        config: How logits become weights, and their initial values.
        generator: Draws initial values that are no constant; on the CPU.
    """

    path: nn.Parameter
    """Shape (candidates,). Where the path is fixed, these are its weights and are not searched."""

    operations: nn.Parameter
    """Shape (cells, 5, 4)."""

    widths: nn.Parameter
    """Shape (cells, 4, widths)."""

    _on_path: Tensor

    def __init__(
        self, space: TrilevelSpace, config: ArchitectureConfig, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.space = space
        self._config = config
        cells = len(space.cells)
        operations = (cells, OPERATIONS_PER_CELL, len(OPERATION_NAMES))
        widths = (cells, OPERATIONS_PER_CELL - 1, len(space.config.widths))
        drawn = config.initial == "random"
        scale = torch.randn(operations, generator=generator) if drawn else torch.ones(operations)
        self.path = self._initial_path()
        self.operations = nn.Parameter(SMALL_LOGIT * scale)
        self.widths = nn.Parameter(SMALL_LOGIT * torch.randn(widths, generator=generator))
        on_path = [[cell in steps(path) for cell in space.cells] for path in space.candidates]
        self.register_buffer("_on_path", torch.tensor(on_path), persistent=False)

    def _initial_path(self) -> nn.Parameter:
        candidates, fixed = self.space.candidates, self._config.fixed_path
        if fixed is None:
            return nn.Parameter(torch.full((len(candidates),), PATH_LOGIT))
        weights = torch.tensor([float(candidate == fixed) for candidate in candidates])
        # A parameter like the other levels, so that all are saved and moved alike.
        return nn.Parameter(weights, requires_grad=False)

    @property
    def searched(self) -> tuple[nn.Parameter, ...]:
        """The levels that the search changes: all but a fixed path."""
        return tuple(level for level in self.parameters() if level.requires_grad)

    def path_weights(self, radius: float) -> Tensor:
        """Return the weights of the candidates, shape (candidates,)."""
        if not self.path.requires_grad:
            return self.path
        return self._normalizer(self._config.path)(self.path, radius)

    def operation_weights(self, radius: float) -> Tensor:
        """Return the weights of the operations, shape (cells, 5, 4)."""
        return self._normalizer(self._config.operations)(self.operations, radius)

    def width_weights(self, radius: float) -> Tensor:
        """Return the weights of the widths, or their chances, shape (cells, 4, widths)."""
        if self._config.widths == "gumbel":
            return softmax(self.widths)
        return self._normalizer(self._config.widths)(self.widths, radius)

    def draw_widths(self, radius: float, generator: torch.Generator) -> Tensor:
        """Return one drawn width of each decision, or the widths' weights where these are mixed."""
        if self._config.widths == "gumbel":
            temperature = self._config.temperature
            return gumbel_one_hot(self.widths, temperature=temperature, generator=generator)
        return self.width_weights(radius)

    def _normalizer(self, name: str) -> Callable[[Tensor, float], Tensor]:
        in_support = name == "sparsestmax" and self._config.center == "support"
        return NORMALIZERS["sparsestmax-support" if in_support else name]

    def architecture(self) -> Architecture:
        """Return the architecture of the largest logits; of tied ones the first is taken."""
        levels = {"path": self.path, "operations": self.operations, "widths": self.widths}
        return argmax(
            self.space, relaxation(self.space, **{n: level.detach() for n, level in levels.items()})
        )

    @torch.no_grad()
    def scalars(self, radius: float) -> dict[str, float]:
        """Return how far the search has decided.

        ``path_sparsity`` and so on are the shares of weights that are exactly zero,
        ``path_entropy`` and so on the decisions' mean entropy in nats; of operations and widths
        those count whose cell is on a path of some weight. ``path/000101`` and so on are the
        weights of the paths that have one.
        """
        path = self.path_weights(radius)
        # Cells off every path get no gradient: their undecided logits would hide the others.
        takes_part = self._on_path[path > 0].any(dim=0)
        levels = {
            "path": path,
            "operation": self.operation_weights(radius)[takes_part],
            "width": self.width_weights(radius)[takes_part],
        }
        sparsity = [(weights == 0).float().mean() for weights in levels.values()]
        entropy = [torch.special.entr(weights).sum(-1).mean() for weights in levels.values()]
        names = [f"{name}_{what}" for what in ("sparsity", "entropy") for name in levels]
        names += [f"path/{candidate}" for candidate in self.space.candidates]
        # One transfer for all numbers: each reading waits for the device.
        values = torch.cat([torch.stack([*sparsity, *entropy]), path]).tolist()
        numbers = zip(names, values, strict=True)
        return {name: value for name, value in numbers if value or "/" not in name}


def gumbel_one_hot(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """Draw one option per row, each with softmax's chance (Jang et al., arXiv:1611.01144).

    Args:
        logits: Shape (..., K).
        temperature: Of the softmax whose gradient the result has.
        generator: On the CPU, so that draws are the same on every device.

    Returns:
        Exactly one 1 per row, and zeros, same shape.
    """
    # Minus the logarithm of exponential noise is Gumbel noise.
    exponential = torch.empty(logits.shape).exponential_(generator=generator)
    soft = softmax((logits - exponential.log().to(logits.device)) / temperature)
    hard = F.one_hot(soft.argmax(-1), logits.shape[-1])
    # Straight-through: the value is one-hot, the gradient is that of the softmax.
    return hard + (soft - soft.detach())


def uniform_one_hot(like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one option per row, each with the same chance; same shape as ``like``, no gradient."""
    index = torch.randint(like.shape[-1], like.shape[:-1], generator=generator)
    return F.one_hot(index, like.shape[-1]).to(like)


def one_hot_at(like: Tensor, index: int) -> Tensor:
    """Choose one option in every row, the last one for -1; same shape as ``like``."""
    chosen = torch.zeros_like(like, requires_grad=False)
    chosen[..., index] = 1
    return chosen
