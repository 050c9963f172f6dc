"""Diagrams of derived networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from corenas.cost import count, human
from corenas.drawing.diagrams import draw_graph, name_of
from corenas.drawing.parts import Group, Kind, Node
from corenas.values.architecture import Architecture
from corenas_sr.config import OUTPUT
from corenas_trilevel.space.config import SpaceConfig
from corenas_trilevel.space.decisions import PATH
from corenas_trilevel.space.derived import IMAGE_CHANNELS, RESIDUAL_SCALE, ChosenCell

if TYPE_CHECKING:
    from corenas_trilevel.space.space import TrilevelSpace

_KINDS: Mapping[str, Kind] = {
    "conv1": "conv",
    "conv3": "conv",
    "res": "residual",
    "dws": "separable",
}


def draw_network(path: Path, space: TrilevelSpace, architecture: Architecture) -> None:
    """Draw a derived network: its path as a chain of cells and convolutions, and its cost.

    Args:
        path: Where to, without a suffix: ``.svg``, ``.png`` and ``.dot`` are added.
        space: What the architecture is of.
        architecture: Which network.

    Raises:
        CorenasError: A file cannot be written.
        InputError: The architecture is not of this space.
    """
    footer = _cost(space, architecture)
    config = space.config
    nodes = [*_head(config)]
    groups: list[Group] = []
    cells = iter(space.format(architecture)["cells"])
    for number, step in enumerate(architecture[PATH], start=1):
        if step == "0":
            members = [*_cell(next(cells), f"step-{number}", config.features)]
            label = f"cell {len(groups) + 1}: x + {RESIDUAL_SCALE} · f(x)"
            groups.append(Group(label, tuple(node.name for node in members)))
            nodes += members
        else:
            nodes.append(_path_convolution(config, f"step-{number}"))
    nodes += _tail(config)
    skips = [(group.members[0], group.members[-1]) for group in groups]
    draw_graph(
        path,
        nodes,
        [*skips, *pairwise(node.name for node in nodes)],  # a skip stands above: it comes first
        title=f"{name_of(space, architecture)}, path {architecture[PATH]}, ×{config.scale}",
        groups=groups,
        footer=footer,
        direction="right",
    )


def _cost(space: TrilevelSpace, architecture: Architecture) -> str:
    width, height = (side // space.config.scale for side in OUTPUT)
    with torch.device("meta"):
        network = space.build(architecture)
    cost = count(network, (1, IMAGE_CHANNELS, height, width))
    params, mult_adds = human(cost.params, decimals=1), human(cost.mult_adds)
    output = f"{width * space.config.scale}×{height * space.config.scale}"
    return f"{params} parameters, {mult_adds} mult-adds at {output}"


def _cell(cell: ChosenCell, name: str, features: int) -> Iterator[Node]:
    yield Node(f"{name}-in", "", "fork")
    widths = pairwise([features, *(width for _, width in cell)])
    for number, ((operation, _), (inputs, outputs)) in enumerate(zip(cell, widths, strict=True)):
        note = f"{inputs} → {outputs}"
        yield Node(f"{name}-operation-{number + 1}", operation, _KINDS[operation], note)
    yield Node(f"{name}-out", "+", "sum")


def _head(config: SpaceConfig) -> Iterator[Node]:
    yield Node("image", "LR image", "fixed", f"{IMAGE_CHANNELS} channels")
    yield Node("head", "conv3", "fixed", f"{IMAGE_CHANNELS} → {config.features}")


def _path_convolution(config: SpaceConfig, name: str) -> Node:
    note = f"{config.features} → {config.features}"
    if config.backbone == "b":
        return Node(name, "conv3", "fixed", note)
    shared = "\nshared" if config.share_up else ""
    return Node(name, "nearest ×2", "fixed", f"conv3 {note}{shared}")


def _tail(config: SpaceConfig) -> Iterator[Node]:
    features = config.features
    if config.backbone == "a":
        yield Node("tail-1", "conv3", "fixed", f"{features} → {features}")
        yield Node("tail-2", "conv3, tanh", "fixed", f"{features} → {IMAGE_CHANNELS}")
    else:
        outputs = IMAGE_CHANNELS * config.scale**2
        shuffle = f"shuffle ×{config.scale}, tanh"
        yield Node("tail-1", "conv3", "fixed", f"{features} → {outputs}")
        yield Node("tail-2", shuffle, "fixed", f"{outputs} → {IMAGE_CHANNELS}")
    yield Node("output", "SR image", "fixed", f"×{config.scale}")
