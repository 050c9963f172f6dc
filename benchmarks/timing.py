"""What the benchmarks share: fair timing, and a table of ratios with their bars."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import TypeVar

from attrs import frozen
from rich.console import Console
from rich.table import Table

K = TypeVar("K", bound=Hashable)


def interleaved_medians(
    functions: Mapping[K, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 2,
    clock: Callable[[], float] = time.process_time,
) -> dict[K, float]:
    """Return each function's median time in seconds.

    The functions take turns, so that a busy neighbour or a change of clock hits all of them alike.
    The default clock is the CPU time of all of this process's threads, which leaves out what others
    use. Both make ratios repeatable where wall times are not.
    """
    for _ in range(warmup):
        for function in functions.values():
            function()
    times: dict[K, list[float]] = {key: [] for key in functions}
    for _ in range(rounds):
        for key, function in functions.items():
            start = clock()
            function()
            times[key].append(clock() - start)
    return {key: median(values) for key, values in times.items()}


@frozen
class Row:
    """A measured ratio, the most or the least it may be, and what it is made of."""

    what: str
    ratio: float
    bar: float
    detail: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the ratio is within the bar."""
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar


def print_rows(title: str, rows: list[Row]) -> int:
    """Print the table; return the process's exit status, 1 where a bar does not hold."""
    table = Table(title=title)
    for column in ("what", "ratio", "bar", "", "detail"):
        table.add_column(column)
    for row in rows:
        mark, sign = "holds" if row.holds else "missed", ">=" if row.at_least else "<="
        table.add_row(row.what, f"{row.ratio:.3f}", f"{sign} {row.bar:.2f}", mark, row.detail)
    Console(width=140).print(table)
    return 0 if all(row.holds for row in rows) else 1
