"""Where boxes and edges of a diagram stand, in points from the top left."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import frozen

Point = tuple[float, float]

Size = tuple[float, float]
"""Width and height."""

Edge = tuple[str, str]
"""Source and target."""

FRAME_PADDING = 12.0
"""Between a frame and what it holds; along the side with its label there is more."""

FRAME_LABEL = 16.0
"""Room for one line of a frame's label."""

_CIRCLE = 0.5523  # where a circle's quarter has its control points, from its ends to the corner


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

    def moved(self, x: float, y: float) -> Box:
        return Box(self.left + x, self.top + y, self.width, self.height)


@frozen
class Curve:
    """An edge as cubic Bézier segments: its start, then three points for each of them."""

    source: str
    target: str
    points: tuple[Point, ...]

    def moved(self, x: float, y: float) -> Curve:
        return Curve(self.source, self.target, tuple((a + x, b + y) for a, b in self.points))


@frozen
class Group:
    """Boxes that share a frame, whose label is ``label_length`` long."""

    members: tuple[str, ...]
    label_length: float = 0.0


@frozen
class Layout:
    """Boxes by name, edges, one frame per group, and the size of the whole."""

    boxes: Mapping[str, Box]
    curves: tuple[Curve, ...]
    frames: tuple[Box, ...]
    width: float
    height: float

    def moved(self, x: float, y: float) -> Layout:
        """Return the same layout elsewhere; its size stays."""
        return Layout(
            {name: box.moved(x, y) for name, box in self.boxes.items()},
            tuple(curve.moved(x, y) for curve in self.curves),
            tuple(frame.moved(x, y) for frame in self.frames),
            self.width,
            self.height,
        )


class Pen:
    """Draws a curve piece by piece."""

    def __init__(self, start: Point) -> None:
        self.points = [start]

    def line(self, x: float, y: float) -> None:
        """Go straight to a point; where the pen is already, nothing happens."""
        x0, y0 = self.points[-1]
        if abs(x - x0) + abs(y - y0) > 1e-9:
            dx, dy = (x - x0) / 3, (y - y0) / 3
            self.points += [(x0 + dx, y0 + dy), (x - dx, y - dy), (x, y)]

    def sway(self, x: float, y: float) -> None:
        """Go down to a point, leaving and arriving vertically."""
        x0, y0 = self.points[-1]
        middle = (y0 + y) / 2
        self.points += [(x0, middle), (x, middle), (x, y)]

    def turn(self, corner: Point, x: float, y: float) -> None:
        """Go round a corner to a point, by a quarter of a circle where that fits."""
        start, end = self.points[-1], (x, y)
        self.points += [_between(start, corner, _CIRCLE), _between(end, corner, _CIRCLE), end]


def rounded(points: Sequence[Point], radius: float) -> tuple[Point, ...]:
    """Return a line through the points with corners rounded, as `Curve` holds it."""
    pen = Pen(points[0])
    for (before, corner), (_, after) in pairwise(pairwise(points)):
        pen.line(*_towards(corner, before, radius))
        pen.turn(corner, *_towards(corner, after, radius))
    pen.line(*points[-1])
    return tuple(pen.points)


def _towards(start: Point, end: Point, distance: float) -> Point:
    """Return the point at a distance from the start, but at most half way to the end."""
    return _between(start, end, min(0.5, distance / max(1e-9, math.dist(start, end))))


def _between(start: Point, end: Point, share: float) -> Point:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def outline(box: Box, radius: float) -> tuple[Point, ...]:
    """Return a box's outline with round corners, as `Curve` holds it."""
    left, right, top, bottom = box.left, box.right, box.top, box.bottom
    pen = Pen((left + radius, top))
    pen.line(right - radius, top)
    pen.turn((right, top), right, top + radius)
    pen.line(right, bottom - radius)
    pen.turn((right, bottom), right - radius, bottom)
    pen.line(left + radius, bottom)
    pen.turn((left, bottom), left, bottom - radius)
    pen.line(left, top + radius)
    pen.turn((left, top), left + radius, top)
    return tuple(pen.points)
