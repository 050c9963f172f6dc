"""The supernet: every architecture of a space in one network, mixed at three levels.

Parts of weight zero are neither computed nor differentiated, and widths are slices, so a sparser
point takes less time. At a one-hot point the supernet is the derived network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from corenas.supernets.mixtures import Mixture, mixtures
from corenas.supernets.sharing import copy_slices
from corenas.values.architecture import Architecture, Relaxation
from corenas_sr.config import OUTPUT
from corenas_trilevel.space._expected_cost import ExpectedCost
from corenas_trilevel.space.config import SpaceConfig
from corenas_trilevel.space.decisions import PATH, cell_decisions, operation_names, width_names
from corenas_trilevel.space.derived import (
    PEAK,
    RESIDUAL_SCALE,
    TrilevelNetwork,
    head,
    path_convolution,
    tail,
)
from corenas_trilevel.space.operations import OPERATIONS
from corenas_trilevel.space.paths import steps

if TYPE_CHECKING:
    from corenas_trilevel.space.space import TrilevelSpace


class MixedOperation(nn.Module):
    """The weighted sum of all operations at one place of a cell."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.choices = nn.ModuleDict(
            {name: operation.slimmable(features) for name, operation in OPERATIONS.items()}
        )

    def forward(self, x: Tensor, operations: Mixture, channels: Tensor) -> Tensor:
        """Mix the operations that take part.

        Args:
            x: Any number of channels up to the features, shape (N, C, H, W).
            operations: Weights of the operations.
            channels: Weights of the output's channels, shape (width, 1, 1).

        Returns:
            Shape (N, width, H, W).
        """
        choices, width = list(self.choices.values()), len(channels)
        terms = (
            choices[index](x, width) * (operations.weights[index] * channels)
            for index in operations.taking_part
        )
        mixed: Tensor = reduce(torch.add, terms)
        return mixed


class MixedCell(nn.Module):
    """A cell whose operations and widths are mixed.

    A mixture of widths is computed once, at the widest that takes part. The narrower outputs are
    cut from that one: channel c then counts with the summed weight of all widths > c. Scaling
    channels instead of outputs is exact, because all layers of an operation are homogeneous.

    Note:
        The authors' code multiplies by the weight of the input's width as well. As the input has
        that factor already, this would count its gradient twice.
    """

    covers: Tensor

    def __init__(self, name: str, config: SpaceConfig) -> None:
        super().__init__()
        self.widths = config.widths
        self.operation_names, self.width_names = operation_names(name), width_names(name)
        self.operations = nn.ModuleList(
            MixedOperation(config.features) for _ in self.operation_names
        )
        covers = torch.arange(config.features) < torch.tensor(config.widths)[:, None]
        self.register_buffer("covers", covers.to(torch.get_default_dtype()), persistent=False)

    def forward(self, x: Tensor, mixture: Mapping[str, Mixture]) -> Tensor:
        """Run the cell on ``x``, shape (N, features, H, W); the mixture is by decision."""
        channels = [self._channels(mixture[name]) for name in self.width_names]
        channels.append(x.new_ones(x.shape[1], 1, 1))
        y = x
        for operation, name, weights in zip(
            self.operations, self.operation_names, channels, strict=True
        ):
            y = operation(y, mixture[name], weights)
        return x + RESIDUAL_SCALE * y

    def _channels(self, widths: Mixture) -> Tensor:
        """Return the channels' weights, shape (widest that takes part, 1, 1)."""
        widest = self.widths[widths.taking_part[-1]]
        terms = (widths.weights[i] * self.covers[i, :widest] for i in widths.taking_part)
        return reduce(torch.add, terms)[:, None, None]


class TrilevelSupernet(nn.Module):
    """The supernet of a space; every cell and every convolution of its tree has its own weights."""

    def __init__(self, space: TrilevelSpace) -> None:
        super().__init__()
        config = space.config
        self.space = space
        self.head = head(config)
        self.cells = nn.ModuleDict({name: MixedCell(name, config) for name in space.cells})
        # Sorted below: initial weights are drawn in the order of the modules, and a set has none.
        ups = {_weight_owner(config, step) for path in space.candidates for step in _up_steps(path)}
        self.ups = nn.ModuleDict(
            {name: path_convolution(config.backbone, config.features) for name in sorted(ups)}
        )
        self.tail = tail(config)
        self.cost = ExpectedCost(space)

    def forward(self, x: Tensor, point: Relaxation, *, sparse: bool = True) -> Tensor:
        """Run the mixture.

        Args:
            x: Images in [0, 255], shape (N, 3, H, W).
            point: Weights of the path, and of every cell on a path whose weight is not zero.
            sparse: Leave out paths and operations of weight zero. They are computed otherwise, to
                the same result and the same gradients of logits: for comparisons.

        Returns:
            Images in [0, 255], shape (N, 3, scale * H, scale * W).

        Raises:
            ValueError: The point lacks a decision, or its weights have the wrong shape.
        """
        path = self._path_mixture(point, sparse)
        chosen = {self.space.candidates[index]: path.weights[index] for index in path.taking_part}
        needed = sorted({step for candidate in chosen for step in steps(candidate)})
        mixture = self._cell_mixtures(point, needed, sparse)
        features = {"": self.head(x / PEAK)}
        for step in needed:  # sorted, so that a prefix stands before its extensions
            before = features[step[:-1]]
            features[step] = (
                self.cells[step](before, mixture)
                if step.endswith("0")
                else self.ups[_weight_owner(self.space.config, step)](before)
            )
        mixed = reduce(torch.add, (features[path] * weight for path, weight in chosen.items()))
        image: Tensor = self.tail(mixed)
        return image

    def _path_mixture(self, point: Relaxation, sparse: bool) -> Mixture:
        mixture = mixtures(point, self.space.decisions[:1])[PATH]
        return mixture if sparse else mixture.dense()

    def _cell_mixtures(
        self, point: Relaxation, needed: Iterable[str], sparse: bool
    ) -> dict[str, Mixture]:
        cells = [step for step in needed if step.endswith("0")]
        widths = self.space.config.widths
        mixture = mixtures(point, chain.from_iterable(cell_decisions(c, widths) for c in cells))
        if not sparse:
            names = chain.from_iterable(operation_names(cell) for cell in cells)
            mixture |= {name: mixture[name].dense() for name in names}
        return mixture

    def expected_cost(self, point: Relaxation, *, size: tuple[int, int] | None = None) -> Tensor:
        """Return the mean mult-adds when each decision is drawn by its weights.

        Args:
            point: Weights of every decision.
            size: Height and width of the input, in pixels; None for that whose output is 1280x720.

        Returns:
            A float64 number, the derived network's cost at one-hot points; differentiable.
        """
        if size is None:
            width, height = (side // self.space.config.scale for side in OUTPUT)
            size = height, width
        cost: Tensor = self.cost(point, size[0] * size[1])
        return cost

    def inherit(self, architecture: Architecture) -> TrilevelNetwork:
        """Return the derived network with a copy of its part of the weights.

        Raises:
            InputError: The architecture is not of the supernet's space.
        """
        # Without initial weights, which would all be replaced.
        with torch.device("meta"):
            network = self.space.build(architecture)
        weight = next(self.parameters())
        network = network.to(weight.dtype).to_empty(device=weight.device)
        copy_slices(self.head, network.head)
        copy_slices(self.tail, network.tail)
        for step, module in zip(steps(architecture[PATH]), network.path, strict=True):
            if step.endswith("0"):
                self._inherit_cell(module, step, architecture)
            else:
                copy_slices(self.ups[_weight_owner(self.space.config, step)], module)
        return network.train(self.training)

    def _inherit_cell(self, cell: nn.Module, name: str, architecture: Architecture) -> None:
        for index, decision in enumerate(operation_names(name)):
            source = f"cells.{name}.operations.{index}.choices.{architecture[decision]}"
            copy_slices(self.get_submodule(source), cell.get_submodule(f"operations.{index}"))


def _up_steps(path: str) -> tuple[str, ...]:
    return tuple(step for step in steps(path) if step.endswith("1"))


def _weight_owner(config: SpaceConfig, step: str) -> str:
    """Return the step whose weights this convolution uses: with ``share_up``, a path's first."""
    return step[: step.index("1") + 1] if config.share_up else step
