"""Command lines in processes of their own, and a whole run that takes seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from corenas.testing.installed import install_plugin

__all__ = ["install_plugin"]


CommandIn = Callable[[Path], Callable[..., Any]]
TinyRun = Callable[[Path, Mapping[str, object]], list[str]]
"""Gives the command line of a whole tpsr run into a folder, with changes to its options."""


@pytest.fixture(scope="session")
def tiny(photographs: Path) -> TinyRun:
    """A run that takes seconds; nothing in it means anything but that it works."""
    training = {"batch": 2, "patch": 8, "report_every": 2}
    trainings = {"search.evaluator.training": 4, "x2": 10, "x4": 10}
    values: dict[str, object] = {
        "stages": "generator",
        "data.train": photographs / "train",
        "data.validation": photographs / "valid",
        "search.steps": 4,
        "search.executor": "serial",
        "search.evaluator.crops": 2,
        "fresh.count": 1,
        **{f"{which}.{key}": value for which in trainings for key, value in training.items()},
        **{f"{which}.steps": steps for which, steps in trainings.items()},
    }

    def arguments(out: Path, changes: Mapping[str, object]) -> list[str]:
        assignments = [f"--set={key}={value}" for key, value in (values | changes).items()]
        return ["run", "tpsr", f"--out={out}", *assignments]

    return arguments


@pytest.fixture(scope="session")
def finished(
    command_in: CommandIn, tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a tiny run that nothing disturbed; to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    done = command_in(folder)(*tiny(folder / "run", {}))
    assert done.status == 0, done.err
    return folder / "run"


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file at scale 4 with random weights."""
    import torch

    from corenas import choose
    from corenas_sr.models.files import save_model

    space = choose("search_spaces", "tpsr-generator")
    space = evolve(space, config=evolve(space.config, scale=4, nodes=2))
    built = space.build()
    architecture = built.parse([["conv3", 0], ["se", 1]])
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("generator") / "x4.safetensors"
    save_model(file, built.build(architecture), space=space, architecture=architecture, scale=4)
    return file


@pytest.fixture(scope="session")
def second(photographs: Path, generator: Path) -> TinyRun:
    """Gives the command line of a stage two that takes seconds."""
    training = {"steps": 4, "batch": 2, "patch": 8, "report_every": 2}
    values: dict[str, object] = {
        "stages": "discriminator",
        "generator": generator,
        "data.train": photographs / "train",
        "data.validation": photographs / "valid",
        # They take no time; what they know does not matter here.
        "perceptual.missing": "random-features",
        "discriminator.steps": 2,
        "discriminator.executor": "serial",
        "discriminator.space.channels": 8,
        "discriminator.evaluator.evaluate_every": 1,
        "discriminator.evaluator.crops": 2,
        "compare.count": 1,
        "compare.baselines": '["esrgan", "random"]',
        "compare.training.validate_every": 2,
        **{f"discriminator.evaluator.training.{key}": value for key, value in training.items()},
        **{f"compare.training.{key}": value for key, value in training.items()},
    }

    def arguments(out: Path, changes: Mapping[str, object]) -> list[str]:
        assignments = [f"--set={key}={value}" for key, value in (values | changes).items()]
        return ["run", "tpsr", f"--out={out}", *assignments]

    return arguments


@pytest.fixture(scope="session")
def improved(
    command_in: CommandIn,
    second: TinyRun,
    photographs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of a stage two that nothing disturbed, with two benchmarks; to be read only."""
    folder = tmp_path_factory.mktemp("improved")
    one, two = folder / "one", folder / "two"
    one.mkdir()
    shutil.copy(next((photographs / "valid").iterdir()), one)
    shutil.copytree(photographs / "train", two)
    arguments = second(folder / "run", {"data.benchmarks": json.dumps([str(one), str(two)])})
    done = command_in(folder)(*arguments, env={"TORCH_HOME": str(folder / "none")})
    assert done.status == 0, done.err
    (folder / "run" / "said.txt").write_text(done.out)
    return folder / "run"
