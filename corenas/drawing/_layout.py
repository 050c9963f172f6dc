"""Where boxes, edges and frames of a diagram stand, in points from the top left.

All is computed for a graph that runs to the right; one that runs down is its mirror image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

from attrs import define, frozen

from corenas.drawing._layers import Edge, LayeredGraph, find_positions, make_layers

Point = tuple[float, float]

Size = tuple[float, float]
"""Width and height."""

Direction = Literal["down", "right"]

FRAME_LABEL = 16.0
"""Room for the line of a frame's label, along the side where an order begins: left or top."""

_FRAME_PADDING = 12.0  # between a frame and what it holds
_BETWEEN_BOXES = 20.0  # of one layer
_BESIDE_BEND = 14.0  # between an edge and what it passes
_BETWEEN_LAYERS = (24.0, 60.0)  # at least and at most
_STEEPNESS = 6.0  # points to the side for each point that layers stand further apart
_STRAIGHT = 2.0  # an edge that would arrive so little to the side arrives straight
_BETWEEN_ROWS = 32.0
_TURN = 20.0  # beside the rows, for the edge that leads to the next one
_RADIUS = 8.0  # of its corners; each of its pieces is longer than two of them
_SHORT = 1e-6
_CIRCLE = 0.5523  # where a quarter of a circle has its control points, from its ends to the corner


@frozen
class Box:
    """A rectangle."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    @property
    def centre(self) -> Point:
        return self.left + self.width / 2, self.top + self.height / 2

    def mirrored(self) -> Box:
        return Box(self.top, self.left, self.height, self.width)


@frozen
class Frame:
    """What is around boxes; its label is ``label_length`` long."""

    members: tuple[str, ...]
    label_length: float = 0.0


@frozen
class Layout:
    """Where all stands, and the size of the whole; it begins at (0, 0).

    ``curves`` are cubic Bézier segments by edge: a start, then three points for each segment.
    There is one frame for each group.
    """

    boxes: Mapping[str, Box]
    curves: Mapping[Edge, tuple[Point, ...]]
    frames: tuple[Box, ...]
    width: float
    height: float

    def mirrored(self) -> Layout:
        """Return the layout with right and down exchanged."""
        return Layout(
            {name: box.mirrored() for name, box in self.boxes.items()},
            {edge: tuple((y, x) for x, y in points) for edge, points in self.curves.items()},
            tuple(frame.mirrored() for frame in self.frames),
            self.height,
            self.width,
        )


def lay_out(
    sizes: Mapping[str, Size],
    edges: Sequence[Edge],
    *,
    frames: Sequence[Frame] = (),
    direction: Direction = "down",
    row_width: float = 960.0,
) -> Layout:
    """Lay out a graph without cycles: every edge leads on, and passes beside boxes.

    Edges bend in the gaps between layers and run straight within them. So they meet no box, and
    two of them cross only where the order in the layers says so.

    Args:
        sizes: Width and height of each node's box.
        edges: From source to target.
        frames: Each is around nodes that fill whole layers, one after the other. Its label is along
            its left side, or its top if the graph runs right.
        direction: Where the graph runs. One that runs right is broken into rows where a single
            edge leads on, outside frames.
        row_width: Such a graph has the fewest rows of at most this width, which are about equally
            long.

    Raises:
        ValueError: An edge stands twice or leads to an unknown node, there is a cycle, or a frame
            is empty, has an unknown node, or shares a layer with others.
    """
    if direction == "down":
        sizes = {name: (height, width) for name, (width, height) in sizes.items()}
        layout = lay_out(sizes, edges, frames=frames, direction="right", row_width=math.inf)
        return layout.mirrored()
    graph = make_layers(tuple(sizes), edges)
    bends = sum(map(len, graph.layers)) - graph.nodes
    half = [height / 2 for _, height in sizes.values()] + [0.0] * bends

    def distance(a: int, b: int) -> float:
        passes = graph.is_bend(a) or graph.is_bend(b)
        return half[a] + half[b] + (_BESIDE_BEND if passes else _BETWEEN_BOXES)

    y = find_positions(graph, distance)
    columns = _measure_columns(graph, sizes, y)
    framed = [_find_framed_layers(graph, tuple(sizes), frame, columns) for frame in frames]
    for each in framed:
        columns[each.layers[0]].before = columns[each.layers[-1]].after = each.margin
    rows = _choose_rows(graph, framed, columns, row_width)
    bands, ends = _place_bands(rows, columns)
    drawing = _Drawing(graph, sizes, half, framed, bands)
    y, bottoms = drawing.stack(rows, y)
    boxes, outlines = drawing.boxes(y), tuple(drawing.outline(each, y) for each in framed)
    corners = list(zip(ends, bottoms, strict=True))
    turns = {row.start: corner for row, corner in zip(rows[1:], corners, strict=False)}
    curves = drawing.curves(edges, y, boxes, turns)
    right = max(ends, default=0.0) + (_TURN if turns else 0.0)
    return Layout(boxes, curves, outlines, right, bottoms[-1] if bottoms else 0.0)


def break_into_rows(widths: Sequence[float], row_width: float, *, gap: float) -> list[range]:
    """Break a row of things into the fewest rows, the longest of which is as short as can be.

    Args:
        widths: Those of the things.
        row_width: The most that a row of several may have.
        gap: Between two things in a row.

    Returns:
        The indices in each row.
    """

    def longest(rows: Sequence[range]) -> float:
        return max((sum(widths[i] + gap for i in row) - gap for row in rows), default=0.0)

    rows = _fill_rows(widths, row_width, gap)
    while True:
        narrower = _fill_rows(widths, longest(rows) - 1e-6, gap)
        if len(narrower) > len(rows) or longest(narrower) >= longest(rows):
            return rows
        rows = narrower


def _fill_rows(widths: Sequence[float], row_width: float, gap: float) -> list[range]:
    rows, start, used = list[range](), 0, 0.0
    for index, width in enumerate(widths):
        if index > start and used + gap + width > row_width:
            rows.append(range(start, index))
            start, used = index, 0.0
        used += width + (gap if index > start else 0.0)
    return [*rows, range(start, len(widths))] if widths else []


def round_corners(points: Sequence[Point], radius: float) -> tuple[Point, ...]:
    """Return a line through the points with corners rounded, as `Layout` holds it.

    Pieces between two corners are to be at least twice the radius long, those at the ends once.
    """
    path = [points[0]]
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        start, end = (
            _interpolate(corner, p, radius / math.dist(corner, p)) for p in (before, after)
        )
        path += _straight_piece(path[-1], start)
        path += [_interpolate(start, corner, _CIRCLE), _interpolate(end, corner, _CIRCLE), end]
    return (*path, *_straight_piece(path[-1], points[-1]))


def _straight_piece(start: Point, end: Point) -> list[Point]:
    """Return a straight piece, or nothing where it has no length: an arrow needs a direction."""
    if math.dist(start, end) < _SHORT:
        return []
    return [_interpolate(start, end, 1 / 3), _interpolate(start, end, 2 / 3), end]


def _interpolate(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


@define
class _Column:
    """How wide a layer is, the gap in front of it, and the room for the ends of its frame."""

    width: float
    gap: float
    before: float = 0.0
    after: float = 0.0


def _measure_columns(
    graph: LayeredGraph, sizes: Mapping[str, Size], y: Mapping[int, float]
) -> list[_Column]:
    """Measure the layers; the gap is larger where an edge goes far to the side."""
    layer_of = {vertex: index for index, layer in enumerate(graph.layers) for vertex in layer}
    least, most = _BETWEEN_LAYERS
    gaps = [least] * len(graph.layers)
    for a, b in graph.links:
        wanted = least + abs(y[a] - y[b]) / _STEEPNESS
        gaps[layer_of[b]] = min(most, max(gaps[layer_of[b]], wanted))
    known = [width for width, _ in sizes.values()]
    widths = [max(known[v] for v in layer if not graph.is_bend(v)) for layer in graph.layers]
    return list(map(_Column, widths, gaps))


def _measure_length(columns: Sequence[_Column]) -> float:
    """Return how long layers are together."""
    return sum(c.gap + c.before + c.width + c.after for c in columns) - columns[0].gap


@frozen
class _Framed:
    """The layers in a frame, and the room before and after them within it."""

    layers: range
    margin: float


def _find_framed_layers(
    graph: LayeredGraph, names: Sequence[str], frame: Frame, columns: Sequence[_Column]
) -> _Framed:
    if unknown := set(frame.members).difference(names):
        raise ValueError(f"frame around {frame.members}: there is no node {min(unknown)}")
    members = {names.index(name) for name in frame.members}
    held = [index for index, layer in enumerate(graph.layers) if members.intersection(layer)]
    if not held:
        raise ValueError("there is a frame around no node")
    layers = range(held[0], held[-1] + 1)
    inside = {v for i in layers for v in graph.layers[i] if not graph.is_bend(v)}
    if strangers := inside - members:
        raise ValueError(f"node {names[min(strangers)]} stands in the layers of another's frame")
    length = _measure_length(columns[held[0] : held[-1] + 1])
    lacking = frame.label_length + 2 * _FRAME_PADDING - length
    return _Framed(layers, max(_FRAME_PADDING, lacking / 2))


def _choose_rows(
    graph: LayeredGraph, frames: Sequence[_Framed], columns: Sequence[_Column], row_width: float
) -> list[range]:
    """Break the layers where one edge leads from node to node, and no frame is around it."""
    framed = {layer for frame in frames for layer in frame.layers[1:]}
    single = [len(layer) == 1 and not graph.is_bend(layer[0]) for layer in graph.layers]
    joints = [i for i, pair in enumerate(pairwise(single), start=1) if all(pair)]
    cuts = [0, *(i for i in joints if i not in framed), len(single)]
    lengths = [_measure_length(columns[start:stop]) for start, stop in pairwise(cuts) if stop]
    rows = break_into_rows(lengths, row_width, gap=_BETWEEN_LAYERS[0])
    return [range(cuts[row.start], cuts[row.stop]) for row in rows]


def _place_bands(
    rows: Sequence[range], columns: Sequence[_Column]
) -> tuple[list[Point], list[float]]:
    """Return left and right of each layer, and where each row ends."""
    bands, ends = list[Point](), list[float]()
    for row in rows:
        x = (_TURN if len(rows) > 1 else 0.0) - columns[row.start].gap
        for column in (columns[layer] for layer in row):
            x += column.gap + column.before
            bands.append((x, x + column.width))
            x += column.width + column.after
        ends.append(x)
    return bands, ends


@frozen
class _Drawing:
    """A graph of which all but the y is known.

    ``half`` is half the height of each vertex, which is nothing for a bend; ``bands`` are left and
    right of each layer.
    """

    graph: LayeredGraph
    sizes: Mapping[str, Size]
    half: Sequence[float]
    frames: Sequence[_Framed]
    bands: Sequence[Point]

    def stack(
        self, rows: Sequence[range], y: Mapping[int, float]
    ) -> tuple[dict[int, float], list[float]]:
        """Return the y of each vertex, rows below each other, and where each row ends."""
        placed, bottoms, top = dict[int, float](), list[float](), 0.0
        for row in rows:
            inside = [frame.layers for frame in self.frames if frame.layers[0] in row]
            extents = [self._extent(row, y), *(_surround(*self._extent(f, y)) for f in inside)]
            down = top - min(upper for upper, _ in extents)
            placed |= {v: y[v] + down for layer in row for v in self.graph.layers[layer]}
            bottoms.append(down + max(lower for _, lower in extents))
            top = bottoms[-1] + _BETWEEN_ROWS
        return placed, bottoms

    def boxes(self, y: Mapping[int, float]) -> dict[str, Box]:
        layers = zip(self.graph.layers, self.bands, strict=True)
        middle = {vertex: sum(band) / 2 for layer, band in layers for vertex in layer}
        return {
            name: Box(middle[v] - width / 2, y[v] - height / 2, width, height)
            for v, (name, (width, height)) in enumerate(self.sizes.items())
        }

    def curves(
        self,
        edges: Sequence[Edge],
        y: Mapping[int, float],
        boxes: Mapping[str, Box],
        turns: Mapping[int, Point],
    ) -> dict[Edge, tuple[Point, ...]]:
        """Draw the edges; ``turns`` has the corner of the row above by the first layer of a row."""
        layer_of = {v: index for index, layer in enumerate(self.graph.layers) for v in layer}
        curves = {}
        for edge, route in zip(edges, self.graph.routes, strict=True):
            source, target = (boxes[name] for name in edge)
            first = layer_of[route[0]]
            if first + 1 in turns:
                curves[edge] = _route_to_next_row(source, target, turns[first + 1])
            else:
                bands = self.bands[first : first + len(route)]
                curves[edge] = _route_edge([y[v] for v in route], bands, source.right, target.left)
        return curves

    def outline(self, frame: _Framed, y: Mapping[int, float]) -> Box:
        top, bottom = _surround(*self._extent(frame.layers, y))
        left = self.bands[frame.layers[0]][0] - frame.margin
        right = self.bands[frame.layers[-1]][1] + frame.margin
        return Box(left, top, right - left, bottom - top)

    def _extent(self, layers: range, y: Mapping[int, float]) -> Point:
        """Return top and bottom of what is in the layers, edges too."""
        inside = [v for layer in layers for v in self.graph.layers[layer]]
        return min(y[v] - self.half[v] for v in inside), max(y[v] + self.half[v] for v in inside)


def _surround(top: float, bottom: float) -> Point:
    """Return top and bottom of the frame around something."""
    return top - _FRAME_PADDING - FRAME_LABEL, bottom + _FRAME_PADDING


def _route_edge(
    y: Sequence[float], bands: Sequence[Point], start: float, end: float
) -> tuple[Point, ...]:
    """Return an edge: straight within its layers, and in an S from each to the next."""
    *lane, last = y
    lane.append(lane[-1] if abs(last - lane[-1]) < _STRAIGHT else last)
    path = [(start, lane[0])]
    gaps = [(left, right) for (_, left), (right, _) in pairwise(bands)]
    for (here, following), (left, right) in zip(pairwise(lane), gaps, strict=True):
        middle = (left + right) / 2
        path += _straight_piece(path[-1], (left, here))
        path += [(middle, here), (middle, following), (right, following)]
    return (*path, *_straight_piece(path[-1], (end, lane[-1])))


def _route_to_next_row(source: Box, target: Box, corner: Point) -> tuple[Point, ...]:
    """Return an edge that goes back between two rows, the upper of which has the corner."""
    (_, y0), (_, y1), y = source.centre, target.centre, corner[1] + _BETWEEN_ROWS / 2
    right = max(source.right + _TURN, corner[0] + _RADIUS)  # beside a frame
    left = _TURN / 3  # the arrow needs most of the room
    corners = [(right, y0), (right, y), (left, y), (left, y1)]
    return round_corners([(source.right, y0), *corners, (target.left, y1)], _RADIUS)
