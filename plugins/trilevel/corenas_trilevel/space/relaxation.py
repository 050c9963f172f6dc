"""Points between architectures, made of one tensor for each level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from corenas.values.architecture import Relaxation
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
