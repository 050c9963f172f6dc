"""Diagrams of discriminators."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from corenas.cost import human
from corenas.drawing.diagrams import draw_graph, name_of
from corenas.drawing.parts import Group, Node
from corenas.values.architecture import Architecture
from corenas_tpsr.generator.diagrams import KINDS

if TYPE_CHECKING:
    from corenas_tpsr.discriminator.space import DiscriminatorSpace


def draw_discriminator(path: Path, space: DiscriminatorSpace, architecture: Architecture) -> None:
    """Draw a discriminator: its blocks as a chain, with the shape of each output.

    Args:
        path: Where to, without a suffix: ``.svg``, ``.png`` and ``.dot`` are added.
        space: What the architecture is of.
        architecture: Which discriminator.

    Raises:
        CorenasError: A file cannot be written.
        InputError: The architecture is not of this space.
    """
    config = space.config
    cost = space.cost(architecture)
    channels, side = config.channels, config.patch
    nodes = [
        Node("patch", "patch", "fixed", _maps(3, side)),
        Node("stem", config.stem, "fixed", _maps(channels, side)),
    ]
    blocks = []
    for number, (operation, reduction) in enumerate(space.format(architecture), start=1):
        kind, members = KINDS.get(operation, "other"), (f"op-{number}", f"rop-{number}")
        nodes.append(Node(members[0], operation, kind, _maps(channels, side)))
        channels, side = 2 * channels, side // 2
        nodes.append(Node(members[1], reduction, "reduction", _maps(channels, side)))
        blocks.append(Group(f"block {number}", members))
    nodes += _judge_nodes(channels * side**2, config.bottleneck)
    draw_graph(
        path,
        nodes,
        list(pairwise(node.name for node in nodes)),
        title=name_of(space, architecture),
        groups=blocks,
        footer=f"{human(cost.params)} parameters, {human(cost.mult_adds)} mult-adds for a patch of "
        f"{config.patch}×{config.patch}; a PReLU follows each layer but the last",
        direction="right",
    )


def _maps(channels: int, side: int) -> str:
    return f"{channels} × {side} × {side}"


def _judge_nodes(features: int, bottleneck: int | None) -> list[Node]:
    sizes = [features, 1] if bottleneck is None else [features, bottleneck, 1]
    return [
        Node(f"linear-{number}", "linear", "fixed", f"{inputs} → {outputs}")
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1)
    ]
