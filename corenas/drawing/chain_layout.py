"""The layout of a chain from left to right, in as many rows as it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from attrs import frozen

from corenas.drawing.diagram_layout import (
    FRAME_LABEL,
    FRAME_PADDING,
    Box,
    Curve,
    Edge,
    Group,
    Layout,
    Size,
    rounded,
)

_GAP = 18.0  # between boxes, as long as an arrow should be
_ARC = 16.0  # from the highest box to the edges over it
_BETWEEN_ROWS = 30.0
_RADIUS = 8.0


def chain(
    sizes: Mapping[str, Size],
    *,
    groups: Sequence[Group] = (),
    arcs: Sequence[Edge] = (),
    row_width: float = 860.0,
) -> Layout:
    """Lay out nodes one after the other, each joined to the next.

    Rows are about equally long. A group's frame has its label above its boxes.

    Args:
        sizes: Width and height of each node's box, in the order of the chain.
        groups: Runs of nodes, which share a frame and stay in one row.
        arcs: Further edges, over the boxes between; each within a group.
        row_width: The chain is broken into the fewest rows of at most this width, unless a group
            alone is wider.

    Raises:
        ValueError: A group is no run of nodes, or an arc not within a group.
    """
    segments = _segments(tuple(sizes), groups)
    homes = {name: segment for segment in segments for name in segment.members}
    for source, target in arcs:
        if homes[source] is not homes[target]:
            raise ValueError(f"arc {source} to {target} leaves its group")
    widths = [segment.width(sizes) for segment in segments]
    rows = broken(widths, row_width, gap=_GAP)
    over = _ARC if arcs else 0.0
    return _Drawing(sizes, segments, rows, over).layout(groups, arcs)


@frozen
class _Segment:
    """What stays in one row: a group's nodes, or one node."""

    members: tuple[str, ...]
    group: Group | None = None

    def width(self, sizes: Mapping[str, Size]) -> float:
        boxes = sum(sizes[name][0] for name in self.members) + _GAP * (len(self.members) - 1)
        if self.group is None:
            return boxes
        return max(boxes, self.group.label_length) + 2 * FRAME_PADDING


def _segments(names: Sequence[str], groups: Sequence[Group]) -> list[_Segment]:
    first = {group.members[0]: group for group in groups}
    segments, index = list[_Segment](), 0
    while index < len(names):
        group = first.pop(names[index], None)
        segment = _Segment(group.members if group else (names[index],), group)
        if tuple(names[index : index + len(segment.members)]) != segment.members:
            raise ValueError(f"group {segment.members} is no run of nodes")
        segments.append(segment)
        index += len(segment.members)
    if first:
        raise ValueError(f"group {next(iter(first.values())).members} is no run of nodes")
    return segments


def broken(widths: Sequence[float], row_width: float, *, gap: float) -> list[range]:
    """Break a row of things into the fewest rows, the longest of which is as short as can be.

    Args:
        widths: Those of the things.
        row_width: The most that a row of several may have.
        gap: Between two things in a row.

    Returns:
        The indices in each row.
    """
    rows = _filled(widths, row_width, gap)
    ends = list(accumulate(widths, lambda end, width: end + gap + width))
    starts = [end - width for end, width in zip(ends, widths, strict=True)]
    lengths = {end - start for i, start in enumerate(starts) for end in ends[i:]}
    for length in sorted(length for length in lengths if length <= row_width):
        narrower = _filled(widths, length, gap)
        if len(narrower) == len(rows):
            return narrower
    return rows


def _filled(widths: Sequence[float], row_width: float, gap: float) -> list[range]:
    rows, start, used = list[range](), 0, 0.0
    for index, width in enumerate(widths):
        if index > start and used + gap + width > row_width + 1e-9:
            rows.append(range(start, index))
            start, used = index, 0.0
        used += width + (gap if index > start else 0.0)
    return [*rows, range(start, len(widths))] if widths else []


@frozen
class _Drawing:
    """Segments in rows; ``over`` is the room above boxes for arcs."""

    sizes: Mapping[str, Size]
    segments: Sequence[_Segment]
    rows: Sequence[range]
    over: float

    def layout(self, groups: Sequence[Group], arcs: Sequence[Edge]) -> Layout:
        boxes: dict[str, Box] = {}
        frames: dict[tuple[str, ...], Box] = {}
        turns: dict[str, float] = {}
        y = 0.0
        for row in self.rows:
            segments = [self.segments[index] for index in row]
            y = self._place(segments, y, boxes, frames) + _BETWEEN_ROWS
            turns[segments[-1].members[-1]] = y - _BETWEEN_ROWS / 2
        curves = [_joint(boxes, edge, turns) for edge in pairwise(self.sizes)]
        curves += [self._arc(boxes, arc) for arc in arcs]
        held = [*boxes.values(), *frames.values()]
        points = [x for curve in curves for x, _ in curve.points]
        width = max([box.right for box in held] + points, default=0.0)
        ordered = tuple(frames[group.members] for group in groups)
        return Layout(boxes, tuple(curves), ordered, width, max(0.0, y - _BETWEEN_ROWS))

    def _place(
        self,
        segments: Sequence[_Segment],
        top: float,
        boxes: dict[str, Box],
        frames: dict[tuple[str, ...], Box],
    ) -> float:
        """Place a row below ``top`` and return where it ends."""
        framed = any(segment.group for segment in segments)
        above = FRAME_LABEL + FRAME_PADDING / 2 if framed else 0.0
        tallest = max(self.sizes[name][1] for segment in segments for name in segment.members)
        middle = top + above + self.over + tallest / 2
        bottom = middle + tallest / 2 + (FRAME_PADDING if framed else 0.0)
        # Later rows are entered from the left, so all leave room for that.
        x = _GAP if len(self.rows) > 1 else 0.0
        for segment in segments:
            start = x
            x += FRAME_PADDING if segment.group else 0.0
            for name in segment.members:
                width, height = self.sizes[name]
                boxes[name] = Box(x, middle - height / 2, width, height)
                x += width + _GAP
            if segment.group:
                width = segment.width(self.sizes)
                frames[segment.members] = Box(start, top, width, bottom - top)
                x = start + width + _GAP
        return bottom

    def _arc(self, boxes: Mapping[str, Box], arc: Edge) -> Curve:
        """Return an edge that rises over all boxes of its group."""
        members = next(s.members for s in self.segments if arc[0] in s.members)
        height = min(boxes[name].top for name in members) - _ARC * 0.75
        source, target = (boxes[name] for name in arc)
        start, end = source.centre[0], target.centre[0]
        corners = ((start, source.top), (start, height), (end, height), (end, target.top))
        return Curve(*arc, rounded(corners, _RADIUS))


def _joint(boxes: Mapping[str, Box], edge: Edge, turns: Mapping[str, float]) -> Curve:
    """Return the edge from a node to the next; at a row's end it goes back between the rows."""
    source, target = (boxes[name] for name in edge)
    start, end = (source.right, source.centre[1]), (target.left, target.centre[1])
    corners = [start, end]
    if edge[0] in turns:
        right, left, y = source.right + _GAP, _GAP / 2, turns[edge[0]]
        corners[1:1] = [(right, start[1]), (right, y), (left, y), (left, end[1])]
    return Curve(*edge, rounded(corners, _RADIUS))
