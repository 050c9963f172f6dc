"""Command lines in processes of their own, and a search that takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pytest
import torch
import torch.nn.functional as F
from attrs import frozen

from corenas.testing.installed import install_plugin
from corenas_sr.images import write_image

__all__ = ["install_plugin"]


@frozen
class Done:
    """How a command ended; ``status`` is negative for the signal that killed it."""

    status: int
    out: str
    err: str


class Command(Protocol):
    """What the fixture `command` is."""

    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] = {},
        file_limit: int = 0,
        save_always: bool = False,
    ) -> Done:
        """Run ``corenas`` in a process that leads a group of its own.

        Args:
            arguments: Those of the command line.
            env: Added to its environment.
            file_limit: Bytes that a file of it can have; 0 for any size.
            save_always: Write a checkpoint after every event, whatever it costs.
        """


@pytest.fixture(scope="session")
def warm_process() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("warm.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate()


@pytest.fixture
def command(warm_process: subprocess.Popen[str], tmp_path: Path) -> Command:
    out, err = tmp_path / "stdout.txt", tmp_path / "stderr.txt"

    def run(
        *arguments: str | Path,
        env: Mapping[str, str] = {},
        file_limit: int = 0,
        save_always: bool = False,
    ) -> Done:
        request = {
            "arguments": list(map(str, arguments)),
            "out": str(out),
            "err": str(err),
            "cwd": str(tmp_path),
            "path": [path for path in sys.path if path.startswith(str(tmp_path))],
            "env": {"XDG_CACHE_HOME": str(tmp_path / "cache"), **env},
            "file_limit": file_limit,
            "save_always": save_always,
        }
        assert warm_process.stdin is not None
        assert warm_process.stdout is not None
        warm_process.stdin.write(json.dumps(request) + "\n")
        warm_process.stdin.flush()
        status = int(warm_process.stdout.readline())
        return Done(status, out.read_text(), err.read_text())

    return run


def write_photographs(folder: Path, count: int, *, seed: int) -> None:
    """Write smooth random images of 72x64 pixels."""
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        coarse = 255 * torch.rand(1, 3, 8, 9, generator=generator)
        image = F.interpolate(coarse, size=(64, 72), mode="bicubic")[0]
        write_image(folder / f"{folder.name}{number}.png", image.clamp(0, 255).to(torch.uint8))


TinyRun = Callable[[Path, Mapping[str, object]], list[str]]
"""Gives the command line of a whole tpsr run into a folder, with changes to its options."""


@pytest.fixture
def tiny(tmp_path: Path) -> TinyRun:
    """A run that takes seconds; nothing in it means anything but that it works."""
    write_photographs(tmp_path / "train", 3, seed=0)
    write_photographs(tmp_path / "valid", 2, seed=1)
    training = {"batch": 2, "patch": 8, "report_every": 2}
    trainings = {"search.evaluator.training": 4, "x2": 10, "x4": 10}
    values: dict[str, object] = {
        "data.train": tmp_path / "train",
        "data.validation": tmp_path / "valid",
        "search.steps": 4,
        "search.executor": "serial",
        "search.evaluator.crops": 2,
        "fresh.count": 2,
        **{f"{which}.{key}": value for which in trainings for key, value in training.items()},
        **{f"{which}.steps": steps for which, steps in trainings.items()},
    }

    def arguments(out: Path, changes: Mapping[str, object]) -> list[str]:
        assignments = [f"--set={key}={value}" for key, value in (values | changes).items()]
        return ["run", "tpsr", f"--out={out}", *assignments]

    return arguments
