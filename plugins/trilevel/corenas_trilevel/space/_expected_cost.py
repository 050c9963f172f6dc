"""The differentiable cost of a supernet's mixture, in mult-adds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas.values.architecture import Relaxation
from corenas_trilevel.space.config import OPERATION_NAMES, SpaceConfig
from corenas_trilevel.space.decisions import PATH, operation_names, width_names
from corenas_trilevel.space.derived import head, path_convolution, tail
from corenas_trilevel.space.operations import operation_cost
from corenas_trilevel.space.paths import steps

if TYPE_CHECKING:
    from corenas_trilevel.space.space import TrilevelSpace


class ExpectedCost(nn.Module):
    """The mean cost when path, operations and widths are drawn independently by their weights.

    At a one-hot point it is the derived network's cost. The gradients of one decision's weights
    differ by as much as the costs of its options. Costs are integers per input pixel.
    """

    per_operation: Tensor
    per_cell: Tensor
    per_path: Tensor

    def __init__(self, space: TrilevelSpace) -> None:
        super().__init__()
        self.cells = space.cells
        config = space.config
        widths = (*config.widths, config.features)
        self._table(
            "per_operation",
            [
                [[operation_cost(name, i, o) for o in widths] for i in widths]
                for name in OPERATION_NAMES
            ],
        )
        self._table(
            "per_cell",
            [
                [_area(config, cell) * (cell in steps(candidate)) for cell in space.cells]
                for candidate in space.candidates
            ],
        )
        self._table("per_path", [_path_cost(config, candidate) for candidate in space.candidates])

    def _table(self, name: str, values: Sequence[Any]) -> None:
        self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, point: Relaxation, pixels: int) -> Tensor:
        """Return the cost for a number of input pixels: a float64, exact at one-hot points."""
        widths = self._widths(point)
        # c: cell, l: operation of the cell, j: its kind, i and o: widths of input and output. In
        # float64, because single costs are below 2^53 but not below 2^24.
        cells = torch.einsum(
            "clj,cli,clo,jio->c",
            self._stack(point, operation_names),
            widths[:, :-1],
            widths[:, 1:],
            self.per_operation.double(),
        )
        per_candidate = self.per_cell.double() @ cells + self.per_path
        return pixels * (point[PATH].double() @ per_candidate)

    def _stack(self, point: Relaxation, names: Callable[[str], Sequence[str]]) -> Tensor:
        """Return the weights of these decisions, shape (cells, decisions of a cell, options)."""
        rows = [torch.stack([point[name] for name in names(cell)]) for cell in self.cells]
        return torch.stack(rows).double()

    def _widths(self, point: Relaxation) -> Tensor:
        """Return the widths' weights around the operations, shape (cells, 6, widths + 1).

        The last column is the features' width, which a cell has at both ends and nowhere else.
        """
        inner = F.pad(self._stack(point, width_names), (0, 1))
        end = torch.zeros_like(inner[:, :1])
        end[..., -1] = 1
        return torch.cat([end, inner, end], dim=1)


def _area(config: SpaceConfig, prefix: str) -> int:
    """Return the output pixels per input pixel of the last step of a path."""
    return int(4 ** prefix.count("1")) if config.backbone == "a" else 1


def _path_cost(config: SpaceConfig, candidate: str) -> int:
    """Return the mult-adds per input pixel of all but the cells."""
    with torch.device("meta"):
        first, between = head(config), path_convolution(config.backbone, config.features)
        last = tail(config)
    areas = [_area(config, step) for step in steps(candidate) if step.endswith("1")]
    after = _area(config, candidate) * _weights(last)
    return _weights(first) + sum(areas) * _weights(between) + after


def _weights(module: nn.Module) -> int:
    """Return the number of its convolutions' weights: a bias costs no mult-adds."""
    return sum(weight.numel() for weight in module.parameters() if weight.dim() > 1)
