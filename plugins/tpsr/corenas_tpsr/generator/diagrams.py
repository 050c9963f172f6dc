"""Diagrams of generators, and how operations look in any diagram of TPSR."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from corenas.cost import human
from corenas.drawing.diagrams import draw_graph, name_of
from corenas.drawing.parts import Group, Kind, Node
from corenas.values.architecture import Architecture
from corenas_sr.config import OUTPUT
from corenas_tpsr.generator.network import leaves

if TYPE_CHECKING:
    from corenas_tpsr.generator.space import GeneratorSpace

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("conv1", "conv3", "conv5", "conv7"), "conv"),
    **dict.fromkeys(("gconv3", "gconv5", "gconv7"), "grouped"),
    **dict.fromkeys(("dsep3", "dsep5", "dsep7"), "separable"),
    **dict.fromkeys(("inv3", "inv5", "inv7"), "inverted"),
    **dict.fromkeys(("se", "ca"), "gate"),
    "rcab": "residual",
    "identity": "identity",
}
"""Looks of the plugin's own operations; those of other plugins are drawn as ``other``."""


def draw_generator(path: Path, space: GeneratorSpace, architecture: Architecture) -> None:
    """Draw a generator: its cell as a graph with marked leaves, its head and tail, its cost.

    Args:
        path: Where to, without a suffix: ``.svg``, ``.png`` and ``.dot`` are added.
        space: What the architecture is of.
        architecture: Which generator.

    Raises:
        CorenasError: A file cannot be written.
        InputError: The architecture is not of this space.
    """
    width, height = (side // space.config.scale for side in OUTPUT)
    cost = space.cost(architecture, height=height, width=width)
    cell = [(str(name), int(source)) for name, source in space.format(architecture)]
    ends = leaves([source for _, source in cell])
    nodes = {i: _cell_node(i, name, i in ends) for i, (name, _) in enumerate(cell, start=1)}
    before, after = _head(space), _tail(space, len(ends))
    edges = [(before[0].name, before[1].name)]
    edges += [
        (nodes[source].name if source else before[1].name, nodes[i].name)
        for i, (_, source) in enumerate(cell, start=1)
    ]
    edges += [(nodes[end].name, after[0].name) for end in ends]
    edges += [(upper.name, lower.name) for upper, lower in pairwise(after)]
    draw_graph(
        path,
        [*before, *nodes.values(), *after],
        edges,
        title=f"{name_of(space, architecture)}, ×{space.config.scale}",
        groups=[Group("searched cell", tuple(node.name for node in nodes.values()))],
        footer=f"{human(cost.params, decimals=1)} parameters, {human(cost.mult_adds)} mult-adds "
        f"at {OUTPUT[0]}×{OUTPUT[1]}; a PReLU follows each node",
    )


def _cell_node(number: int, operation: str, leaf: bool) -> Node:
    note = f"node {number}, leaf" if leaf else f"node {number}"
    return Node(f"node-{number}", operation, KINDS.get(operation, "other"), note, marked=leaf)


def _head(space: GeneratorSpace) -> list[Node]:
    return [
        Node("image", "LR image", "fixed", "3 channels"),
        Node("head", "conv3", "fixed", f"3 → {space.config.channels}"),
    ]


def _tail(space: GeneratorSpace, ends: int) -> list[Node]:
    tail = []
    if ends > 1:
        tail.append(Node("sum", "+", "sum"))
    if ends > 1 or space.config.merge_single_leaf:
        tail.append(Node("merge", "PReLU", "fixed", "merge"))
    channels = space.config.channels
    for number in range(1, space.config.scale // 2 + 1):
        note = f"conv3 {channels} → 12, pixel shuffle"
        tail.append(Node(f"up{number}", "up-sampler ×2", "fixed", note))
        channels = 3
    return [*tail, Node("output", "SR image", "fixed", f"×{space.config.scale}")]
