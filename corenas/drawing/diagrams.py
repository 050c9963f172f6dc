"""Diagrams of architectures, as SVG for documents and as PNG for a quick look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from attrs import frozen

from corenas.drawing import diagram_layout
from corenas.drawing.canvas import INK, Canvas, text_width
from corenas.drawing.chain_layout import broken, chain
from corenas.drawing.diagram_layout import FRAME_LABEL, Box, Edge, Layout, Size
from corenas.drawing.figures import GREY
from corenas.drawing.layered_layout import layered
from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture

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


def draw_graph(
    path: Path,
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    title: str,
    groups: Sequence[Group] = (),
    footer: str = "",
) -> None:
    """Draw a graph without cycles from top to bottom; equal arguments give equal files.

    Args:
        path: Where to, without a suffix: ``.svg`` and ``.png`` are added.
        nodes: The boxes; where nothing else decides, earlier ones stand to the left.
        edges: Names of source and target.
        title: What stands above.
        groups: Nodes with a frame, which have their layers for themselves.
        footer: What stands below.

    Raises:
        CorenasError: A file cannot be written.
        ValueError: See `corenas.drawing.layered_layout.layered`.
    """
    arrivals = Counter(target for _, target in edges)
    sizes = _sizes(nodes, arrivals)
    layout = layered(sizes, edges, groups=_measured(groups))
    _draw(path, _Diagram(nodes, groups, layout, title, footer, label_beside=True))


def draw_chain(
    path: Path,
    nodes: Sequence[Node],
    *,
    title: str,
    groups: Sequence[Group] = (),
    arcs: Sequence[Edge] = (),
    footer: str = "",
) -> None:
    """Draw a chain from left to right, in rows of about a dozen boxes at most.

    Equal arguments give equal files.

    Args:
        path: Where to, without a suffix: ``.svg`` and ``.png`` are added.
        nodes: The boxes, each joined to the next.
        title: What stands above.
        groups: Runs of nodes with a frame.
        arcs: Further edges, each within a group, over its boxes.
        footer: What stands below.

    Raises:
        CorenasError: A file cannot be written.
        ValueError: See `corenas.drawing.chain_layout.chain`.
    """
    layout = chain(_sizes(nodes, {}), groups=_measured(groups), arcs=arcs)
    _draw(path, _Diagram(nodes, groups, layout, title, footer, label_beside=False))


def name_of(space: SearchSpace, architecture: Architecture) -> str:
    """Return an architecture's published name, or its space's name and its own id.

    Raises:
        InputError: The architecture is not of this space.
    """
    canonical = space.canonical(architecture)
    for name, known in space.known.items():
        if space.canonical(known) == canonical:
            return name
    return f"{space.name} {canonical.id}"


# In points, as all that follows.
_MARGIN = 16.0
_TITLE = 30.0
_FOOTER = 24.0
_LEGEND = 8.0
_LEGEND_LINE = 16.0
_LEGEND_GAP = 14.0
_SWATCH = 10.0
_AFTER_SWATCH = 5.0
_NARROWEST_SHEET = 240.0

_TITLE_SIZE = 11.5
_LABEL_SIZE = 9.5
_LABEL_LINE = 12.0
_NOTE_SIZE = 7.5
_NOTE_LINE = 10.0
_SMALL_SIZE = 8.5
_CAPITAL = 0.73  # height of a capital letter at size 1

_PADDING_SIDE, _PADDING_TOP = 8.0, 6.0
_NARROWEST_TEXT = 48.0
_SUM = 20.0
_ROOM_FOR_ARRIVAL = 12.0
_FORK = 5.0


@frozen
class _Look:
    """The colours of a kind of box, and what the legend says, if it names the kind at all."""

    fill: str
    border: str
    meaning: str = ""
    dashed: bool = False


_LOOKS: Mapping[Kind, _Look] = {
    "conv": _Look("#d9e6f2", "#30638e", "convolution"),
    "grouped": _Look("#cfeceb", "#16807c", "grouped convolution"),
    "separable": _Look("#dcf0d6", "#3d8b37", "depthwise separable"),
    "inverted": _Look("#fdecc8", "#c0830c", "inverted residual"),
    "residual": _Look("#f8dcea", "#b0477f", "residual block"),
    "gate": _Look("#e8dffa", "#6f4bb5", "channel gate"),
    "identity": _Look("#ffffff", "#8a949c", "identity", dashed=True),
    "reduction": _Look("#f9dadd", "#d1495b", "reduction"),
    "other": _Look("#f1ead9", "#857a5c", "other operation"),
    "sum": _Look("#ffffff", INK),
    "fork": _Look(INK, INK),
    "fixed": _Look("#eceff1", GREY),
}


@frozen
class _Diagram:
    """A layout with what is written into it; frames have labels above or beside their boxes."""

    nodes: Sequence[Node]
    groups: Sequence[Group]
    layout: Layout
    title: str
    footer: str
    label_beside: bool


def _draw(path: Path, diagram: _Diagram) -> None:
    layout = diagram.layout
    title = text_width(diagram.title, _TITLE_SIZE, bold=True)
    footer = text_width(diagram.footer, _SMALL_SIZE)
    inner = max(layout.width, title, footer, _NARROWEST_SHEET)
    legend = _legend(diagram.nodes, inner)
    top = _MARGIN + _TITLE
    under = top + layout.height + (_FOOTER if diagram.footer else 0.0)
    bottom = under + (_LEGEND + _LEGEND_LINE * len(legend) if legend else 0.0)
    canvas = Canvas(inner + 2 * _MARGIN, bottom + _MARGIN)
    canvas.text(diagram.title, _MARGIN, _MARGIN + 10, size=_TITLE_SIZE, bold=True)
    _draw_layout(canvas, diagram, _MARGIN + (inner - layout.width) / 2, top)
    canvas.text(diagram.footer, _MARGIN, under, size=_SMALL_SIZE)
    for number, line in enumerate(legend, start=1):
        _draw_legend(canvas, line, under + _LEGEND_LINE * number)
    canvas.save(path)


def _draw_layout(canvas: Canvas, diagram: _Diagram, left: float, top: float) -> None:
    layout = diagram.layout.moved(left, top)
    for number, (group, frame) in enumerate(zip(diagram.groups, layout.frames, strict=True)):
        _draw_frame(canvas, frame, group.label, f"group-{number}", beside=diagram.label_beside)
    kinds = {node.name: node.kind for node in diagram.nodes}
    for curve in layout.curves:
        name = f"edge-{curve.source}-{curve.target}"
        canvas.curve(curve.points, name=name, pointed=kinds[curve.target] != "fork")
    for node in diagram.nodes:
        _draw_node(canvas, node, layout.boxes[node.name])


def _draw_node(canvas: Canvas, node: Node, box: Box) -> None:
    look = _LOOKS[node.kind]
    canvas.shape(
        box,
        name=f"node-{node.name}",
        radius=box.height / 2 if node.kind in ("sum", "fork") else 4.0,
        fill=look.fill,
        border=INK if node.marked else look.border,
        line=2.0 if node.marked else 1.0,
        dashed=look.dashed,
    )
    x, middle = box.centre
    notes = node.note.splitlines()
    y = middle - len(notes) * _NOTE_LINE / 2 + _LABEL_SIZE * _CAPITAL / 2
    canvas.text(node.label, x, y, size=_LABEL_SIZE, centred=True)
    y += (_LABEL_LINE - _NOTE_LINE) / 2
    for number, note in enumerate(notes, start=1):
        line = y + number * _NOTE_LINE
        canvas.text(note, x, line, size=_NOTE_SIZE, colour=GREY, centred=True)


def _draw_frame(canvas: Canvas, frame: Box, label: str, name: str, *, beside: bool) -> None:
    canvas.shape(frame, name=name, radius=8.0, fill="#f8f9fa", border="#b3bcc4", dashed=True)
    if beside:
        x, y = frame.left + FRAME_LABEL - 2, frame.centre[1]
        canvas.text(label, x, y, size=_SMALL_SIZE, colour=GREY, centred=True, upwards=True)
    else:
        canvas.text(label, frame.left + 9, frame.top + 13, size=_SMALL_SIZE, colour=GREY)


def _legend(nodes: Sequence[Node], width: float) -> list[list[Kind]]:
    """Return the kinds that are explained, in lines."""
    used = {node.kind for node in nodes}
    kinds = [kind for kind, look in _LOOKS.items() if kind in used and look.meaning]
    widths = [_SWATCH + _AFTER_SWATCH + text_width(_LOOKS[k].meaning, _NOTE_SIZE) for k in kinds]
    return [[kinds[i] for i in line] for line in broken(widths, width, gap=_LEGEND_GAP)]


def _draw_legend(canvas: Canvas, kinds: Sequence[Kind], y: float) -> None:
    x = _MARGIN
    for kind in kinds:
        look = _LOOKS[kind]
        canvas.shape(
            Box(x, y - _SWATCH + 2, _SWATCH, _SWATCH),
            name=f"legend-{kind}",
            radius=2.0,
            fill=look.fill,
            border=look.border,
            line=0.8,
            dashed=look.dashed,
        )
        x += _SWATCH + _AFTER_SWATCH
        canvas.text(look.meaning, x, y, size=_NOTE_SIZE, colour=GREY)
        x += text_width(look.meaning, _NOTE_SIZE) + _LEGEND_GAP


def _sizes(nodes: Sequence[Node], arrivals: Mapping[str, int]) -> dict[str, Size]:
    sizes = {node.name: _size(node, arrivals.get(node.name, 1)) for node in nodes}
    if len(sizes) < len(nodes):
        twice, _ = Counter(node.name for node in nodes).most_common(1)[0]
        raise ValueError(f"node {twice} stands twice")
    return sizes


def _size(node: Node, arrivals: int) -> Size:
    """Return the box that holds a node's text, and lets edges arrive apart from each other."""
    if node.kind == "fork":
        return _FORK, _FORK
    if node.kind == "sum":
        return max(_SUM, _ROOM_FOR_ARRIVAL * arrivals), _SUM
    notes = node.note.splitlines()
    widths = [text_width(node.label, _LABEL_SIZE), *(text_width(n, _NOTE_SIZE) for n in notes)]
    height = _LABEL_LINE + _NOTE_LINE * len(notes)
    return max(_NARROWEST_TEXT, *widths) + 2 * _PADDING_SIDE, height + 2 * _PADDING_TOP


def _measured(groups: Sequence[Group]) -> list[diagram_layout.Group]:
    return [
        diagram_layout.Group(group.members, text_width(group.label, _SMALL_SIZE))
        for group in groups
    ]
