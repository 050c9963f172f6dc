"""The layout of a graph in layers from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import frozen

from corenas.drawing.diagram_layout import (
    FRAME_LABEL,
    FRAME_PADDING,
    Box,
    Curve,
    Edge,
    Group,
    Layout,
    Pen,
    Size,
)
from corenas.drawing.layer_order import LayeredGraph, layered_graph
from corenas.drawing.layer_positions import positions

_BESIDE = 20.0  # between boxes
_BESIDE_BEND = 14.0  # between an edge and what it passes
_BETWEEN_LAYERS = (26.0, 60.0)  # at least and at most
_STEEPNESS = 6.0  # points to the side for each point that layers stand further apart
_BETWEEN_ARRIVALS = 12.0
_STRAIGHT = 3.0  # an edge that would arrive so little to the side arrives straight
_ARRIVALS_MARGIN = 6.0  # between the first edge that arrives and the corner of the box


def layered(
    sizes: Mapping[str, Size], edges: Sequence[Edge], *, groups: Sequence[Group] = ()
) -> Layout:
    """Lay out a graph without cycles: every edge leads down, and passes beside boxes.

    Edges bend in the gaps between layers and run straight down within them. So they meet no box,
    and two of them cross only where the order in the layers says so. A group's frame has its label
    along its left side.

    Args:
        sizes: Width and height of each node's box.
        edges: From source to target.
        groups: Nodes that fill whole layers, one beneath the other.

    Raises:
        ValueError: An edge stands twice or leads to an unknown node, there is a cycle, or a group
            shares a layer with others.
    """
    graph = layered_graph(tuple(sizes), edges)
    known = tuple(sizes.values())

    def distance(a: int, b: int) -> float:
        gap = _BESIDE_BEND if graph.is_bend(a) or graph.is_bend(b) else _BESIDE
        return gap + sum(known[v][0] / 2 for v in (a, b) if not graph.is_bend(v))

    x = positions(graph, distance)
    heights = [max(known[v][1] for v in layer if not graph.is_bend(v)) for layer in graph.layers]
    gaps = _gaps(graph, x)
    spans = [_span(graph, tuple(sizes), group, heights, gaps) for group in groups]
    drawing = _Drawing(graph, sizes, x, _bands(heights, gaps, spans))
    boxes = drawing.boxes()
    curves = drawing.curves(edges, boxes)
    return _at_origin(boxes, curves, [drawing.frame(span) for span in spans])


@frozen
class _Span:
    """The layers of a group, and the room between them and the frame above and below."""

    first: int
    last: int
    margin: float


@frozen
class _Drawing:
    """A graph with the x of every vertex, and the top and bottom of every layer."""

    graph: LayeredGraph
    sizes: Mapping[str, Size]
    x: Mapping[int, float]
    bands: Sequence[tuple[float, float]]

    def boxes(self) -> dict[str, Box]:
        middle = {
            vertex: (top + bottom) / 2
            for layer, (top, bottom) in zip(self.graph.layers, self.bands, strict=True)
            for vertex in layer
        }
        return {
            name: Box(self.x[v] - width / 2, middle[v] - height / 2, width, height)
            for v, (name, (width, height)) in enumerate(self.sizes.items())
        }

    def curves(self, edges: Sequence[Edge], boxes: Mapping[str, Box]) -> list[Curve]:
        arrivals = self._arrivals(edges, boxes)
        layer_of = {v: index for index, layer in enumerate(self.graph.layers) for v in layer}
        curves = []
        for (source, target), route in zip(edges, self.graph.routes, strict=True):
            start, end = boxes[source], boxes[target]
            path = [*(self.x[vertex] for vertex in route[:-1]), arrivals[source, target]]
            pen = Pen((start.centre[0], start.bottom))
            for layer, (x, following) in enumerate(pairwise(path), start=layer_of[route[0]]):
                pen.line(x, self.bands[layer][1])
                pen.sway(following, self.bands[layer + 1][0])
            pen.line(path[-1], end.top)
            curves.append(Curve(source, target, tuple(pen.points)))
        return curves

    def _arrivals(self, edges: Sequence[Edge], boxes: Mapping[str, Box]) -> dict[Edge, float]:
        """Return the x at which each edge arrives: side by side, in the order of their origins."""
        origins: dict[str, list[tuple[float, Edge]]] = {}
        for edge, route in zip(edges, self.graph.routes, strict=True):
            origins.setdefault(edge[1], []).append((self.x[route[-2]], edge))
        arrivals = {}
        for target, found in origins.items():
            box, last = boxes[target], len(found) - 1
            room = (box.width - 2 * _ARRIVALS_MARGIN) / max(1, last)
            gap = max(0.0, min(_BETWEEN_ARRIVALS, room))
            near = min(_STRAIGHT, gap / 2) if last else _STRAIGHT
            for number, (origin, edge) in enumerate(sorted(found)):
                x = box.centre[0] + (number - last / 2) * gap
                arrivals[edge] = origin if abs(origin - x) < near else x
        return arrivals

    def frame(self, span: _Span) -> Box:
        """Return the frame around all that is in the layers, edges too."""
        inside = [v for layer in self.graph.layers[span.first : span.last + 1] for v in layer]
        half = [width / 2 for width, _ in self.sizes.values()]
        reach = [(self.x[v], 0.0 if self.graph.is_bend(v) else half[v]) for v in inside]
        left = min(x - width for x, width in reach) - FRAME_PADDING - FRAME_LABEL
        right = max(x + width for x, width in reach) + FRAME_PADDING
        top = self.bands[span.first][0] - span.margin
        return Box(left, top, right - left, self.bands[span.last][1] + span.margin - top)


def _gaps(graph: LayeredGraph, x: Mapping[int, float]) -> list[float]:
    """Return the height above each layer but the first: more where an edge goes far to the side."""
    layer_of = {vertex: index for index, layer in enumerate(graph.layers) for vertex in layer}
    least, most = _BETWEEN_LAYERS
    gaps = [least if index else 0.0 for index in range(len(graph.layers))]
    for upper, lower in graph.links:
        wanted = least + abs(x[upper] - x[lower]) / _STEEPNESS
        gaps[layer_of[lower]] = min(most, max(gaps[layer_of[lower]], wanted))
    return gaps


def _span(
    graph: LayeredGraph,
    names: Sequence[str],
    group: Group,
    heights: Sequence[float],
    gaps: Sequence[float],
) -> _Span:
    members = {names.index(name) for name in group.members}
    held = [index for index, layer in enumerate(graph.layers) if members & set(layer)]
    first, last = held[0], held[-1]
    inside = {v for layer in graph.layers[first : last + 1] for v in layer if not graph.is_bend(v)}
    if strangers := inside - members:
        raise ValueError(f"node {names[min(strangers)]} stands in the layers of another's group")
    height = sum(heights[first : last + 1]) + sum(gaps[first + 1 : last + 1])
    lacking = group.label_length + 2 * FRAME_PADDING - height
    return _Span(first, last, max(FRAME_PADDING, lacking / 2))


def _bands(
    heights: Sequence[float], gaps: Sequence[float], spans: Sequence[_Span]
) -> list[tuple[float, float]]:
    """Return top and bottom of each layer."""
    margins = [0.0] * (len(heights) + 1)
    for span in spans:
        margins[span.first] += span.margin
        margins[span.last + 1] += span.margin
    bands, y = [], 0.0
    for margin, gap, height in zip(margins, gaps, heights, strict=False):
        y += margin + gap
        bands.append((y, y + height))
        y += height
    return bands


def _at_origin(boxes: Mapping[str, Box], curves: Sequence[Curve], frames: Sequence[Box]) -> Layout:
    """Shift all to the right of 0, and measure it."""
    drawn = [*boxes.values(), *frames]
    points = [point for curve in curves for point in curve.points]
    left = min([box.left for box in drawn] + [x for x, _ in points], default=0.0)
    right = max([box.right for box in drawn] + [x for x, _ in points], default=0.0)
    bottom = max((box.bottom for box in drawn), default=0.0)
    return Layout(boxes, tuple(curves), tuple(frames), right - left, bottom).moved(-left, 0.0)
