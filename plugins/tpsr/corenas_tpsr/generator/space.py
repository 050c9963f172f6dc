"""The search space of super-resolution generators (Lee et al., arXiv:2007.04356, Fig. 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from corenas.cost import Cost, CostTable, Part, Shape
from corenas.errors import InputError
from corenas.names import nearest
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas_sr.models.kernels import PReLU
from corenas_tpsr.generator.config import GeneratorSpaceConfig
from corenas_tpsr.generator.network import Generator, leaves
from corenas_tpsr.generator.supernet import GeneratorSupernet

PAPER_CELL = (
    *(("dsep5", 0), ("conv7", 1), ("conv7", 2), ("conv3", 3), ("conv3", 3)),
    *(("conv5", 5), ("dsep3", 6), ("conv5", 4), ("conv3", 8), ("conv7", 0)),
)
"""The discovered cell: operation and source of nodes 1 to 10."""


class Merge(nn.Module):
    """The sum of so many leaves and the PReLU that follows it, for costs and times of parts."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.activation = PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Add the input to itself, as if it were each leaf's output."""
        y = x
        for _ in range(self.count - 1):
            y = y + x
        merged: Tensor = self.activation(y)
        return merged


class GeneratorSpace:
    """Ten decisions on operations and ten on sources: op_1, in_1, op_2, in_2, ... (Eq. 4)."""

    name = "tpsr-generator"

    def __init__(self, config: GeneratorSpaceConfig) -> None:
        self.config = config
        self.operations = {chosen.name: chosen for chosen in config.operations}
        self.decisions = tuple(_decisions(config.nodes, tuple(self.operations)))
        self._costs = CostTable()

    @property
    def known(self) -> Mapping[str, Architecture]:
        """The discovered cell as ``tpsr/paper``, if it is a member of this space."""
        architecture = self._architecture(PAPER_CELL)
        return {} if self.check(architecture) else {"tpsr/paper": architecture}

    def build(self, architecture: Architecture) -> Generator:
        """Return the freshly initialised generator.

        Raises:
            InputError: The architecture is not of this space, or an operation cannot take its
                number of channels.
        """
        cell = self._cell(architecture)
        sources = [source for _, source in cell]
        return Generator(
            [self.node(name) for name, _ in cell],
            sources,
            PReLU() if self._merges(sources) else nn.Identity(),
            channels=self.config.channels,
            scale=self.config.scale,
        )

    def node(self, operation: str) -> nn.Module:
        """Return a fresh node of this operation."""
        return nn.Sequential(self.operations[operation].build(self.config.channels), PReLU())

    def supernet(self) -> GeneratorSupernet:
        """Return a freshly initialised supernet (torch's global random state is used)."""
        return GeneratorSupernet(self)

    def cost(self, architecture: Architecture, *, height: int, width: int) -> Cost:
        """Return the generator's cost for one low-resolution image of this size.

        It is the sum over its parts, each counted once and remembered.
        """
        shape = (1, 3, height, width)
        return self._costs.total(self.parts(architecture, shape), shape)

    def parts(self, architecture: Architecture, shape: Shape) -> Iterator[Part]:
        """Yield the parts of a generator for images of shape (N, 3, H, W)."""
        # With every node used or a leaf, all operations are always computed.
        cell = self._cell(architecture)
        sources = [source for _, source in cell]
        yield self._ends(shape)
        for name, _ in cell:
            yield self._node_part(name, shape)
        if self._merges(sources):
            yield self._merge_part(len(leaves(sources)), shape)

    def all_parts(self, shape: Shape) -> Iterator[Part]:
        """Yield every part of every generator for images of shape (N, 3, H, W)."""
        yield self._ends(shape)
        for name in self.operations:
            yield self._node_part(name, shape)
        for count in range(1, self.config.nodes + 1):
            yield self._merge_part(count, shape)

    def mult_adds(self, *, height: int, width: int) -> tuple[int, list[int]]:
        """Return the mult-adds of all that is not searched, and of a node of each operation."""
        shape = (1, 3, height, width)
        parts = [self._ends(shape), *(self._node_part(name, shape) for name in self.operations)]
        fixed, *nodes = (self._costs.total([part], part.shape).mult_adds for part in parts)
        return fixed, nodes

    def _ends(self, shape: Shape) -> Part:
        """Return the head and the up-samplers: a generator whose only node does nothing."""
        channels, scale = self.config.channels, self.config.scale
        build = partial(
            Generator, [nn.Identity()], [0], nn.Identity(), channels=channels, scale=scale
        )
        return Part(f"ends {channels} x{scale}", shape, build)

    def _node_part(self, name: str, shape: Shape) -> Part:
        label = f"{self.operations[name].label} for {self.config.channels}"
        return Part(label, self._inside(shape), partial(self.node, name))

    def _merge_part(self, count: int, shape: Shape) -> Part:
        return Part(f"merge of {count}", self._inside(shape), partial(Merge, count))

    def _inside(self, shape: Shape) -> Shape:
        batch, _, height, width = shape
        return (batch, self.config.channels, height, width)

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return all decisions: every node is used or a leaf."""
        return self.decisions

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with its choices in the order of the decisions."""
        return self._architecture(self._cell(architecture))

    def draw(self, architecture: Architecture, path: Path) -> None:
        """Draw an architecture as ``path`` with ``.svg``, ``.png`` and ``.dot`` added.

        Raises:
            CorenasError: A file cannot be written.
            InputError: The architecture is not of this space.
        """
        from corenas_tpsr.generator.diagrams import draw_generator

        draw_generator(path, self, architecture)

    def parse(self, value: Any) -> Architecture:
        """Read ``[["dsep5", 0], ["conv7", 1], ...]``: operation and source of each node.

        A policy's flat form ``["dsep5", 1, "conv7", 2, ...]``, whose sources count from 1, is
        taken as well.
        """
        if not isinstance(value, list | tuple):
            raise InputError(f"expected a list of [operation, source] pairs, got {value!r}")
        flat = bool(value) and isinstance(value[0], str)
        pairs = [value[i : i + 2] for i in range(0, len(value), 2)] if flat else value
        if len(pairs) != self.config.nodes:
            raise InputError(f"expected {self.config.nodes} nodes, got {len(pairs)}")
        numbered = enumerate(pairs, start=1)
        return self._architecture(
            [self._parse_node(node, pair, int(flat)) for node, pair in numbered]
        )

    def _parse_node(self, node: int, pair: Any, first_source: int) -> tuple[str, int]:
        """Return a node's operation and source; ``pair`` counts sources from ``first_source``."""
        match pair:
            # True and False are integers to Python, but not the number of a node to anybody.
            case [str(name), int(source)] if not isinstance(source, bool):
                pass
            case _:
                raise InputError(f"node {node}: expected an operation and a source, got {pair!r}")
        if name not in self.operations:
            hint = nearest(name, self.operations)
            raise InputError(f"node {node}: unknown operation {name!r}{hint}")
        last_source = first_source + node - 1
        if not first_source <= source <= last_source:
            raise InputError(
                f"node {node}: source {source} is not in {first_source}..{last_source}"
            )
        return name, source - first_source

    def format(self, architecture: Architecture) -> list[list[str | int]]:
        """Return operation and source of each node, as `parse` reads them."""
        return [[name, source] for name, source in self._cell(architecture)]

    def _cell(self, architecture: Architecture) -> list[tuple[str, int]]:
        """Return operation and source of each node."""
        if problem := self.check(architecture):
            raise InputError(f"architecture: {problem}")
        nodes = range(1, self.config.nodes + 1)
        return [(architecture[f"op_{i}"], int(architecture[f"in_{i}"])) for i in nodes]

    def _architecture(self, cell: Sequence[tuple[str, int]]) -> Architecture:
        choices: dict[str, str] = {}
        for node, (name, source) in enumerate(cell, start=1):
            choices |= {f"op_{node}": name, f"in_{node}": str(source)}
        return Architecture(self.name, choices)

    def _merges(self, sources: Sequence[int]) -> bool:
        return self.config.merge_single_leaf or len(leaves(sources)) > 1


def _decisions(nodes: int, operations: tuple[str, ...]) -> Iterator[Decision]:
    for node in range(1, nodes + 1):
        yield Decision(f"op_{node}", operations, "operation")
        yield Decision(f"in_{node}", tuple(str(source) for source in range(node)), "input")
