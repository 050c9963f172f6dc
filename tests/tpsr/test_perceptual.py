"""Stage two of the recipe tpsr: what it hands over, what it says to bad input, and resuming."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from corenas import choose, structure
from corenas.errors import ConfigError, DataError
from corenas.testing.installed import InstallPlugin
from corenas_sr.datasets import load_pairs
from corenas_sr.evaluation import build_metrics, evaluate
from corenas_sr.inference import upscale
from corenas_sr.modelfile import load_model
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.full_task import contenders
from corenas_tpsr.perceptual import resolved
from corenas_tpsr.perceptual_config import FULL_LAYERS

Command = Callable[..., Any]

INTERRUPT = """
import os
import signal

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    lines = (run.folder / "journal.jsonl").read_bytes().count(b"\\n")
    if lines == int(os.environ.get("KILL_AT_LINE", "-1")):
        os.kill(os.getpid(), signal.SIGKILL)
    if lines == int(os.environ.get("INTERRUPT_AT_LINE", "-1")):
        os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.fixture
def no_weights(tmp_path: Path) -> dict[str, str]:
    """An environment without torchvision's cache, whatever this machine has."""
    return {"TORCH_HOME": str(tmp_path / "no-weights")}


def read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text())
    return value


def test_report_says_what_the_stage_was_optimised_for(improved: Path) -> None:
    perceptual = read_json(improved / "summary.json")["perceptual"]
    for features in perceptual["optimised_for"]["features"].values():
        assert features.startswith("random-features (random weights, they know nothing of images)")
        assert "vgg" not in features.lower()
    assert perceptual["optimised_for"]["metric"] == "random-features"
    assert perceptual["optimised_for"]["losses"] == {
        "pixel": 0.01,
        "features": 1.0,
        "adversarial": 0.005,
    }
    said = (improved / "said.txt").read_text()
    assert "the weights of vgg19 are not on this machine" in said
    assert "random-features stand in" in said


def test_every_discriminator_is_compared_on_all_benchmark_images(improved: Path) -> None:
    summary = read_json(improved / "summary.json")
    rows = {row["name"]: row for row in summary["perceptual"]["contenders"]}
    assert list(rows) == ["searched-1", "esrgan", "random"]
    pairs = [
        pair
        for source in summary["data"]["benchmarks"]
        for pair in load_pairs(source, scale=4, split="validation")
    ]
    assert len(pairs) == 4
    metrics = build_metrics([choose("metrics", name) for name in ("psnr", "random-features")])
    for row in rows.values():
        model = load_model(improved / row["file"])
        expected = evaluate(
            lambda p, m=model: upscale(m.module, p.lr, scale=4), pairs, metrics, scale=4
        )
        for name in metrics:
            assert row["test"][name] == pytest.approx(expected.mean[name])
        assert row["trainings"][row["best"]]["loss"] != 0
    assert rows["esrgan"]["params"] == 23_563_713 - 512 * 1024 * (36 - 4)
    winner = min(
        (values["random-features"], name)
        for row in rows.values()
        for name, values in row["trainings"].items()
    )[1]
    assert summary["perceptual"]["winner"] == winner
    assert f"best: {winner}" in (improved / "said.txt").read_text()


def test_improved_model_is_handed_over_beside_the_one_before(
    improved: Path, generator: Path
) -> None:
    summary = read_json(improved / "summary.json")
    before, after = summary["models"]
    assert (before["name"], after["name"]) == ("x4", "x4-perceptual")
    assert {"psnr", "ssim", "random-features"} == set(before["metrics"]) == set(after["metrics"])
    old, new = load_model(improved / before["file"]), load_model(improved / after["file"])
    assert old.module.state_dict().keys() == new.module.state_dict().keys()
    start = load_model(generator).module.state_dict()
    assert all(torch.equal(t, start[n]) for n, t in old.module.state_dict().items())
    assert not all(torch.equal(t, start[n]) for n, t in new.module.state_dict().items())
    for picture in ("comparison-x4-perceptual", "compare", "perceptual", "discriminator"):
        assert (improved / "images" / f"{picture}.png").stat().st_size > 1000
    assert (improved / "images" / "discriminator.svg").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("act", ["INTERRUPT_AT_LINE", "KILL_AT_LINE"])
def test_run_that_ended_inside_an_adversarial_training_resumes_to_the_same_end(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    improved: Path,
    install_plugin: InstallPlugin,
    no_weights: dict[str, str],
    act: str,
) -> None:
    install_plugin("moments", INTERRUPT)
    benchmarks = json.dumps(read_json(improved / "summary.json")["data"]["benchmarks"])
    out = tmp_path / "run"
    lines = (improved / "journal.jsonl").read_text().splitlines()
    inside = [n for n, line in enumerate(lines, 1) if '"compare"' in line and '"epoch"' in line]
    arguments = second(out, {"data.benchmarks": benchmarks})
    for line in (inside[0], inside[2]):
        done = command(*arguments, env={**no_weights, act: str(line)}, save_always=True)
        assert done.status in (130, -9)
        arguments = ["resume", str(out)]
    assert command(*arguments, env=no_weights).status == 0

    def contents(folder: Path) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
        for event in events:
            del event["time"], event["check"]
            event.get("trial", {}).pop("seconds", None)
        return events

    assert contents(out) == contents(improved)
    models = sorted(improved.glob("models/**/*.safetensors"))
    assert len(models) == 5
    for model in models:
        assert (out / model.relative_to(improved)).read_bytes() == model.read_bytes()


def test_missing_weights_are_refused_before_the_start_with_the_choices(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    no_weights: dict[str, str],
) -> None:
    out = tmp_path / "run"
    done = command(*second(out, {"perceptual.missing": "refuse"}), env=no_weights)
    assert done.status == 2
    for choice in (
        "the weights of vgg19 are not on this machine",
        "--set perceptual.download=true",
        "--set perceptual.network=squeezenet1_1 --set perceptual.weights=FILE",
        "--set perceptual.missing=random-features",
        "--set stages=generator",
    ):
        assert choice in done.err
    assert not list(out.glob("models/*"))


def test_dry_run_estimates_both_stages(
    tmp_path: Path,
    command: Command,
    second: Callable[..., list[str]],
    no_weights: dict[str, str],
) -> None:
    done = command(*second(tmp_path / "run", {}), "--dry-run", env=no_weights)
    assert done.status == 0, done.err
    rows = [line.split() for line in done.out.splitlines()]
    stages = {row[0]: row for row in rows if row and row[0] in ("discriminator", "compare")}
    assert stages["discriminator"][1] == "8"
    assert stages["compare"][1] == str(3 * 4)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": "discriminator"}, "generator: goes with stages = discriminator"),
        ({"generator": "x4.safetensors"}, "generator: goes with stages = discriminator"),
        ({"compare": {"count": 0, "baselines": []}}, "compare.count: 0, and no baselines"),
        ({"compare": {"baselines": ["srgan", "srgan"]}}, "compare.baselines: name each once"),
        ({"compare": {"baselines": ["jagan"]}}, "compare.baselines: unknown value 'jagan'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    values: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        structure(TpsrConfig, values)


def test_patch_that_the_reductions_do_not_divide_is_refused(
    tmp_path: Path, command: Command, second: Callable[..., list[str]], no_weights: dict[str, str]
) -> None:
    done = command(*second(tmp_path / "run", {"compare.training.patch": 9}), env=no_weights)
    assert done.status == 2
    assert "patch" in done.err
    assert "36" in done.err


def test_options_of_the_losses_reach_both_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corenas_tpsr.perceptual.features_of", lambda config: None)
    config, note = resolved(
        structure(TpsrConfig, {"perceptual": {"metric": "random-features", "losses": {"pixel": 3}}})
    )
    assert note == ""
    evaluator = config.discriminator.evaluator.config
    assert evaluator.perceptual == config.perceptual
    assert config.discriminator.objective is not None
    assert config.discriminator.objective.build().needs == ("random-features",)


def test_metric_alone_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    values = {"perceptual": {"network": "random-features", "missing": "random-features"}}
    config, note = resolved(structure(TpsrConfig, values))
    assert note.startswith("lpips: ")
    assert config.perceptual.metric.name == "random-features"
    with pytest.raises(DataError, match="vgg16"):
        resolved(structure(TpsrConfig, {"perceptual": {"network": "random-features"}}))


def test_contenders_are_the_best_found_and_known_ones() -> None:
    config = structure(TpsrConfig, {"compare": {"count": 2, "training": {"patch": 24}}})
    space = config.discriminator.space.build()
    found = [space.parse([[op, "reduce-conv1"]] * 5) for op in ("identity", "se", "ca")]
    made = contenders(config, found, scale=4, seed=1)
    assert [each.name for each in made] == ["searched-1", "searched-2", "srgan", "esrgan", "random"]
    assert [each.architecture for each in made[:2]] == found[:2]
    assert [each.cost.params for each in made[2:4]] == [23_563_713] * 2
    assert (made[2].loss.needs_real, made[3].loss.needs_real) == (False, True)
    again = contenders(config, found, scale=4, seed=1)[-1]
    assert again.architecture == made[-1].architecture
    assert FULL_LAYERS["vgg19"] == ("54",)
