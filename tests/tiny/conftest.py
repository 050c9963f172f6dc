"""Command lines of whole runs that take seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from corenas.testing.installed import install_plugin

__all__ = ["install_plugin"]


TinyRun = Callable[..., list[str]]


@pytest.fixture(scope="session")
def tiny(photographs: Path) -> TinyRun:
    """A run that takes seconds; nothing in it means anything but that it works."""
    training = {"batch": 2, "patch": 8, "report_every": 2}
    values: dict[str, object] = {
        "data.train": photographs / "train",
        "data.validation": photographs / "valid",
        "search.steps": 4,
        "search.strategy.population": 2,
        "search.executor": "serial",
        "search.space.widths": "[16, 12]",
        "search.evaluator.crops": 2,
        "search.evaluator.crop_size": 16,
        "search.evaluator.training.steps": 4,
        "finalists.count": 2,
        "training.steps": 20,
        "training.validate_every": 10,
        "training.phases": '[{share = 0.5, loss = "l2", patch = 10}]',
        "baselines": '["tiny/ecbsr-32x4", "tpsr/paper"]',
        **{f"search.evaluator.training.{key}": value for key, value in training.items()},
        **{f"training.{key}": value for key, value in training.items()},
    }

    def arguments(out: Path, *more: str, **changes: object) -> list[str]:
        merged = values | {name.replace("__", "."): value for name, value in changes.items()}
        assignments = [f"--set={key}={value}" for key, value in merged.items()]
        return ["run", "tiny", f"--out={out}", *assignments, *more]

    return arguments
