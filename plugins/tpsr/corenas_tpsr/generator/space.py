"""The search space of super-resolution generators (Lee et al., arXiv:2007.04356, Fig. 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas.cost import Cost, CostTable
from corenas.errors import InputError
from corenas.names import nearest
from corenas.options.structuring import Chosen
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas_sr.models.kernels import PReLU
from corenas_tpsr.generator.config import GeneratorSpaceConfig

RGB_MEAN = (255 * 0.4488, 255 * 0.4371, 255 * 0.4040)
"""Mean colour of DIV2K, in 0..255."""

PAPER_CELL = (
    *(("dsep5", 0), ("conv7", 1), ("conv7", 2), ("conv3", 3), ("conv3", 3)),
    *(("conv5", 5), ("dsep3", 6), ("conv5", 4), ("conv3", 8), ("conv7", 0)),
)
"""The discovered cell: operation and source of nodes 1 to 10."""


class Generator(nn.Module):
    """A cell of nodes between a convolution and a sub-pixel up-sampler that ends in RGB.

    Node i (from 1) computes ``PReLU(operation(output of its source))``, where source 0 is the
    head's output. The sum of the leaves, the outputs that no node uses, goes through ``merge``.
    There is no global skip, and no activation in the up-sampler. The state dict holds what is
    trained; the colour mean is a constant outside it.

    Args:
        nodes: Operation and PReLU of each node; they keep shape (N, channels, H, W).
        sources: The source of each node, in 0..i-1 for node i.
        merge: What follows the sum of the leaves.
        channels: Channels of the cell.
        scale: 2 or 4; a second up-sampler takes the RGB image of the first from 2 to 4.
    """

    def __init__(
        self,
        nodes: Sequence[nn.Module],
        sources: Sequence[int],
        merge: nn.Module,
        *,
        channels: int = 16,
        scale: int = 2,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.sources = tuple(sources)
        self.leaves = leaves(sources)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)
        self.head = _head(channels)
        self.nodes = nn.ModuleList(nodes)
        self.merge = merge
        self.up1 = _upsampler(channels)
        self.up2 = _upsampler(3) if scale == 4 else None

    def forward(self, x: Tensor) -> Tensor:
        """Up-scale images.

        Args:
            x: RGB in [0, 255], floating point, shape (N, 3, H, W).

        Returns:
            RGB in the same range, but not clamped, shape (N, 3, scale * H, scale * W).

        Raises:
            ValueError: The shape or the type is another.
        """
        if x.dim() != 4 or x.shape[1] != 3 or not x.is_floating_point():
            raise ValueError(
                f"expected floating point of shape (N, 3, H, W), got {x.dtype} {tuple(x.shape)}"
            )
        outputs = [self.head(x - self.mean)]
        for node, source in zip(self.nodes, self.sources, strict=True):
            outputs.append(node(outputs[source]))
        first, *others = (outputs[leaf] for leaf in self.leaves)
        y = F.pixel_shuffle(self.up1(self.merge(sum(others, first))), 2)
        if self.up2 is not None:
            y = F.pixel_shuffle(self.up2(y), 2)
        return y + self.mean


def leaves(sources: Sequence[int]) -> tuple[int, ...]:
    """Return the nodes (from 1) whose outputs no node uses; the last node is always one."""
    return tuple(sorted(set(range(1, len(sources) + 1)) - set(sources)))


def _head(channels: int) -> nn.Conv2d:
    return nn.Conv2d(3, channels, 3, padding=1)


def _upsampler(channels: int) -> nn.Conv2d:
    """Return the convolution whose twelve channels a pixel shuffle turns into RGB at ×2."""
    return nn.Conv2d(channels, 12, 3, padding=1)


def _node(operation: Chosen, channels: int) -> nn.Module:
    return nn.Sequential(operation.build(channels), PReLU())


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
        """``tpsr/paper``, where this space holds the discovered cell."""
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
        channels = self.config.channels
        return Generator(
            [_node(self.operations[name], channels) for name, _ in cell],
            sources,
            PReLU() if self._merges(sources) else nn.Identity(),
            channels=channels,
            scale=self.config.scale,
        )

    def cost(self, architecture: Architecture, *, height: int, width: int) -> Cost:
        """Return the generator's cost for one low-resolution image of this size.

        It is the sum over nodes and fixed parts, each counted once and remembered.
        """
        cell = self._cell(architecture)
        channels, scale = self.config.channels, self.config.scale
        inside = (1, channels, height, width)
        image = (1, 3, height, width)
        parts = [
            self._costs.cost(
                ("node", name), inside, partial(_node, self.operations[name], channels)
            )
            for name, _ in cell
        ]
        parts.append(self._costs.cost("head", image, partial(_head, channels)))
        parts.append(self._costs.cost("up1", inside, partial(_upsampler, channels)))
        if scale == 4:
            middle = (1, 3, 2 * height, 2 * width)
            parts.append(self._costs.cost("up2", middle, partial(_upsampler, 3)))
        if self._merges([source for _, source in cell]):
            parts.append(self._costs.cost("merge", inside, PReLU))
        params = sum(part.params for part in parts)
        return Cost(params, sum(part.mult_adds for part in parts), image)

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
        from corenas_tpsr.diagrams import draw_generator

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
        return self._architecture([self._parsed(node, pair, int(flat)) for node, pair in numbered])

    def _parsed(self, node: int, pair: Any, first_source: int) -> tuple[str, int]:
        """Return a node's operation and source, which a person counts from ``first_source``."""
        match pair:
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
