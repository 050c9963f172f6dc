"""Work on many images at once, in worker processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import torch

from corenas.devices import default_workers
from corenas.errors import CorenasError
from corenas.show.progress_bar import bar

T = TypeVar("T")
R = TypeVar("R")

_WORTH_A_PROCESS = 16
"""Images; starting a process takes as long as so many small ones."""


def work_on_each(
    work: Callable[[T], R], items: Sequence[T], *, what: str, workers: int | None = None
) -> Iterator[R]:
    """Yield the result for each item, in their order, while a bar shows how far it is.

    Args:
        work: A function of a module; what it raises passes through.
        items: What it is called with.
        what: Stands before the bar.
        workers: How many processes; by default one per core. Few items are done in this process.

    Raises:
        CorenasError: A process was killed.
    """
    count = min(workers or default_workers(("cpu",)), len(items) // _WORTH_A_PROCESS)
    if count < 2:
        yield from bar(map(work, items), total=len(items), what=what)
        return
    # Forking is not safe here, because torch has threads already.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, _begin) as pool:
        try:
            yield from bar(pool.map(work, items), total=len(items), what=what)
        except BrokenProcessPool as error:
            raise CorenasError(f"{what}: a worker process was killed; is memory short?") from error


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and the other cores to its siblings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
