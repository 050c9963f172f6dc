"""Diagrams of tiny networks."""

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

if TYPE_CHECKING:
    from corenas_tiny.space.space import TinySpace

KINDS: Mapping[str, Kind] = {
    "rep3": "conv",
    "res3": "residual",
    **dict.fromkeys(("bsres3", "bsres5", "distil3"), "separable"),
    **dict.fromkeys(("next5", "next7", "next9"), "inverted"),
    **dict.fromkeys(("gate3", "gate5", "gate7"), "grouped"),
    **dict.fromkeys(("modulate", "channel-attention", "esa", "cca"), "gate"),
}
"""Looks of the plugin's own operations; those of other plugins are drawn as ``other``."""


def draw_tiny(path: Path, space: TinySpace, architecture: Architecture) -> None:
    """Draw a network: its blocks in a row, what is fused and skipped, its cost.

    Args:
        path: Where to, without a suffix: ``.svg``, ``.png`` and ``.dot`` are added.
        space: What the architecture is of.
        architecture: Which network.

    Raises:
        CorenasError: A file cannot be written.
        InputError: The architecture is not of this space.
    """
    shape, scale = space.shape(architecture), space.config.scale
    width, height = (side // scale for side in OUTPUT)
    cost = space.cost(architecture, height=height, width=width)
    blocks = [
        Node(
            f"block-{number}",
            name,
            KINDS.get(name, "other"),
            f"block {number}" + ("" if expansion is None else f", ×{expansion} inside"),
        )
        for number, (name, expansion) in enumerate(shape.blocks, start=1)
    ]
    image = Node("image", "LR image", "fixed", "3 channels")
    head = Node("head", "conv3", "fixed", f"3 → {shape.width}")
    fuse = [Node("fuse", "conv1", "fixed", "fuses all blocks")] if shape.fusion else []
    added = [Node("sum", "+", "sum")] if blocks else []
    tail = Node(
        "tail", f"conv{shape.tail}", "fixed", f"{shape.width} → {3 * scale**2}, pixel shuffle"
    )
    output = Node("output", "SR image", "fixed", f"×{scale}")
    enlarged = [] if shape.skip == "none" else [Node("skip", shape.skip, "fixed", f"×{scale}")]
    chain = [image, head, *blocks, *fuse, *added, tail, output]
    edges = [(upper.name, lower.name) for upper, lower in pairwise(chain)]
    if blocks:
        edges.append((head.name, "sum"))
    edges += [(block.name, "fuse") for block in blocks[:-1] if shape.fusion]
    for skip in enlarged:
        edges += [(image.name, skip.name), (skip.name, output.name)]
    draw_graph(
        path,
        [*chain, *enlarged],
        edges,
        title=f"{name_of(space, architecture)}, ×{scale}",
        groups=[Group("searched blocks", tuple(block.name for block in blocks))] if blocks else [],
        footer=f"{human(cost.params, decimals=1)} parameters, {human(cost.mult_adds)} mult-adds "
        f"at {OUTPUT[0]}×{OUTPUT[1]}",
    )
