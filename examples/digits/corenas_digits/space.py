"""The search space: how many blocks, how wide, and what each block does.

What a network does not have is not decided: with two blocks, the decisions of a third are inactive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from corenas import Architecture, Decision, InputError, check_choices
from corenas.drawing.diagrams import draw_graph
from corenas.drawing.parts import Kind, Node
from corenas_digits.config import SpaceConfig
from corenas_digits.network import CLASSES, OPERATIONS, WIDTHS, Block, head, stem
from corenas_digits.supernet import DigitsSupernet

BLOCKS, WIDTH = "blocks", "width"


class DigitsSpace:
    """Networks from a stem over blocks to the mean over positions and a linear layer."""

    name = "digits-cnn"

    def __init__(self, config: SpaceConfig) -> None:
        self.config = config
        self.decisions: Sequence[Decision] = tuple(_decisions(config.most_blocks))

    @property
    def known(self) -> Mapping[str, Architecture]:
        """A plain network of two convolutions."""
        return {"digits/plain": self.parse({"width": 16, "blocks": ["conv3 pool", "conv3"]})}

    def build(self, architecture: Architecture) -> nn.Module:
        """Return the network; it takes images of shape (N, 1, 8, 8) and gives ten logits each.

        Raises:
            InputError: The architecture is not of this space.
        """
        if reason := self.check(architecture):
            raise InputError(reason)
        width = int(architecture[WIDTH])
        first = stem(width)
        blocks = [
            Block(
                architecture[f"op_{number}"],
                width,
                shortcut=architecture[f"shortcut_{number}"] == "yes",
                pool=architecture[f"pool_{number}"] == "yes",
            )
            for number in _numbers(architecture)
        ]
        return nn.Sequential(first, *blocks, *head(width))

    def supernet(self) -> DigitsSupernet:
        """Return all networks in one, freshly initialised."""
        return DigitsSupernet(self)

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return the decisions of the whole network, and of the blocks that it has."""
        numbers = {str(number) for number in _numbers(architecture)}
        return [
            d for d in self.decisions if "_" not in d.name or d.name.rpartition("_")[2] in numbers
        ]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the same network with every inactive decision at its first option."""
        active = {decision.name for decision in self.active(architecture)}
        choices = {
            d.name: architecture[d.name] if d.name in active else d.options[0]
            for d in self.decisions
        }
        return Architecture(self.name, choices)

    def parse(self, value: Any) -> Architecture:
        """Read ``{"width": 16, "blocks": ["conv3 pool", "sep5 shortcut"]}``.

        Raises:
            InputError: It has another form, or names what there is not.
        """
        try:
            width, blocks = str(value["width"]), [str(block).split() for block in value["blocks"]]
            choices = {BLOCKS: str(len(blocks)), WIDTH: width}
            for number, (operation, *flags) in enumerate(blocks, start=1):
                choices[f"op_{number}"] = operation
                for flag in ("shortcut", "pool"):
                    choices[f"{flag}_{number}"] = "yes" if flag in flags else "no"
        except (TypeError, KeyError, ValueError, AttributeError):
            raise InputError(
                f"expected an object with 'width' and a list 'blocks', got {value!r}"
            ) from None
        first = {d.name: d.options[0] for d in self.decisions}
        architecture = Architecture(self.name, first | choices)
        if reason := self.check(architecture):
            raise InputError(reason)
        return self.canonical(architecture)

    def format(self, architecture: Architecture) -> Any:
        """Return what `parse` reads."""
        flags = ("shortcut", "pool")
        blocks = [
            " ".join(
                [
                    architecture[f"op_{number}"],
                    *(flag for flag in flags if architecture[f"{flag}_{number}"] == "yes"),
                ]
            )
            for number in _numbers(architecture)
        ]
        return {"width": int(architecture[WIDTH]), "blocks": blocks}

    def draw(self, architecture: Architecture, path: Path) -> None:
        """Draw the network as ``path`` with ``.svg``, ``.png`` and ``.dot`` added."""
        nodes = [Node("image", "image", "fixed", "8x8"), Node("stem", "conv3", "conv", "stem")]
        for number in _numbers(architecture):
            operation = architecture[f"op_{number}"]
            kind: Kind = "conv" if OPERATIONS[operation][0] == "conv" else "separable"
            flags = [f for f in ("shortcut", "pool") if architecture[f"{f}_{number}"] == "yes"]
            nodes.append(Node(f"block_{number}", operation, kind, ", ".join(flags)))
        nodes.append(Node("classes", "mean, linear", "fixed", f"{CLASSES} classes"))
        edges = [(a.name, b.name) for a, b in pairwise(nodes)]
        title = f"{self.name} {architecture.id}, {architecture[WIDTH]} channels"
        draw_graph(path, nodes, edges, title=title)


def _decisions(most_blocks: int) -> Iterator[Decision]:
    yield Decision(BLOCKS, tuple(str(number) for number in range(1, most_blocks + 1)), "depth")
    yield Decision(WIDTH, tuple(map(str, WIDTHS)), "width")
    for number in range(1, most_blocks + 1):
        yield Decision(f"op_{number}", tuple(OPERATIONS), "operation")
        yield Decision(f"shortcut_{number}", ("no", "yes"), "path")
        yield Decision(f"pool_{number}", ("no", "yes"))


def _numbers(architecture: Architecture) -> range:
    """Return the numbers of the blocks that the network has."""
    return range(1, int(architecture[BLOCKS]) + 1)
