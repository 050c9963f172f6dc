"""The proxy task of discriminators: what candidates start from, and which measurement counts."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from corenas import ConfigError, Evaluator, choose, structure
from corenas.testing.contracts import EvaluatorContract
from corenas.values.architecture import Architecture
from corenas_sr.config import DataConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.files import load_model
from corenas_sr.results.evaluation import Crops, build_metrics
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.perceptual import proxy
from corenas_tpsr.perceptual.config import AdversarialProxyConfig
from corenas_tpsr.perceptual.proxy import (
    AdversarialEvaluator,
    AdversarialJob,
    adversarial_training,
)

PERCEPTUAL = {"network": "random-features", "metric": "random-features"}
TRAINING = {"steps": 6, "batch": 2, "patch": 8, "report_every": 2}
OPTIONS: Mapping[str, Any] = {
    "perceptual": PERCEPTUAL,
    "training": TRAINING,
    "evaluations": 2,
    "evaluate_every": 2,
    "crops": 2,
    "crop_size": 16,
}
SPACE = DiscriminatorSpace(DiscriminatorSpaceConfig(channels=8, patch=32))
SMALLEST = Architecture(SPACE.name, {d.name: d.options[0] for d in SPACE.decisions})


@pytest.fixture
def data(photographs: Path) -> DataConfig:
    return DataConfig(train=str(photographs / "train"), validation=str(photographs / "valid"))


def evaluator(data: DataConfig, model: Path, **changes: Any) -> AdversarialEvaluator:
    config = structure(AdversarialProxyConfig, OPTIONS, {"generator": str(model)} | changes)
    return AdversarialEvaluator(config, SPACE, data)


def prepared(evaluator: AdversarialEvaluator) -> AdversarialJob:
    job = evaluator.prepare(SMALLEST, number=0, seed=3)
    assert isinstance(job, AdversarialJob)
    return job


class TestAdversarial(EvaluatorContract):
    @pytest.fixture(autouse=True)
    def _files(self, data: DataConfig, generator: Path) -> None:
        self.data, self.generator = data, generator

    def make(self) -> Evaluator:
        return evaluator(self.data, self.generator)

    @pytest.fixture
    def architecture(self) -> Architecture:
        return SMALLEST


def test_best_of_the_last_measurements_counts_as_a_whole(
    data: DataConfig, generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [(0.1, 20.0), (0.3, 30.0), (0.2, 25.0), (0.4, 40.0)]
    measured: list[dict[str, float]] = []

    def measure(*arguments: Any, **options: Any) -> dict[str, float]:
        distance, psnr = values[len(measured)]
        measured.append({"random-features": distance, "psnr": psnr})
        return dict(measured[-1])

    monkeypatch.setattr(Crops, "measure", measure)
    training = {"training": {"steps": 8}, "evaluations": 3}
    outcome = prepared(evaluator(data, generator, **training)).run("cpu", lambda s, v: False)
    assert len(measured) == 3, "of four reports the last three are measured"
    assert outcome.metrics["random-features"] == 0.1
    assert outcome.metrics["psnr"] == 20.0, "of the same moment, though not the best itself"
    first = outcome.metrics["discriminator_loss"]
    measured.clear()
    values.reverse()
    outcome = prepared(evaluator(data, generator, **training)).run("cpu", lambda s, v: False)
    assert outcome.metrics["random-features"] == 0.2, "now the second one"
    assert outcome.metrics["discriminator_loss"] != first
    measured.clear()
    outcome = prepared(evaluator(data, generator, **training, counts="mean")).run(
        "cpu", lambda s, v: False
    )
    assert outcome.metrics["random-features"] == pytest.approx((0.4 + 0.2 + 0.3) / 3)
    assert outcome.metrics["psnr"] == pytest.approx((40.0 + 25.0 + 30.0) / 3)


def test_every_candidate_starts_from_the_generator(data: DataConfig, generator: Path) -> None:
    still = {"training": {"learning_rate": 1e-12}}
    outcome = prepared(evaluator(data, generator, **still)).run("cpu", lambda s, v: False)
    start = load_model(generator)
    pairs = load_pairs(data.validation, scale=4, split="validation")
    crops = Crops.spread(pairs, size=16, count=2, scale=4)
    metrics = build_metrics([choose("metrics", "random-features"), choose("metrics", "psnr")])
    before = crops.measure(start.module, metrics, scale=4, device="cpu")
    assert {name: outcome.metrics[name] for name in before} == pytest.approx(before, rel=1e-6)
    moving = prepared(evaluator(data, generator)).run("cpu", lambda s, v: False)
    assert moving.metrics["random-features"] != pytest.approx(before["random-features"], rel=1e-6)


def test_job_travels_to_where_the_generator_has_no_file(
    data: DataConfig, generator: Path, tmp_path: Path
) -> None:
    copy = tmp_path / generator.name
    for file in generator.parent.glob(f"{generator.stem}.*"):
        shutil.copy(file, tmp_path)
    made = evaluator(data, copy)
    content = pickle.dumps(prepared(made))
    for file in tmp_path.glob(f"{generator.stem}.*"):
        file.unlink()
    outcomes = [
        pickle.loads(content).run("cpu", lambda s, v: False),
        prepared(made).run("cpu", lambda s, v: False),
        prepared(evaluator(data, generator)).run("cpu", lambda s, v: False),
    ]
    assert not copy.exists()
    assert outcomes[0].metrics == outcomes[1].metrics == outcomes[2].metrics


def test_cost_is_the_discriminators(data: DataConfig, generator: Path) -> None:
    made = evaluator(data, generator)
    outcome = prepared(made).run("cpu", lambda s, v: False)
    metrics = made.measure(SMALLEST, outcome).metrics
    cost = SPACE.cost(SMALLEST)
    assert (metrics["params"], metrics["mult_adds"]) == (cost.params, cost.mult_adds)
    assert metrics["discriminator_loss"] > 0
    assert 0 < metrics["influence"] < 1


def test_influence_is_measured_where_a_discriminator_can_have_it(
    data: DataConfig, generator: Path
) -> None:
    assert "influence" in evaluator(data, generator).measures
    silent = {"losses": {"pixel": 1.0, "adversarial": 0.0}}
    made = evaluator(data, generator, perceptual={**PERCEPTUAL, **silent})
    outcome = prepared(made).run("cpu", lambda s, v: False)
    assert "influence" not in made.measures
    assert made.measures.keys() - {"params", "mult_adds"} == outcome.metrics.keys()


@pytest.mark.parametrize("unset", ["generator", "perceptual"])
def test_what_the_recipe_fills_in_is_named_where_it_is_missing(
    data: DataConfig, generator: Path, unset: str
) -> None:
    with pytest.raises(ConfigError, match=f"{unset} is unset"):
        evaluator(data, generator, **{unset: None}).prepare(SMALLEST, number=0, seed=0)


def test_measurements_that_do_not_fit_into_the_training_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"evaluations: 3 of them, 1000 steps apart"):
        structure(AdversarialProxyConfig, {"training": {"steps": 2000}})


def test_several_trainings_count_by_their_mean(data: DataConfig, generator: Path) -> None:
    def run(**changes: Any) -> tuple[dict[str, float], list[int]]:
        steps: list[int] = []

        def report(step: int, value: float) -> bool:
            steps.append(step)
            return False

        outcome = prepared(evaluator(data, generator, **changes)).run("cpu", report)
        return dict(outcome.metrics), steps

    once, steps = run()
    twice, both = run(trainings=2)
    assert steps == [2, 4, 6]
    assert both == [2, 4, 6, 8, 10, 12]
    assert twice["random-features"] != once["random-features"]
    # The first of the two is the only one of before.
    thrice, _ = run(trainings=3)
    second = 2 * twice["psnr"] - once["psnr"]
    third = 3 * thrice["psnr"] - once["psnr"] - second
    assert len({once["psnr"], second, third}) == 3


def test_same_patches_for_all_candidates(
    data: DataConfig, generator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []

    def note(*arguments: Any, seed: int, **options: Any) -> Any:
        seeds.append(seed)
        return adversarial_training(*arguments, seed=seed, **options)

    monkeypatch.setattr(proxy, "adversarial_training", note)
    for patches in (None, 7):
        changes = {} if patches is None else {"patches": patches}
        made = evaluator(data, generator, trainings=2, **changes)
        for seed in (3, 4):
            job = made.prepare(SMALLEST, number=0, seed=seed)
            assert isinstance(job, AdversarialJob)
            job.run("cpu", lambda s, v: False)
    assert len(set(seeds[:4])) == 4
    assert seeds[4:6] == seeds[6:8]
    assert seeds[4] != seeds[5]
