"""The evaluator for any space of super-resolution networks, over two of them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from attrs import evolve

from corenas import (
    Architecture,
    Budget,
    ConfigError,
    Evaluator,
    Job,
    Problem,
    Rejected,
    SearchSpace,
    Trial,
    choose,
    structure,
)
from corenas.cost import count
from corenas.testing.contracts import GradualEvaluatorContract
from corenas.testing.surrogate import InlineExecutor, SurrogateSpace
from corenas.training.networks import seeded
from corenas.values.seeds import derive_seed
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.results.evaluation import Crops, build_metrics
from corenas_sr.training.pixel import pixel_training
from corenas_sr.training.short_training import ShortTraining, ShortTrainingJob

TRAINING = {"steps": 2, "batch": 2, "patch": 8, "report_every": 1, "learning_rate": 1e-3}
SPACES: Mapping[str, Mapping[str, object]] = {
    "tpsr-generator": {"nodes": 2, "channels": 4},
    "trilevel-a": {"cells": 2, "searched_cells": 1, "widths": [4, 8], "features": 8, "scale": 2},
    "trilevel-b": {"cells": 2, "searched_cells": 1, "widths": [4, 8], "features": 8, "scale": 2},
}


def space_of(name: str) -> SearchSpace:
    chosen = choose("search_spaces", name)
    config = structure(type(chosen.config), SPACES[name])
    space: SearchSpace = evolve(chosen, config=config).build()
    return space


def options(**changes: object) -> CandidateConfig:
    return structure(CandidateConfig, {"training": TRAINING, "crops": 2, **changes})


@pytest.fixture
def data(photographs: Path) -> DataConfig:
    return DataConfig(train=str(photographs / "train"), validation=str(photographs / "valid"))


def extreme(space: SearchSpace, index: int) -> Architecture:
    """Return the candidate whose choices are all the first or the last."""
    return space.canonical(
        Architecture(space.name, {d.name: d.options[index] for d in space.decisions})
    )


class ShortTrainingContract(GradualEvaluatorContract):
    name: str

    @pytest.fixture(autouse=True)
    def _data(self, data: DataConfig) -> None:
        self.space = space_of(self.name)
        self.data = data
        first, second = sorted(
            (extreme(self.space, index) for index in (0, -1)), key=self.mult_adds
        )
        self.cheap, self.expensive = first, second

    def mult_adds(self, architecture: Architecture) -> int:
        return count(self.space.build(architecture), (1, 3, 16, 32)).mult_adds

    def make(self) -> Evaluator:
        limit = self.mult_adds(self.cheap)
        return ShortTraining(options(mult_adds_limit=limit, output=[64, 32]), self.space, self.data)

    @pytest.fixture
    def architecture(self) -> Architecture:
        return self.cheap

    @pytest.fixture
    def refused(self) -> Architecture:
        return self.expensive


class TestOverTpsr(ShortTrainingContract):
    name = "tpsr-generator"


class TestOverTrilevelB(ShortTrainingContract):
    name = "trilevel-b"


def job(evaluator: Evaluator, architecture: Architecture, seed: int) -> ShortTrainingJob:
    prepared = evaluator.prepare(architecture, number=0, seed=seed)
    assert isinstance(prepared, ShortTrainingJob)
    return prepared


@pytest.mark.parametrize("name", SPACES)
def test_random_search_trains_and_measures_candidates(name: str, data: DataConfig) -> None:
    space = space_of(name)
    evaluator = ShortTraining(options(), space, data)
    problem = Problem(
        space,
        evaluator,
        choose("objectives", "metric").build(evaluator.measures),
        InlineExecutor(),
        Budget(2),
        seed=1,
    )
    search = choose("strategies", "random").build().search(problem)
    trials = [event.trial for event in search.events() if event.kind == "trial"]
    assert len(trials) == 2
    for trial in trials:
        assert isinstance(trial, Trial)
        assert trial.measurement is not None
        metrics = trial.measurement.metrics
        assert trial.score == metrics["psnr"]
        expected = count(space.build(trial.architecture), (1, 3, 360, 640))
        assert (metrics["mult_adds"], metrics["params"]) == (expected.mult_adds, expected.params)


def test_measurement_is_that_of_a_training_from_scratch(data: DataConfig) -> None:
    space = space_of("trilevel-b")
    config = options(metrics=["psnr", "ssim"], training={**TRAINING, "steps": 5})
    architecture = extreme(space, -1)
    outcome = job(ShortTraining(config, space, data), architecture, 7).run("cpu", lambda *_: False)
    with seeded(derive_seed(7, "weights")):
        model = space.build(architecture)
    training = pixel_training(
        model,
        load_pairs(data.train, scale=2, split="train"),
        config.training,
        scale=2,
        seed=derive_seed(7, "patches"),
    )
    assert [event.step for event in training.events()] == [1, 2, 3, 4, 5]
    pairs = load_pairs(data.validation, scale=2, split="validation")
    assert outcome.metrics == Crops.spread(pairs, size=48, count=2, scale=2).measure(
        model, build_metrics(config.metrics), scale=2, device="cpu"
    )
    assert set(outcome.metrics) == {"psnr", "ssim"}
    assert not outcome.payload


def test_candidates_do_not_inherit_weights(data: DataConfig) -> None:
    space = space_of("tpsr-generator")
    evaluator = ShortTraining(options(), space, data)
    first = job(evaluator, extreme(space, 0), 3).run("cpu", lambda *_: False)
    measurement = evaluator.measure(extreme(space, 0), first)
    evaluator.collect(Trial(0, extreme(space, 0), measurement, 99.0), first)
    again = job(evaluator, extreme(space, 0), 3).run("cpu", lambda *_: False)
    assert again.metrics == first.metrics
    assert evaluator.state() == {}


def test_limit_is_for_the_stated_output_and_can_be_left_out(data: DataConfig) -> None:
    space = space_of("trilevel-b")
    architecture = extreme(space, -1)
    cost = count(space.build(architecture), (1, 3, 16, 32)).mult_adds

    def prepared(**changes: object) -> Job | Rejected:
        evaluator = ShortTraining(options(**changes), space, data)
        return evaluator.prepare(architecture, number=0, seed=0)

    refused = prepared(mult_adds_limit=cost - 1, output=[64, 32])
    assert isinstance(refused, Rejected)
    assert refused.metrics["mult_adds"] == cost
    assert "the limit is" in refused.reason
    assert isinstance(prepared(mult_adds_limit=cost, output=[64, 32]), ShortTrainingJob)
    assert isinstance(prepared(mult_adds_limit=cost, output=[66, 32]), Rejected)
    assert isinstance(prepared(), ShortTrainingJob)


def test_job_is_small_and_leaves_the_random_numbers_alone(data: DataConfig) -> None:
    space = choose("search_spaces", "trilevel-b").build()
    before = torch.get_rng_state()
    prepared = job(ShortTraining(options(), space, data), space.known["trilevel-b/table-3"], 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(pickle.dumps(prepared)) < 100_000


def test_space_without_a_scale_is_refused(data: DataConfig) -> None:
    with pytest.raises(ConfigError, match="the space 'surrogate' has no option 'scale'"):
        ShortTraining(options(), SurrogateSpace(), data)


def test_it_is_found_by_its_name(data: DataConfig) -> None:
    chosen = choose("evaluators", "sr-training")
    assert isinstance(chosen.build(space_of("trilevel-a"), data), ShortTraining)
