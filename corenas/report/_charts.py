"""Charts as SVG that needs neither a library nor a network: points, lines and limits on two axes.

Colours and fonts are those of the page, by class; what a point is called stands in ``data-t``, from
which the page's script makes what shows below the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from attrs import frozen
from markupsafe import Markup

from corenas.names import printable, printable_lines
from corenas.values.quantity import LARGEST

# Small enough that text stays legible on a phone, where a chart has the width of the screen.
_WIDTH, _HEIGHT = 480.0, 290.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 16.0, 30.0, 42.0
_TICKS = 5
_MARGIN = 0.05
_DECADES_FOR_LOG = 1.5
_TINY = 1e-300
_UNITS = ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " K"))
_LONGEST = 1e13  # as numbers with a suffix

Point = tuple[float, float]

DotKind = Literal["trial", "front", "best", "chosen", "refused"]
"""What a dot stands for; each has a shape and a colour of its own."""


@frozen
class Dot:
    """A point, and the text that shows where the pointer is on it."""

    x: float
    y: float
    text: str
    kind: DotKind = "trial"


@frozen
class Line:
    """Points in the order of x, joined directly or, with ``steps``, along the axes."""

    points: Sequence[Point]
    kind: Literal["best", "front", "curve", "other", "same"] = "curve"
    steps: bool = False
    text: str = ""


@frozen
class Limit:
    """A value that must not be exceeded on an axis."""

    axis: Literal["x", "y"]
    value: float
    text: str


@frozen
class _Scale:
    """Maps the values of an axis to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        share = (self._at(value) - self._at(self.low)) / (self._at(self.high) - self._at(self.low))
        return round(self.start + share * (self.end - self.start), 1)

    def _at(self, value: float) -> float:
        return math.log10(max(value, _TINY)) if self.log else value

    def ticks(self) -> Iterator[float]:
        """Yield round values between the ends."""
        if self.log:
            first, last = math.ceil(self._at(self.low)), math.floor(self._at(self.high))
            step = max(1, math.ceil((last - first + 1) / _TICKS))
            yield from (10.0**power for power in range(first, last + 1, step))
            return
        first, last = math.ceil(self.low / self._step), math.floor(self.high / self._step)
        yield from (number * self._step for number in range(first, last + 1))

    @property
    def _step(self) -> float:
        return _round_step((self.high - self.low) / _TICKS)

    def format(self, value: float) -> str:
        """Return a tick as text, with as many digits as tell it from the next one."""
        largest = max(abs(self.low), abs(self.high))
        size, suffix = next(((s, t) for at, s, t in _UNITS if largest >= at), (1.0, ""))
        if self.log or largest >= _LONGEST or largest < 1e-3:
            return f"{value:.3g}"
        digits = max(0, -math.floor(math.log10(self._step / size) + 1e-9))
        return f"{value / size:.{digits}f}{suffix}"


def _round_step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def _make_scale(values: Sequence[float], start: float, end: float, *, log: bool) -> _Scale:
    low, high = min(values, default=0.0), max(values, default=1.0)
    if log and low > 0 and math.log10(high / low) >= _DECADES_FOR_LOG:
        edge = (high / low) ** _MARGIN
        return _Scale(low / edge, high * edge, start, end, log=True)
    edge = (high - low) * _MARGIN or abs(high) * _MARGIN or 1.0
    return _Scale(low - edge, high + edge, start, end)


def is_drawable(value: float) -> bool:
    """Return whether a number is finite and small enough to compute with."""
    return abs(value) <= LARGEST


def chart(
    name: str,
    title: str,
    *,
    x: str,
    y: str,
    dots: Iterable[Dot] = (),
    lines: Iterable[Line] = (),
    limits: Iterable[Limit] = (),
    log: bool = False,
) -> Markup:
    """Return a chart as an SVG element that a screen reader announces by its title.

    Args:
        name: Its id on the page.
        title: What it shows, as a sentence.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.
        dots: Points; those that are not finite are left out.
        lines: Lines; the same holds for their points.
        limits: Limits; one outside of what the dots and lines span stretches the axis.
        log: Whether the vertical axis is logarithmic where the values span decades.
    """
    shown = [dot for dot in dots if is_drawable(dot.x) and is_drawable(dot.y)]
    drawn = [_keep_drawable(line) for line in lines]
    bounds = [limit for limit in limits if is_drawable(limit.value)]
    points = [*((dot.x, dot.y) for dot in shown), *(p for line in drawn for p in line.points)]
    xs = [at for at, _ in points] + [limit.value for limit in bounds if limit.axis == "x"]
    ys = [at for _, at in points] + [limit.value for limit in bounds if limit.axis == "y"]
    across = _make_scale(xs, _LEFT, _WIDTH - _RIGHT, log=False)
    up = _make_scale(ys, _HEIGHT - _BOTTOM, _TOP, log=log)
    parts = [
        *_draw_axes(across, up, x, y),
        *(_draw_limit(limit, across, up) for limit in bounds),
        *(_draw_line(line, across, up) for line in drawn if line.points),
        # What matters most is drawn last, above all others.
        *(_draw_dot(dot, across, up) for dot in sorted(shown, key=_height_of)),
    ]
    return Markup(
        '<svg class="chart" id="{0}" role="img" aria-labelledby="{0}-t" tabindex="0" '
        'viewBox="0 0 {1:g} {2:g}"><title id="{0}-t">{3}</title>{4}</svg>'
    ).format(name, _WIDTH, _HEIGHT, printable(title), Markup("").join(parts))


def _keep_drawable(line: Line) -> Line:
    points = [point for point in line.points if all(map(is_drawable, point))]
    return Line(points, line.kind, line.steps, line.text)


def _height_of(dot: Dot) -> int:
    return ("refused", "trial", "front", "best", "chosen").index(dot.kind)


def _draw_axes(across: _Scale, up: _Scale, x: str, y: str) -> Iterator[Markup]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for value in up.ticks():
        at = up(value)
        yield Markup('<path class="grid" d="M{:g} {:g}H{:g}"/>').format(_LEFT, at, right)
        yield _write("tick", _LEFT - 7, at + 4, up.format(value), "end")
    for value in across.ticks():
        yield Markup('<path class="axis" d="M{:g} {:g}v4"/>').format(across(value), bottom)
        yield _write("tick", across(value), bottom + 17, across.format(value), "middle")
    yield Markup('<path class="axis" d="M{:g} {:g}H{:g}"/>').format(_LEFT, bottom, right)
    yield _write("label", right, _HEIGHT - 6, x, "end")
    yield _write("label", 10, 19, y, "start")


def _draw_limit(limit: Limit, across: _Scale, up: _Scale) -> Markup:
    if limit.axis == "x":
        at = across(limit.value)
        path, place = f"M{at:g} {_TOP:g}V{_HEIGHT - _BOTTOM:g}", (at - 5, _HEIGHT - _BOTTOM - 7)
    else:
        at = up(limit.value)
        path, place = f"M{_LEFT:g} {at:g}H{_WIDTH - _RIGHT:g}", (_WIDTH - _RIGHT, at - 5)
    return Markup('<path class="limit" d="{}"/>').format(path) + _write(
        "label limit-text", *place, limit.text, "end"
    )


def _draw_line(line: Line, across: _Scale, up: _Scale) -> Markup:
    (x, y), *rest = line.points
    path = f"M{across(x):g} {up(y):g}"
    for x, y in rest:
        path += f"H{across(x):g}V{up(y):g}" if line.steps else f"L{across(x):g} {up(y):g}"
    named = Markup(' data-t="{}"').format(printable_lines(line.text)) if line.text else ""
    return Markup('<path class="line {}"{} d="{}"/>').format(line.kind, named, path)


def _draw_dot(dot: Dot, across: _Scale, up: _Scale) -> Markup:
    radius = {"chosen": 6.5, "best": 4.5}.get(dot.kind, 3)
    return Markup('<circle class="{}" cx="{:g}" cy="{:g}" r="{:g}" data-t="{}"/>').format(
        dot.kind, across(dot.x), up(dot.y), radius, printable_lines(dot.text)
    )


def _write(kind: str, x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{:.4g}" y="{:.4g}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, printable(text)
    )
