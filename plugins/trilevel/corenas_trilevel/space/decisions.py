"""The decisions of both search spaces, and their names."""

from __future__ import annotations

from collections.abc import Iterator

from corenas.values.architecture import Decision
from corenas_trilevel.space.config import OPERATION_NAMES

PATH = "path"
OPERATIONS_PER_CELL = 5
"""Operations of an RiR block; the width of the last one is always that of the features."""


def operation_names(cell: str) -> tuple[str, ...]:
    """Return the names of the decisions for a cell's operations, from input to output."""
    return tuple(f"cell-{cell}-operation-{n}" for n in range(1, OPERATIONS_PER_CELL + 1))


def width_names(cell: str) -> tuple[str, ...]:
    """Return the names of the decisions for the widths of all operations but the last."""
    return tuple(f"cell-{cell}-width-{n}" for n in range(1, OPERATIONS_PER_CELL))


def cell_decisions(cell: str, widths: tuple[int, ...]) -> Iterator[Decision]:
    """Yield a cell's decisions, operations first."""
    for name in operation_names(cell):
        yield Decision(name, OPERATION_NAMES, "operation")
    for name in width_names(cell):
        yield Decision(name, tuple(map(str, widths)), "width")
