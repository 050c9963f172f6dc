"""An objective that needs what is not measured is refused before anything starts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from attrs import evolve

from corenas import Architecture, cli, structure
from corenas.errors import ConfigError, DataError
from corenas.options.toml import parse_assignment
from corenas_tpsr._checks import check_searches
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.generator.config import ProxyConfig
from corenas_tpsr.generator.proxy import ProxyEvaluator, ProxyJob
from corenas_tpsr.perceptual.resolving import resolve

MEASURE_LPIPS = '--set \'search.evaluator.metrics=["psnr", "lpips"]\''
MEASURE_LATENCY = "--set search.evaluator.latency=[320,180]"


def config(*assignments: str) -> TpsrConfig:
    return structure(TpsrConfig, *map(parse_assignment, assignments))


def check(*assignments: str) -> None:
    check_searches(config("stages=generator", *assignments))


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ["search.objective.metric=ssim"],
            "search.objective: 'metric' needs 'ssim', which search.evaluator does not measure; "
            "allowed: mult_adds, params, psnr",
        ),
        (
            ['search.objective={use="product", metrics=["psnr", "lpips"]}'],
            f"'product' needs 'lpips', which search.evaluator does not measure; allowed: mult_adds,"
            f" params, psnr; with {MEASURE_LPIPS} it does",
        ),
        (
            ['search.objective={use="constraint", cost="latency", limit=0.1}'],
            f"'constraint' needs 'latency', which search.evaluator does not measure; allowed: "
            f"mult_adds, params, psnr; with {MEASURE_LATENCY} it does",
        ),
        (
            ['search.objective.metric={use="psnr", protocol="rgb"}'],
            "search.objective.metric: expected a string, got {'use': 'psnr', 'protocol': 'rgb'}; "
            "name it: 'psnr'",
        ),
    ],
)
def test_objective_that_needs_what_is_not_measured_is_refused(
    assignments: list[str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(*assignments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "assignments",
    [
        [],
        [
            'search.evaluator.metrics=["psnr", "random-features"]',
            "search.objective.metric=random-features",
        ],
        ['search.objective={use="sum", cost={name="params", target=1e4}}'],
        [
            'search.objective={use="constraint", cost="latency", limit=0.1}',
            "search.evaluator.latency=[320,180]",
        ],
        ['search.evaluator.metrics=[{use="psnr", protocol="rgb"}]'],
        [
            'search.evaluator.metrics=[{use="psnr", protocol="rgb"}]',
            "search.objective.metric=psnr",
        ],
    ],
)
def test_objective_over_what_is_measured_passes(assignments: list[str]) -> None:
    check(*assignments)


RANDOM = ("perceptual.network=random-features", "perceptual.metric=random-features")


def check_second(*assignments: str) -> None:
    check_searches(resolve(config(*RANDOM, *assignments))[0])


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ['discriminator.objective={use="metric", metric="ssim"}'],
            "discriminator.objective: 'metric' needs 'ssim', which discriminator.evaluator does "
            "not measure; allowed: mult_adds, params, psnr, random-features",
        ),
        (
            [
                'discriminator.objective={use="metric", metric={use="random-features", seed=1}}',
            ],
            "discriminator.objective.metric: expected a string, got {'use': 'random-features', "
            "'seed': 1}; name it: 'random-features'",
        ),
        (
            ["discriminator.evaluator.training.patch=9"],
            "discriminator.evaluator.training.patch: 9 low-resolution pixels are 36 at scale 4, "
            "which its discriminators cannot take: patch: must be a multiple of 32",
        ),
        (
            ["discriminator.space.blocks=3", "compare.training.patch=6"],
            "compare.training.patch: 6 low-resolution pixels are 24 at scale 4, which its "
            "discriminators cannot take: patch: must be a multiple of 16",
        ),
    ],
)
def test_second_search_that_cannot_be_done_is_refused(assignments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_second(*assignments)
    assert message in str(caught.value)


def test_second_search_of_others_passes() -> None:
    check_second()
    check_second("discriminator.space.blocks=3", "compare.training.patch=6", "compare.baselines=[]")


def test_generator_of_the_second_search_alone_is_read_before_the_start(tmp_path: Path) -> None:
    pickled = tmp_path / "x4.safetensors"
    torch.save({}, pickled)
    for file, reason in ((tmp_path / "absent", "No such file"), (pickled, "refused: a pickle")):
        with pytest.raises(DataError, match=reason):
            check_second(f"discriminator.evaluator.generator={file}")


@pytest.mark.parametrize("arguments", [["--dry-run"], []])
def test_the_hint_of_the_message_works_and_nothing_began_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    out = tmp_path / "run"
    wrong = ["run", "tpsr", "--out", str(out), "--set", "search.objective.metric=ssim"]
    assert cli.main([*wrong, *arguments]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert not (out / "journal.jsonl").exists() or not (out / "journal.jsonl").read_text()
    hint = err.partition("--set '")[2].partition("'")[0]
    check("search.objective.metric=ssim", hint)


@pytest.mark.parametrize(
    "option", ["metrics", "search.evaluator.metrics", "discriminator.evaluator.metrics"]
)
@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_metric_without_its_weights_is_refused_before_anything_begins(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    arguments: list[str],
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    out = tmp_path / "run"
    wrong = ["run", "tpsr", "--out", str(out), "--set", f'{option}=["psnr", "lpips"]']
    assert cli.main([*wrong, *arguments]) == 2
    assert "weights of vgg16 are not on this machine" in capsys.readouterr().err
    assert not (out / "journal.jsonl").exists() or not (out / "journal.jsonl").read_text()


def evaluator(proxy: ProxyConfig) -> ProxyEvaluator:
    values = config()
    return ProxyEvaluator(proxy, values.search.space.build(), values.data)


@pytest.mark.slow
def test_latency_is_measured_only_when_it_is_asked_for() -> None:
    quick = structure(
        ProxyConfig,
        {"training": {"steps": 1, "batch": 2, "patch": 8}, "crops": 1, "crop_size": 16},
    )
    timed = evolve(quick, latency=(32, 18))
    space = config().search.space.build()
    architecture: Architecture = next(iter(space.known.values()))
    for proxy, expected in ((quick, set()), (timed, {"latency"})):
        judge = evaluator(proxy)
        job = judge.prepare(architecture, number=0, seed=0)
        assert isinstance(job, ProxyJob)
        outcome = job.run("cpu", lambda step, value: False)
        metrics = judge.measure(architecture, outcome).metrics
        assert set(metrics) == {"psnr", "mult_adds", "params"} | expected
        assert set(judge.measures) == set(metrics)
        if expected:
            assert 0 < metrics["latency"] < 10
            assert math.isfinite(metrics["latency"])
