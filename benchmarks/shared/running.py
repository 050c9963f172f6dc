"""What the benchmarks that start whole runs share: images to train on, and runs side by side."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

ALL = slice(None)

SIDE_BY_SIDE = 2
"""Runs at once, each with one thread: one for each core."""


def link_large_enough(
    sources: Iterable[Path], folder: Path, *, least: int, some: slice = ALL
) -> Path:
    """Link the images that have sides of ``least`` pixels or more into a folder; return that.

    Of each source, only ``some`` are looked at, in the order of their names.
    """
    folder.mkdir(exist_ok=True)
    for source in sources:
        for file in sorted(source.iterdir())[some]:
            link = folder / file.name
            with Image.open(file) as image:
                if min(image.size) >= least and not link.exists():
                    link.symlink_to(file)
    return folder


class Failed(SystemExit):
    """Some runs failed; the others came to their ends."""

    def __init__(self, names: Sequence[str], logs: Path) -> None:
        super().__init__(f"failed: {', '.join(names)}; see the logs in {logs}")
        self.names = names


def is_finished(folder: Path) -> bool:
    """Tell whether a run came to its end; one that was stopped leaves a summary, too."""
    summary = folder / "summary.json"
    return summary.exists() and bool(json.loads(summary.read_text())["finished"])


def run_side_by_side(commands: Mapping[str, Sequence[str]], logs: Path) -> None:
    """Run commands, `SIDE_BY_SIDE` at once; what each prints goes to a log by its name.

    Raises:
        Failed: Some did; that ends a script which does not catch it.
    """
    waiting, failed = list(commands.items()), list[str]()
    running: dict[str, subprocess.Popen[bytes]] = {}
    # One thread each: two would wait for each other.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    while running or waiting:
        while waiting and len(running) < SIDE_BY_SIDE:
            name, command = waiting.pop(0)
            print("command:", " ".join(command), flush=True)
            with (logs / f"{name}.log").open("a") as log:
                running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=env)
        time.sleep(0.5)
        ended = {name: process.poll() for name, process in running.items()}
        failed += [name for name, status in ended.items() if status]
        running = {name: running[name] for name, status in ended.items() if status is None}
    if failed:
        raise Failed(failed, logs)
