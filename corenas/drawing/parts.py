"""What a diagram is made of: boxes of several kinds, and frames around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from corenas.drawing.figures import GREY, INK

Kind = Literal[
    "conv",
    "grouped",
    "separable",
    "inverted",
    "residual",
    "gate",
    "identity",
    "reduction",
    "other",
    "sum",
    "fork",
    "fixed",
]
"""What a box stands for, from which it has its colour and shape."""


@frozen
class Node:
    """A box.

    Attributes:
        name: What edges call it; no two nodes share one.
        label: What stands in it.
        kind: What colour and shape it has; a fork is a dot without text.
        note: Smaller lines below the label.
        marked: Whether its border is thick.
    """

    name: str
    label: str
    kind: Kind
    note: str = ""
    marked: bool = False


@frozen
class Group:
    """Names of nodes that share a frame."""

    label: str
    members: tuple[str, ...]


@frozen
class Look:
    """The colours of a kind of box, and what the legend says, if it names the kind at all."""

    fill: str
    border: str
    meaning: str = ""
    dashed: bool = False


LOOKS: Mapping[Kind, Look] = {
    "conv": Look("#d9e6f2", "#30638e", "convolution"),
    "grouped": Look("#cfeceb", "#16807c", "grouped convolution"),
    "separable": Look("#dcf0d6", "#3d8b37", "depthwise separable"),
    "inverted": Look("#fdecc8", "#c0830c", "inverted residual"),
    "residual": Look("#f8dcea", "#b0477f", "residual block"),
    "gate": Look("#e8dffa", "#6f4bb5", "channel gate"),
    "identity": Look("#ffffff", "#8a949c", "identity", dashed=True),
    "reduction": Look("#f9dadd", "#d1495b", "reduction"),
    "other": Look("#f1ead9", "#857a5c", "other operation"),
    "sum": Look("#ffffff", INK),
    "fork": Look(INK, INK),
    "fixed": Look("#eceff1", GREY),
}
