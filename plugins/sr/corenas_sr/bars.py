"""Progress bars: on stderr, and only where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
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


def bar(items: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Iterate over items while a bar shows how far it is."""
    console = Console(stderr=True)
    yield from track(items, what, total, console=console, disable=not console.is_terminal)


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
