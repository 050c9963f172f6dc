"""Scalars of a stage over its steps, each in a small chart of its own.

A page cannot hold all points of a long run: what is left out is said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from attrs import frozen
from markupsafe import Markup

from corenas.report._charts import Line, chart
from corenas.report.record import Curve, StageRecord
from corenas.show.progress import DETAIL, format_number

MOST_DOTS = 1200
"""How many dots a chart has at most, beside those that are always kept."""

_BUCKETS = 200
_MOST_PANELS = 15
_MOST_LINES = 12
_ROWS = 9

T = TypeVar("T")


@frozen
class Panel:
    """A chart with its heading, its sentence, its table and its legend of class and meaning."""

    heading: str
    title: str
    chart: Markup
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[str, str]] = ()
    left_out: int = 0


@frozen
class Curves:
    """The charts of a stage's scalars, and the names of those that are not drawn."""

    panels: Sequence[Panel]
    left_out: Sequence[str]


def draw_curves(stage: StageRecord, *, x: str) -> Curves:
    """Draw the scalars of a stage; those of one name before a slash share a chart."""
    single = {name: c for name, c in stage.curves.items() if DETAIL not in name and len(c) > 1}
    names = list(single)
    panels = [_draw(stage.name, name, single[name], x) for name in names[:_MOST_PANELS]]
    return Curves([*panels, *_draw_groups(stage, x)], names[_MOST_PANELS:])


def _draw(stage: str, name: str, curve: Curve, x: str) -> Panel:
    values = [value for _, value in curve]
    thinned = thin_curve(curve)
    shown = name.replace("_", " ")
    title = (
        f"{shown} over {len(curve):,} {x}: from {format_number(values[0])} to "
        f"{format_number(values[-1])}."
    )
    if len(thinned) < len(curve):
        title += " Of each stretch the least and the greatest value are drawn."
    drawn = chart(
        _name(stage, name), title, x=x, y=shown, lines=[Line(thinned, "curve")], log=min(values) > 0
    )
    steps = sorted({round(i * (len(curve) - 1) / (_ROWS - 1)) for i in range(_ROWS)})
    rows = [(format_number(curve[i][0]), format_number(curve[i][1])) for i in steps]
    return Panel(shown, title, drawn, (x, name), rows)


def _draw_groups(stage: StageRecord, x: str) -> Iterator[Panel]:
    """Draw what is journaled for plots alone, such as a weight for each of many paths."""
    groups: dict[str, dict[str, Curve]] = {}
    for name, curve in stage.curves.items():
        prefix, slash, member = name.partition(DETAIL)
        if slash and len(curve) > 1:
            groups.setdefault(prefix, {})[member] = curve
    for prefix, members in groups.items():
        last = sorted(members, key=lambda member: -members[member][-1][1])
        shown = last[:_MOST_LINES]
        title = f"{prefix} over {x}: the {len(shown)} that end highest, of {len(members)}."
        lines = [Line(thin_curve(members[m]), "other", text=f"{prefix} {m}") for m in shown[1:]]
        lines.append(Line(thin_curve(members[shown[0]]), "best", text=f"{prefix} {shown[0]}"))
        rows = [(member, format_number(members[member][-1][1])) for member in shown]
        drawn = chart(_name(stage.name, prefix), title, x=x, y=prefix, lines=lines)
        legend = [("line-best", f"the highest at the end, {shown[0]}")]
        yield Panel(prefix, title, drawn, (prefix, "at the end"), rows, legend)


def _name(stage: str, name: str) -> str:
    return re.sub(r"\W+", "-", f"curve-{stage}-{name}")


def thin(values: Sequence[T], kept: Collection[int] = ()) -> list[T]:
    """Return a random choice of the values, in their order; those at ``kept`` are among them.

    Of more than `MOST_DOTS` that are to be kept, as many are, evenly spread.
    """
    if len(values) <= MOST_DOTS:
        return list(values)
    # At random: every tenth would always be the same member of a population of ten.
    chosen = {*random.Random(0).sample(range(len(values)), MOST_DOTS), *_spread(sorted(kept))}
    return [values[index] for index in sorted(chosen)]


def _spread(indices: Sequence[int]) -> Iterator[int]:
    """Yield all indices, or `MOST_DOTS` of them from the first to the last."""
    count = min(len(indices), MOST_DOTS)
    yield from (indices[round(i * (len(indices) - 1) / max(1, count - 1))] for i in range(count))


def thin_curve(curve: Curve) -> Curve:
    """Return the least and the greatest value of each stretch of a curve, in their order."""
    if len(curve) <= 2 * _BUCKETS:
        return curve
    size = len(curve) / _BUCKETS
    result: Curve = []
    for bucket in range(_BUCKETS):
        part = curve[int(bucket * size) : int((bucket + 1) * size)]
        ends = {min(part, key=_value), max(part, key=_value)}
        result += sorted(ends)
    return [*result, curve[-1]]


def _value(point: tuple[float, float]) -> float:
    return point[1]
