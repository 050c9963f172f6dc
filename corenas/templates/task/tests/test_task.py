import json
from pathlib import Path

import pytest
from corenas import Architecture, SearchSpace, choose, structure
from corenas import Evaluator as AnyEvaluator
from corenas.cli import main
from corenas.testing.contracts import EvaluatorContract, SearchSpaceContract

from plugin_name.config import DataConfig, EvaluatorConfig, SpaceConfig
from plugin_name.data import load
from plugin_name.evaluator import Evaluator
from plugin_name.space import Space


class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        found: SearchSpace = choose("search_spaces", "plugin-name").build()
        return found


class TestEvaluator(EvaluatorContract):
    space = Space(structure(SpaceConfig))

    def make(self) -> AnyEvaluator:
        config = structure(EvaluatorConfig, {"training": {"steps": 5}})
        return Evaluator(config, self.space, structure(DataConfig))

    @pytest.fixture
    def architecture(self) -> Architecture:
        return self.space.known["plugin-name/plain"]

    @pytest.fixture
    def refused(self) -> Architecture:
        return self.space.parse({"activation": "relu", "widths": [32, 32, 32]})


def test_points_are_of_two_classes_in_equal_shares() -> None:
    parts = load(structure(DataConfig))
    assert parts.train.classes.double().mean() == 0.5
    assert not parts.train.positions.equal(parts.validation.positions)


def test_recipe_runs_and_says_what_it_found(tmp_path: Path) -> None:
    out = tmp_path / "run"
    sets = ("--set", "search.steps=3", "--set", "search.executor=serial")
    assert main(["run", "plugin-name", "--out", str(out), *sets]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["counts"]["finished"] == 3
    assert summary["measured"]["accuracy"] > 50
    assert (out / "images" / "search.png").exists()
