"""Progress of what takes a while, on stderr: a bar, or lines where a bar has no place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)

T = TypeVar("T")

LINE_SECONDS = 30.0
"""How often a line tells the progress where there is no bar."""


def bar(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Iterate over items while a bar shows how far it is.

    Into a log, and above the live screen of a run, a line goes every half minute instead.
    """
    console = Console(stderr=True)
    # Rich puts the proxy there while a live screen is shown, which a bar would tear.
    if console.is_terminal and not isinstance(sys.stderr, FileProxy):
        yield from track(items, what, total, console=console)
    else:
        yield from _print_lines(items, total, what)


def _print_lines(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    last_line = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last_line >= LINE_SECONDS:
            last_line = time.monotonic()
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)
        yield item


def download_bar() -> Progress:
    """Return a bar for bytes, to be entered, with speed and the time that is left."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
