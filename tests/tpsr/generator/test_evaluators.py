"""The proxy task: what candidates start from, how they are measured, which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import safetensors.torch
import torch
from attrs import evolve
from torch import Tensor

from corenas import ConfigError, Evaluator, SearchConfig, Trial, check_search, structure
from corenas.testing.contracts import EvaluatorContract, reloaded
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Outcome, Rejected
from corenas_sr.config import DataConfig
from corenas_tpsr.generator.config import GeneratorSpaceConfig, ProxyConfig
from corenas_tpsr.generator.proxy import ProxyEvaluator, ProxyJob, RememberedJob
from corenas_tpsr.generator.space import GeneratorSpace

TRAINING = {"steps": 2, "batch": 2, "patch": 8, "report_every": 1, "learning_rate": 1e-3}
SPACE = GeneratorSpace(GeneratorSpaceConfig(nodes=2))


def cell(first: str, second: str) -> Architecture:
    return SPACE.parse([[first, 0], [second, 1]])


CANDIDATE = cell("conv3", "se")
OTHER = cell("conv3", "ca")


@pytest.fixture
def data(photographs: Path) -> DataConfig:
    return DataConfig(train=str(photographs / "train"), validation=str(photographs / "valid"))


def proxy(data: DataConfig, **options: object) -> ProxyEvaluator:
    layers = {"training": TRAINING, "crops": 2, **options}
    return ProxyEvaluator(structure(ProxyConfig, layers), SPACE, data)


def prepared(evaluator: ProxyEvaluator, architecture: Architecture, number: int) -> ProxyJob:
    job = evaluator.prepare(architecture, number=number, seed=number)
    assert isinstance(job, ProxyJob)
    return job


def weights(job: ProxyJob) -> dict[str, Tensor]:
    return safetensors.torch.load(job.weights) if job.weights else {}


def collect(
    evaluator: ProxyEvaluator, architecture: Architecture, number: int, *, score: float, fill: float
) -> None:
    """Let a trial end with the score and with weights that are all the same number."""
    prepared(evaluator, architecture, number)
    state = SPACE.build(architecture).state_dict()
    payload = safetensors.torch.save({n: torch.full_like(t, fill) for n, t in state.items()})
    outcome = Outcome({"psnr": score}, 1.0, payload)
    measurement = evaluator.measure(architecture, outcome)
    evaluator.collect(Trial(number, architecture, measurement, score), outcome)


class TestProxy(EvaluatorContract):
    options: ClassVar[dict[str, object]] = {"mult_adds_limit": 3e9}

    @pytest.fixture(autouse=True)
    def _data(self, data: DataConfig) -> None:
        self.data = data

    def make(self) -> Evaluator:
        return proxy(self.data, **self.options)

    @pytest.fixture
    def architecture(self) -> Architecture:
        return CANDIDATE

    @pytest.fixture
    def refused(self) -> Architecture:
        return cell("conv7", "conv7")


class TestProxyWithBestMeasurement(TestProxy):
    options = TestProxy.options | {"measured": "best", "cache_fixed": False}


class TestProxyThatRemembers(TestProxy):
    options = TestProxy.options | {"duplicates": "remember"}


def test_too_expensive_candidate_is_refused_before_any_training(data: DataConfig) -> None:
    absent = evolve(data, train="no such folder")
    expensive = cell("conv7", "conv7")
    cost = SPACE.cost(expensive, height=360, width=640)
    refused = proxy(absent, mult_adds_limit=cost.mult_adds - 1).prepare(expensive, number=0, seed=0)
    assert refused == Rejected(
        "6.28 G mult-adds, the limit is 6.28 G",
        {"mult_adds": cost.mult_adds, "params": cost.params},
    )
    allowed = proxy(absent, mult_adds_limit=cost.mult_adds).prepare(expensive, number=0, seed=0)
    assert isinstance(allowed, ProxyJob)


def test_mult_adds_are_counted_for_the_stated_output(data: DataConfig) -> None:
    measured = proxy(data, output=[64, 32]).measure(CANDIDATE, Outcome({"psnr": 30.0}, 2.5))
    cost = SPACE.cost(CANDIDATE, height=16, width=32)
    assert measured.metrics == {"psnr": 30.0, "mult_adds": cost.mult_adds, "params": cost.params}
    assert measured.seconds == 2.5


def test_candidate_starts_from_the_best_weights_of_its_nodes(data: DataConfig) -> None:
    evaluator = proxy(data)
    assert weights(prepared(evaluator, CANDIDATE, 0)) == {}
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    collect(evaluator, OTHER, 1, score=30.0, fill=0.2)
    collect(evaluator, CANDIDATE, 2, score=25.0, fill=0.3)
    warm = weights(prepared(evaluator, CANDIDATE, 3))
    assert warm.keys() == SPACE.build(CANDIDATE).state_dict().keys()
    for name, tensor in warm.items():
        # The second node's operation differs between the two; all else was best in the other.
        expected = 0.3 if name.startswith("nodes.1.") else 0.2
        assert torch.equal(tensor, torch.full_like(tensor, expected))


def test_job_trains_from_the_weights_it_carries(data: DataConfig) -> None:
    evaluator = proxy(data, training={**TRAINING, "learning_rate": 1e-30})
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    outcome = prepared(evaluator, CANDIDATE, 1).run("cpu", lambda step, value: False)
    for tensor in safetensors.torch.load(outcome.payload).values():
        assert torch.equal(tensor, torch.full_like(tensor, 0.1))


def test_job_in_flight_keeps_its_weights_over_a_restore(data: DataConfig) -> None:
    evaluator = proxy(data)
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    job = prepared(evaluator, CANDIDATE, 1)
    collect(evaluator, CANDIDATE, 2, score=30.0, fill=0.2)
    restored = proxy(data)
    restored.restore(reloaded(evaluator.state()))
    assert prepared(restored, CANDIDATE, 1) == job
    assert prepared(restored, CANDIDATE, 3).weights != job.weights


def test_cache_can_be_turned_off(data: DataConfig) -> None:
    evaluator = proxy(data, cache=False)
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    assert prepared(evaluator, CANDIDATE, 1).weights == b""


def test_cache_can_leave_out_what_is_not_searched(data: DataConfig) -> None:
    evaluator = proxy(data, cache_fixed=False)
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    names = weights(prepared(evaluator, CANDIDATE, 1)).keys()
    assert {name.split(".")[0] for name in names} == {"nodes"}


def test_training_from_scratch_uses_neither_cache_nor_memory() -> None:
    config = structure(ProxyConfig, {"duplicates": "remember", "crops": 3})
    fresh = ProxyEvaluator(config, SPACE, DataConfig()).from_scratch()
    job = fresh.prepare(CANDIDATE, number=0, seed=0)
    assert isinstance(job, ProxyJob)
    assert job.config == evolve(config, cache=False, duplicates="evaluate")


@pytest.mark.parametrize(
    ("measured", "expected", "times"),
    [("last", {"psnr": 2.0, "niqe": 5.0}, 1), ("best", {"psnr": 3.0, "niqe": 4.0}, 3)],
)
def test_last_or_best_report_counts_each_metric_in_its_own_direction(
    data: DataConfig,
    monkeypatch: pytest.MonkeyPatch,
    measured: str,
    expected: dict[str, float],
    times: int,
) -> None:
    reports = [{"psnr": 1.0, "niqe": 6.0}, {"psnr": 3.0, "niqe": 4.0}, {"psnr": 2.0, "niqe": 5.0}]
    calls = iter(reports[-times:])
    monkeypatch.setattr(ProxyJob, "_measure", lambda self, model, device: next(calls))
    training = {**TRAINING, "steps": 3}
    evaluator = proxy(data, measured=measured, training=training, metrics=["psnr", "niqe"])
    outcome = prepared(evaluator, CANDIDATE, 0).run("cpu", lambda step, value: False)
    assert outcome.metrics == expected
    assert next(calls, None) is None


def test_remembered_candidate_is_measured_once(data: DataConfig) -> None:
    evaluator = proxy(data, duplicates="remember")
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    again = evaluator.prepare(CANDIDATE, number=1, seed=1)
    assert isinstance(again, RememberedJob)
    outcome = again.run("cpu", lambda step, value: False)
    assert (outcome.metrics, outcome.seconds, outcome.payload) == ({"psnr": 20.0}, 0.0, b"")
    assert isinstance(evaluator.prepare(OTHER, number=2, seed=2), ProxyJob)


def test_duplicate_in_flight_stays_what_it_was_over_a_restore(data: DataConfig) -> None:
    """Two of the same candidate at once: the second must not become a memory of the first."""
    evaluator = proxy(data, duplicates="remember")
    job = prepared(evaluator, CANDIDATE, 1)
    collect(evaluator, CANDIDATE, 0, score=20.0, fill=0.1)
    remembered = evaluator.prepare(CANDIDATE, number=2, seed=2)
    outcome = Outcome({"psnr": 25.0})
    restored = proxy(data, duplicates="remember")
    restored.restore(reloaded(evaluator.state()))
    assert prepared(restored, CANDIDATE, 1) == job
    restored.collect(Trial(1, CANDIDATE, restored.measure(CANDIDATE, outcome), 25.0), outcome)
    assert restored.prepare(CANDIDATE, number=2, seed=2) == remembered


def test_searches_that_train_no_candidate_twice_are_refused_where_weights_are_inherited(
    data: DataConfig,
) -> None:
    layers = {"space": "tpsr-generator", "evaluator": "tpsr-proxy"}
    remember = structure(SearchConfig, layers, {"duplicates": "remember"})
    with pytest.raises(ConfigError, match=r"search\.duplicates: 'remember' .* from better weights"):
        check_search("search", remember, data=data)
    asha = structure(SearchConfig, layers, {"strategy": "asha"})
    with pytest.raises(ConfigError, match="a share of its training; ProxyEvaluator only trains in"):
        check_search("search", asha, data=data)
    # Without the cache nothing is inherited, so nothing speaks against it.
    alone = proxy(data, cache=False)
    assert alone.from_scratch() is alone
    assert proxy(data).from_scratch() is not alone
