"""Graphs as text for Graphviz, in its language DOT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corenas.drawing._layers import Edge
from corenas.drawing._layout import Direction
from corenas.drawing.figures import INK
from corenas.drawing.parts import LOOKS, Group, Kind, Node


def to_dot(
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    title: str,
    groups: Sequence[Group] = (),
    footer: str = "",
    direction: Direction = "down",
) -> str:
    """Return a graph as text that ``dot -Tsvg`` and other programs draw.

    The arguments are those of `corenas.drawing.diagrams.draw_graph`.
    """
    dots = {node.name for node in nodes if node.kind == "fork"}
    graph = {"rankdir": _RANKS[direction], "label": f"{title}\n{footer}".strip()}
    lines = [f"digraph {{ graph {_write_attributes(graph)}"]
    lines += [f"  {_quote(node.name)} {_write_attributes(_attributes_of(node))}" for node in nodes]
    for number, group in enumerate(groups):
        members = " ".join(map(_quote, group.members))
        label = _quote(group.label)
        lines.append(f"  subgraph cluster_{number} {{ label={label} style=dashed {members} }}")
    for source, target in edges:
        arrow = _write_attributes({"arrowhead": "none"} if target in dots else {})
        lines.append(f"  {_quote(source)} -> {_quote(target)} {arrow}")
    return "\n".join([*lines, "}", ""])


_RANKS: Mapping[Direction, str] = {"down": "TB", "right": "LR"}
_SHAPES: Mapping[Kind, str] = {"fork": "point", "sum": "ellipse"}


def _attributes_of(node: Node) -> dict[str, str]:
    look = LOOKS[node.kind]
    return {
        "label": f"{node.label}\n{node.note}".strip(),
        "shape": _SHAPES.get(node.kind, "box"),
        "style": "rounded,filled,dashed" if look.dashed else "rounded,filled",
        "fillcolor": look.fill,
        "color": INK if node.marked else look.border,
        "penwidth": "2" if node.marked else "1",
    }


def _write_attributes(values: Mapping[str, str]) -> str:
    return f"[{' '.join(f'{name}={_quote(value)}' for name, value in values.items())}]"


def _quote(text: str) -> str:
    """Return a string of DOT, where a backslash alone would begin an escape."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
