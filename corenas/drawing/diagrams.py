"""Diagrams of architectures: SVG for documents, PNG for a quick look, DOT for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from corenas.drawing._canvas import Canvas, text_width
from corenas.drawing._dot import to_dot
from corenas.drawing._layers import Edge
from corenas.drawing._layout import (
    FRAME_LABEL,
    Box,
    Direction,
    Frame,
    Layout,
    Size,
    break_into_rows,
    lay_out,
)
from corenas.drawing.figures import GREY, INK, write_whole
from corenas.drawing.parts import LOOKS, Group, Kind, Node
from corenas.protocols import SearchSpace
from corenas.values.architecture import Architecture


def draw_graph(
    path: Path,
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    title: str,
    groups: Sequence[Group] = (),
    footer: str = "",
    direction: Direction = "down",
) -> None:
    """Draw a graph without cycles; equal arguments give equal files.

    Args:
        path: Where to, without a suffix: ``.svg``, ``.png`` and ``.dot`` are added.
        nodes: The boxes.
        edges: Names of source and target; where nothing else decides, what an earlier one leads
            to stands to the left, or higher in a graph that runs right.
        title: What stands above.
        groups: Nodes with a frame, which have their layers for themselves.
        footer: What stands below.
        direction: Where the graph runs. One that runs right, such as a chain with skip
            connections, has rows of about a dozen boxes at most.

    Raises:
        CorenasError: A file cannot be written.
        ValueError: Two nodes have one name; and see `corenas.drawing._layout.lay_out`.
    """
    layout = lay_out(
        _measure_all(nodes),
        edges,
        frames=[Frame(group.members, text_width(group.label, _SMALL_SIZE)) for group in groups],
        direction=direction,
    )
    _Sheet(nodes, groups, layout, title, footer, direction).draw(path)
    dot = to_dot(nodes, edges, title=title, groups=groups, footer=footer, direction=direction)
    write_whole(path.with_name(f"{path.name}.dot"), dot.encode())


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
_FORK = 5.0


@frozen
class _Sheet:
    """A layout with what is written into it and around it."""

    nodes: Sequence[Node]
    groups: Sequence[Group]
    layout: Layout
    title: str
    footer: str
    direction: Direction

    def draw(self, path: Path) -> None:
        width, under = self.layout.width, self.layout.height
        title = text_width(self.title, _TITLE_SIZE, bold=True)
        inner = max(width, title, text_width(self.footer, _SMALL_SIZE), _NARROWEST_SHEET)
        left = (width - inner) / 2  # the layout is in the middle
        under += _FOOTER if self.footer else 0.0
        legend = _break_legend(self.nodes, inner)
        bottom = under + (_LEGEND + _LEGEND_LINE * len(legend) if legend else 0.0)
        height = _MARGIN + _TITLE + bottom + _MARGIN
        canvas = Canvas(Box(left - _MARGIN, -_TITLE - _MARGIN, inner + 2 * _MARGIN, height))
        canvas.text(self.title, left, 10 - _TITLE, size=_TITLE_SIZE, bold=True)
        self._draw_graph(canvas)
        canvas.text(self.footer, left, under, size=_SMALL_SIZE)
        for number, kinds in enumerate(legend, start=1):
            _draw_legend(canvas, kinds, left, under + _LEGEND_LINE * number)
        canvas.save(path)

    def _draw_graph(self, canvas: Canvas) -> None:
        for number, (group, frame) in enumerate(zip(self.groups, self.layout.frames, strict=True)):
            self._draw_frame(canvas, frame, group.label, f"group-{number}")
        kinds = {node.name: node.kind for node in self.nodes}
        for (source, target), points in self.layout.curves.items():
            pointed = kinds[target] != "fork"
            canvas.curve(points, name=f"edge-{source}-{target}", pointed=pointed)
        for node in self.nodes:
            _draw_node(canvas, node, self.layout.boxes[node.name])

    def _draw_frame(self, canvas: Canvas, frame: Box, label: str, name: str) -> None:
        canvas.shape(frame, name=name, radius=8.0, fill="#f8f9fa", border="#b3bcc4", dashed=True)
        if self.direction == "down":
            x, y = frame.left + FRAME_LABEL - 2, frame.centre[1]
            canvas.text(label, x, y, size=_SMALL_SIZE, colour=GREY, centred=True, upwards=True)
        else:
            canvas.text(label, frame.left + 9, frame.top + 13, size=_SMALL_SIZE, colour=GREY)


def _draw_node(canvas: Canvas, node: Node, box: Box) -> None:
    look = LOOKS[node.kind]
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


def _break_legend(nodes: Sequence[Node], width: float) -> list[list[Kind]]:
    """Return the kinds that are explained, in lines."""
    used = {node.kind for node in nodes}
    kinds = [kind for kind, look in LOOKS.items() if kind in used and look.meaning]
    widths = [_SWATCH + _AFTER_SWATCH + text_width(LOOKS[k].meaning, _NOTE_SIZE) for k in kinds]
    return [[kinds[i] for i in line] for line in break_into_rows(widths, width, gap=_LEGEND_GAP)]


def _draw_legend(canvas: Canvas, kinds: Sequence[Kind], x: float, y: float) -> None:
    for kind in kinds:
        look = LOOKS[kind]
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


def _measure_all(nodes: Sequence[Node]) -> dict[str, Size]:
    sizes = {node.name: _measure(node) for node in nodes}
    if len(sizes) < len(nodes):
        twice, _ = Counter(node.name for node in nodes).most_common(1)[0]
        raise ValueError(f"node {twice} stands twice")
    return sizes


def _measure(node: Node) -> Size:
    """Return the box that holds a node's text."""
    if node.kind in ("fork", "sum"):
        side = _FORK if node.kind == "fork" else _SUM
        return side, side
    notes = node.note.splitlines()
    widths = [text_width(node.label, _LABEL_SIZE), *(text_width(n, _NOTE_SIZE) for n in notes)]
    height = _LABEL_LINE + _NOTE_LINE * len(notes)
    return max(_NARROWEST_TEXT, *widths) + 2 * _PADDING_SIDE, height + 2 * _PADDING_TOP
