"""The trainings of the network found: which seeds they have, and what they start from."""

from types import SimpleNamespace

import pytest

from corenas import Architecture, Result, structure
from corenas.values.seeds import derive_seed
from corenas_trilevel import _final_training
from corenas_trilevel.config import TrilevelConfig

OPTIONS = {
    "search": {
        "space": {
            "use": "trilevel-b",
            "cells": 2,
            "searched_cells": 1,
            "widths": [4, 8],
            "features": 8,
            "scale": 2,
        }
    },
    "finetune": {"steps": 1},
}


class FakeRun:
    """Gives seeds, and ends every stage at once with a file that is called like the stage."""

    device = "cpu"

    def __init__(self, folder):
        self.models = folder
        self.stages = []

    def seed_for(self, *names):
        return derive_seed(0, *names)

    def stage(self, name, task):
        self.stages.append(name)
        return Result({}, {"model": name})

    def stopping(self):
        return False

    def say(self, message):
        pass


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train as the options say; return the seed of the patches by stage."""

    def start(**changes):
        config = structure(TrilevelConfig, OPTIONS, changes)
        space = config.search.space.build()
        choices = {d.name: d.options[0] for d in space.decisions}
        seeds = []
        monkeypatch.setattr(_final_training, "load_pairs", lambda *_, **__: ())
        monkeypatch.setattr(
            _final_training.FinalTraining,
            "task",
            lambda self, module, training, *, seed, **options: seeds.append(seed),
        )
        monkeypatch.setattr(
            _final_training, "load_model", lambda path: SimpleNamespace(module=None)
        )
        run = FakeRun(tmp_path)
        found = Architecture(space.name, choices)
        _final_training.train(run, config, found, tmp_path / "inherited")
        return dict(zip(run.stages, seeds, strict=True))

    return start


def test_fine_tuning_draws_other_patches_than_the_training(train):
    seeds = train()
    assert list(seeds) == ["train", "finetune"]
    assert seeds["train"] != seeds["finetune"]


def test_trainings_from_both_starts_see_the_same_patches(train):
    seeds = train(start="both")
    assert list(seeds) == ["train", "finetune", "train-scratch", "finetune-scratch"]
    assert seeds["train"] == seeds["train-scratch"]
    assert seeds["finetune"] == seeds["finetune-scratch"]
