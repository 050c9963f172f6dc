"""The example's supernet, and searches in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from corenas import Architecture, SearchSpace, choose, cli
from corenas.cost import count
from corenas.modelfile import load_model
from corenas.supernets.mixtures import one_hot
from corenas.testing.contracts import SupernetContract

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits"


@pytest.fixture(autouse=True, scope="module")
def _installed(install_project: Callable[[Path], None]) -> None:
    install_project(EXAMPLE)


def digits_space() -> Any:
    return choose("search_spaces", "digits-cnn").build()


class TestSupernet(SupernetContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        built: SearchSpace = digits_space()
        return built

    def inputs(self) -> Tensor:
        return torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def cost(self, space: SearchSpace, architecture: Architecture) -> float:
        return count(space.build(architecture), (1, 1, 8, 8)).mult_adds


def test_statistics_of_a_path_are_gathered_as_by_the_derived_network() -> None:
    space = digits_space()
    supernet = space.supernet()
    plain = space.known["digits/plain"]
    before = supernet.inherit(plain)
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    supernet(x, one_hot(space, plain))
    after = supernet.inherit(plain)
    first = "1.operation.1.running_mean"
    assert not torch.equal(before.state_dict()[first], after.state_dict()[first])
    before(x)
    torch.testing.assert_close(before.state_dict()[first], after.state_dict()[first])


SMALL = (
    "search.strategy.warmup.steps=2",
    "search.strategy.search.steps=4",
    "search.strategy.search.report_every=2",
    "search.evaluator.training.batch=8",
    "search.executor=serial",
    "training.steps=4",
)


def test_recipe_searches_in_the_supernet_and_trains_what_it_found(tmp_path: Path) -> None:
    out = tmp_path / "run"
    sets = [f"--set={each}" for each in ("search.strategy=sparsestmax", *SMALL)]
    assert cli.main(["run", "digits", "--out", str(out), *sets]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["search"]["counts"] == {"steps": 6}
    (entry,) = summary["models"]
    assert load_model(out / entry["file"]).architecture.id == summary["architecture"]["id"]
    inherited = load_model(out / "models" / "search" / "digits-cnn-inherited.safetensors")
    assert inherited.architecture.id == summary["architecture"]["id"]
