"""The search spaces of both backbones: path, operations and widths as decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

from attrs import frozen
from torch import nn

from corenas.cost import Convention, Part, Shape
from corenas.errors import InputError
from corenas.names import nearest
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas_trilevel.space.config import OPERATION_NAMES, SpaceConfig
from corenas_trilevel.space.counting import PAPER
from corenas_trilevel.space.decisions import (
    OPERATIONS_PER_CELL,
    PATH,
    cell_decisions,
    operation_names,
    width_names,
)
from corenas_trilevel.space.derived import (
    Cell,
    ChosenCell,
    TrilevelNetwork,
    head,
    path_convolution,
    tail,
)
from corenas_trilevel.space.operations import OPERATIONS
from corenas_trilevel.space.paths import PathTree, cell_steps
from corenas_trilevel.space.published import PUBLISHED
from corenas_trilevel.space.supernet import TrilevelSupernet


@frozen
class TrilevelSpace:
    """One decision for the path, five operations and four widths for each cell of the tree.

    A cell is named by the path that leads to it, because no two branches share weights. The width
    of its last operation is always that of the features. The written form of an architecture is
    ``{"path": "000001", "cells": [[["conv1", 32], ...], ...]}``. Its path has a ``0`` for each cell
    and a ``1`` for each convolution (``[0, 0, 0, 0, 0, 1]``, as the paper prints it, is read as
    well); its cells are lists of five operations with their widths.
    """

    config: SpaceConfig

    @property
    def name(self) -> str:
        """``trilevel-a`` or ``trilevel-b``."""
        return f"trilevel-{self.config.backbone}"

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Paths that can be chosen; in backbone A only those that reach the output's size."""
        prefixes = self._tree.prefixes()
        if self.config.backbone == "b":
            return prefixes
        # Features of other resolutions cannot be mixed, and the output has one size.
        return tuple(prefix for prefix in prefixes if prefix.count("1") == self.config.ups)

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """The names of the cells, in the order of their numbers."""
        return self._tree.cell_prefixes()

    @cached_property
    def _tree(self) -> PathTree:
        return PathTree(self.config.cells, self.config.searched_cells, self.config.ups)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The path, then each cell's operations and widths."""
        widths = self.config.widths
        cells = (decision for cell in self.cells for decision in cell_decisions(cell, widths))
        return (Decision(PATH, self.candidates, "path"), *cells)

    @cached_property
    def chains(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the candidates along each complete path, the shortest first (Eq. 2)."""
        number = {candidate: index for index, candidate in enumerate(self.candidates)}
        prefixes = [
            [path[:length] for length in range(len(path) + 1)] for path in self._tree.complete()
        ]
        return tuple(
            tuple(number[prefix] for prefix in chain if prefix in number) for chain in prefixes
        )

    @cached_property
    def known(self) -> Mapping[str, Architecture]:
        """The paper's architectures, if the options are the paper's."""
        if self.config.unshared != type(self.config)():
            return {}
        return {
            name: self.parse(value)
            for name, value in PUBLISHED.items()
            if name.startswith(self.name)
        }

    @property
    def conventions(self) -> Sequence[Convention]:
        """The paper's way of counting."""
        return (PAPER,)

    def build(self, architecture: Architecture) -> TrilevelNetwork:
        """Return the freshly initialised network (torch's global random state is used).

        Raises:
            InputError: The architecture is not of this space.
        """
        if problem := self.check(architecture):
            raise InputError(f"architecture: {problem}")
        return TrilevelNetwork(self.config, architecture[PATH], self._chosen_cells(architecture))

    def parts(self, architecture: Architecture, shape: Shape) -> Iterator[Part]:
        """Yield the parts of a network for images of shape (N, 3, H, W); a shared one comes often.

        Raises:
            InputError: The architecture is not of this space.
        """
        if problem := self.check(architecture):
            raise InputError(f"architecture: {problem}")
        cells, inside = iter(self._chosen_cells(architecture)), self._inside(shape)
        yield self._head_part(shape)
        for step in architecture[PATH]:
            if step == "1":
                yield self._convolution_part(inside)
                inside = self._after_convolution(inside)
                continue
            inputs = self.config.features
            for name, width in next(cells):
                yield operation_part(name, inputs, width, inside)
                inputs = width
            yield self._skip_part(inside)
        yield self._tail_part(inside)

    def all_parts(self, shape: Shape) -> Iterator[Part]:
        """Yield every part of every network for images of shape (N, 3, H, W)."""
        config, inside = self.config, self._inside(shape)
        yield self._head_part(shape)
        widths = sorted({*config.widths, config.features})
        sizes = {inside: None}
        for candidate in self.candidates:
            size = inside
            for step in candidate:
                size = self._after_convolution(size) if step == "1" else size
                sizes[size] = None
        for size in sizes:
            yield self._skip_part(size)
            for name, inputs, outputs in product(OPERATION_NAMES, widths, widths):
                yield operation_part(name, inputs, outputs, size)
            if config.backbone == "b" or self._after_convolution(size) in sizes:
                yield self._convolution_part(size)
        yield self._tail_part(size)

    def _inside(self, shape: Shape) -> Shape:
        batch, _, height, width = shape
        return (batch, self.config.features, height, width)

    def _after_convolution(self, shape: Shape) -> Shape:
        if self.config.backbone == "b":
            return shape
        batch, features, height, width = shape
        return (batch, features, 2 * height, 2 * width)

    def _head_part(self, shape: Shape) -> Part:
        return Part(f"head {self.config.features}", shape, partial(head, self.config))

    def _convolution_part(self, shape: Shape) -> Part:
        backbone, features = self.config.backbone, self.config.features
        build = partial(path_convolution, backbone, features)
        return Part(f"convolution {backbone} {features}", shape, build)

    def _skip_part(self, shape: Shape) -> Part:
        return Part(f"skip {self.config.features}", shape, partial(Cell, [nn.Identity()]))

    def _tail_part(self, shape: Shape) -> Part:
        name = f"tail {self.config.backbone} {self.config.features} x{self.config.scale}"
        return Part(name, shape, partial(tail, self.config))

    def supernet(self) -> TrilevelSupernet:
        """Return a freshly initialised supernet (torch's global random state is used)."""
        return TrilevelSupernet(self)

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> tuple[Decision, ...]:
        """Return the path and the decisions of the cells on it."""
        names = {PATH}
        for cell in cell_steps(architecture[PATH]):
            names.update(operation_names(cell), width_names(cell))
        return tuple(decision for decision in self.decisions if decision.name in names)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the same network with every decision off the path at its first option."""
        choices = {decision.name: decision.options[0] for decision in self.decisions}
        for decision in self.active(architecture):
            choices[decision.name] = architecture[decision.name]
        return Architecture(self.name, choices)

    def format(self, architecture: Architecture) -> dict[str, Any]:
        """Return the JSON value that `parse` takes."""
        cells = [[list(pair) for pair in cell] for cell in self._chosen_cells(architecture)]
        return {"path": architecture[PATH], "cells": cells}

    def _chosen_cells(self, architecture: Architecture) -> list[ChosenCell]:
        return [self._chosen_cell(architecture, cell) for cell in cell_steps(architecture[PATH])]

    def _chosen_cell(self, architecture: Architecture, cell: str) -> ChosenCell:
        operations = [architecture[name] for name in operation_names(cell)]
        widths = [int(architecture[name]) for name in width_names(cell)]
        return list(zip(operations, [*widths, self.config.features], strict=True))

    def draw(self, architecture: Architecture, path: Path) -> None:
        """Draw an architecture as ``path`` with ``.svg``, ``.png`` and ``.dot`` added.

        Raises:
            CorenasError: A file cannot be written.
            InputError: The architecture is not of this space.
        """
        from corenas_trilevel.space.diagrams import draw_network

        draw_network(path, self, architecture)

    def parse(self, value: Any) -> Architecture:
        """Read the form that a person writes.

        Raises:
            InputError: Something does not fit; the message says where, and lists what is allowed.
        """
        _check_keys(value)
        path = self._parse_path(value["path"])
        names = cell_steps(path)
        cells = _check_items(
            value["cells"], len(names), "cells", "as many cells as zeros in the path"
        )
        choices = {decision.name: decision.options[0] for decision in self.decisions}
        choices[PATH] = path
        for number, (name, cell) in enumerate(zip(names, cells, strict=True)):
            choices |= self._parse_cell(name, cell, f"cells[{number}]")
        return Architecture(self.name, choices)

    def _parse_path(self, value: Any) -> str:
        path = "".join(map(str, value)) if isinstance(value, list) else value
        if not isinstance(path, str) or path not in self.candidates:
            raise InputError(f"path: unknown path {value!r}{nearest(str(path), self.candidates)}")
        return path

    def _parse_cell(self, cell: str, value: Any, where: str) -> dict[str, str]:
        pairs = _check_items(value, OPERATIONS_PER_CELL, where, "operations with their widths")
        widths = [self.config.widths] * (OPERATIONS_PER_CELL - 1) + [(self.config.features,)]
        parsed = [
            _parse_pair(pair, allowed, f"{where}[{number}]")
            for number, (pair, allowed) in enumerate(zip(pairs, widths, strict=True))
        ]
        choices = dict(zip(operation_names(cell), (name for name, _ in parsed), strict=True))
        return choices | dict(
            zip(width_names(cell), (width for _, width in parsed[:-1]), strict=True)
        )


def operation_part(name: str, inputs: int, outputs: int, shape: Shape) -> Part:
    """Return an operation of a cell as a part; ``shape`` is that of the cell's input."""
    batch, _, height, width = shape
    build = partial(OPERATIONS[name].plain, inputs, outputs)
    return Part(f"{name} {inputs} to {outputs}", (batch, inputs, height, width), build)


_KEYS = ("path", "cells")


def _check_keys(value: Any) -> None:
    expected = "architecture: expected a table with path and cells"
    if not isinstance(value, Mapping):
        raise InputError(f"{expected}, got {value!r}")
    for key in value:
        if key not in _KEYS:
            raise InputError(f"{expected}, got {key!r}{nearest(str(key), _KEYS)}")
    for key in _KEYS:
        if key not in value:
            raise InputError(f"{expected}; {key} is missing")


def _check_items(value: Any, length: int, where: str, what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{where}: expected a list of {length}, {what}; got {value!r}")
    if len(value) != length:
        raise InputError(f"{where}: expected a list of {length}, {what}; got {len(value)}")
    return value


def _parse_pair(value: Any, widths: Sequence[int], where: str) -> tuple[str, str]:
    operation, width = _check_items(value, 2, where, "an operation and its width")
    if operation not in OPERATION_NAMES:
        raise InputError(
            f"{where}: unknown operation {operation!r}{nearest(str(operation), OPERATION_NAMES)}"
        )
    if type(width) is not int or width not in widths:
        allowed = ", ".join(map(str, widths))
        raise InputError(f"{where}: width must be one of {allowed}, got {width!r}")
    return operation, str(width)
