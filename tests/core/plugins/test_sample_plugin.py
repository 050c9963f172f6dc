"""A complete third-party package: all that it adds works as our own parts do."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import corenas
from corenas import (
    Architecture,
    Budget,
    Evaluator,
    Measurement,
    Objective,
    Problem,
    Quantity,
    Sampler,
    SearchSpace,
    Strategy,
    choose,
    cli,
    default_registry,
    structure,
)
from corenas.plugins.registry import load_attribute
from corenas.search.executors.serial import Serial
from corenas.stopping import Stop
from corenas.testing.contracts import (
    EvaluatorContract,
    ObjectiveContract,
    SamplerContract,
    SearchSpaceContract,
    StrategyContract,
)
from corenas.testing.installed import InstallPlugin
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.inference import bicubic

SAMPLE = Path(__file__).parents[2] / "sample_plugin"
TRUTH = "1 + sin + square"


@pytest.fixture(scope="module", autouse=True)
def sample(install_project: Callable[[Path], None]) -> None:
    install_project(SAMPLE)


def curves() -> Any:
    return choose("search_spaces", "curves").build()


class TestCurves(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        space: SearchSpace = curves()
        return space


class TestCurveFit(EvaluatorContract):
    def make(self) -> Evaluator:
        data = structure(default_registry().recipe("fit-curve").config).data
        evaluator: Evaluator = choose("evaluators", "curve-fit").build(curves(), data)
        return evaluator

    @pytest.fixture
    def architecture(self) -> Architecture:
        architecture: Architecture = curves().parse(TRUTH)
        return architecture

    @pytest.fixture
    def refused(self) -> Architecture:
        architecture: Architecture = curves().parse("1 + abs + cos + exp + sin")
        return architecture


class TestAccuracy(ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        objective: Objective = choose("objectives", "accuracy").build(
            {"error": Quantity("error", "lower")}
        )
        return objective

    @pytest.fixture
    def better(self) -> Measurement:
        return Measurement({"error": 0.1, "terms": 3})

    @pytest.fixture
    def worse(self) -> Measurement:
        return Measurement({"error": 0.2, "terms": 1})


class TestClimber(SamplerContract):
    def make(self, space: SearchSpace, seed: int) -> Sampler:
        climber = load_attribute("corenas_sample.strategy:Climber", "a test")
        sampler: Sampler = climber(choose("strategies", "climb").config, space, seed)
        return sampler


class TestClimb(StrategyContract):
    @pytest.fixture
    def strategy(self) -> Strategy:
        strategy: Strategy = choose("strategies", "climb").build()
        return strategy


def test_it_needs_public_names_only() -> None:
    for file in (SAMPLE / "corenas_sample").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not [a.name for a in node.names if a.name.startswith("corenas")], file
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None
                if node.module.split(".")[0] == "corenas":
                    assert node.module == "corenas", file
                    names = {alias.name for alias in node.names}
                    assert names - {"config"} <= set(corenas.__all__), file


def test_plugins_lists_it_without_importing_torch() -> None:
    code = (
        "import sys; from corenas.cli import main; main(['plugins']); "
        "print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["sample", "corenas-sample", "0.3.1", "works"] in lines
    assert lines[-1] == ["[]"]


def tpsr(*layers: dict[str, Any]) -> Any:
    return structure(default_registry().recipe("tpsr").config, *layers)


def test_its_operation_is_an_option_of_tpsr() -> None:
    operations = ["conv1", {"use": "dilated3", "dilation": 3}]
    space = tpsr({"search": {"space": {"nodes": 2, "operations": operations}}}).search.space.build()
    generator = space.build(space.parse([["dilated3", 0], ["conv1", 1]]))
    image = torch.rand(1, 3, 8, 9)
    assert generator(image).shape == (1, 3, 16, 18)
    assert [m.dilation for m in generator.nodes.modules() if hasattr(m, "dilation")] == [
        (3, 3),
        (1, 1),
    ]
    # 9 instead of 1 tap for each pair of 16 channels and each of 72 pixels; sum and PReLU are free.
    costs = [
        space.cost(space.parse([[name, 0], ["conv1", 1]]), height=8, width=9).mult_adds
        for name in ("dilated3", "conv1")
    ]
    assert costs[0] - costs[1] == 8 * 16 * 16 * 72


def test_its_metric_is_measured_by_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "bicubic", "embedded", "--scale", "4", "--metrics", "mae", "--json"]
    assert cli.main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["protocol"] == {"mae": "RGB, shave 0"}
    expected = [
        np.abs(bicubic(pair.lr, 4).numpy().astype(float) - pair.hr.numpy()).mean()
        for pair in load_pairs("embedded", scale=4, split="validation")
    ]
    assert result["mean"]["mae"] == pytest.approx(np.mean(expected), rel=1e-12)


def test_its_metric_is_the_objective_of_a_tpsr_search() -> None:
    training = {"steps": 1, "batch": 1, "patch": 8}
    evaluator = {"metrics": ["mae"], "crops": 1, "crop_size": 16, "training": training}
    config = tpsr({"search": {"objective": {"metric": "mae"}, "evaluator": evaluator}})
    search, space = config.search, config.search.space.build()
    evaluator = search.evaluator.build(space, config.data)
    problem = Problem(
        space,
        evaluator,
        search.objective.build(evaluator.measures),
        Serial(stop=Stop()),
        Budget(1),
    )
    events = list(choose("strategies", "random").build().search(problem).events())
    (trial,) = (event.trial for event in events if event.kind == "trial")
    assert trial.score == -trial.measurement.metrics["mae"]
    assert 0 < trial.measurement.metrics["mae"] < 255


def fit(out: Path, *options: str) -> int:
    return cli.main(["run", "fit-curve", "--out", str(out), "--device", "cpu", *options])


def summary(out: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return value


def journal(out: Path) -> list[dict[str, Any]]:
    """Return the events without what depends on the time."""
    lines = (out / "journal.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key not in ("time", "check")}
        for line in lines
    ]


def test_its_recipe_finds_the_curve(tmp_path: Path) -> None:
    assert fit(tmp_path / "run") == 0
    assert summary(tmp_path / "run")["curve"] == TRUTH
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["versions"]["plugins"]["sample"] == "0.3.1"


STOPPING = """
from corenas import hookimpl

@hookimpl
def corenas_event(run, event):
    if event.kind == "trial" and event.step == 9:
        run.stop.request("interrupted")
"""


def test_its_resumed_recipe_equals_the_uninterrupted_one(
    tmp_path: Path, install_plugin: InstallPlugin
) -> None:
    assert fit(tmp_path / "whole") == 0
    install_plugin("stopping", STOPPING)
    out = tmp_path / "stopped"
    assert fit(out) == 130
    assert summary(out)["stopped"] == "interrupted"
    assert len(journal(out)) < len(journal(tmp_path / "whole"))
    assert cli.main(["resume", str(out), "--device", "cpu"]) == 0
    assert journal(out) == journal(tmp_path / "whole")
    keys = ("finished", "curve", "score")
    assert [summary(out)[k] for k in keys] == [summary(tmp_path / "whole")[k] for k in keys]


@pytest.mark.slow
def test_its_recipe_runs_in_worker_processes(tmp_path: Path) -> None:
    order = ["--set", "search.executor.use=processes", "--set", "search.executor.order=submission"]
    assert fit(tmp_path / "one", *order, "--workers", "1", "--set", "search.steps=8") == 0
    assert fit(tmp_path / "serial", "--set", "search.steps=8") == 0
    assert journal(tmp_path / "one") == journal(tmp_path / "serial")


def test_its_observer_sees_every_trial(tmp_path: Path) -> None:
    assert fit(tmp_path, "--set", "search.steps=4") == 0
    last = [event for event in journal(tmp_path) if event["kind"] == "trial"][-1]
    assert (tmp_path / "latest.txt").read_text() == f"4/4 {last['trial']['score']}\n"


def test_its_command_is_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["curve", TRUTH]) == 0
    assert float(capsys.readouterr().out.removeprefix(f"{TRUTH}: ")) < 0.1
    assert cli.main(["curve", "1 + sine"]) == 2
    assert capsys.readouterr().err == "error: unknown function 'sine'; did you mean 'sin'?\n"


SABOTAGED = {
    "bad-argument": "def corenas_event(event, when): ...",
    "bad-import": "import no_such_library",
    "bad-name": "def corenas_metric(): return []",
    "bad-raise": "def corenas_recipes(): return [1 / 0]",
    "worse-twin": "def corenas_strategies(): return [Component('climb', 'worse_twin:build')]",
}
REASONS = {
    "bad-argument": "'when'",
    "bad-import": "ModuleNotFoundError: No module named 'no_such_library'",
    "bad-name": "unknown hook 'corenas_metric'; did you mean 'corenas_metrics'?",
    "bad-raise": "corenas_recipes: ZeroDivisionError: division by zero",
    "worse-twin": "strategy 'climb' is already offered by the plugin 'sample'",
}
BAD_OBSERVER = """
from corenas import hookimpl

@hookimpl
def corenas_event(run, event):
    raise ValueError("out of paper")
"""


def test_five_sabotaged_packages_and_a_bad_observer_do_not_stop_its_recipe(
    tmp_path: Path, install_plugin: InstallPlugin, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (name, source) in enumerate(SABOTAGED.items()):
        marked = source.replace("def ", "@hookimpl\ndef ")
        install_plugin(
            name, f"from corenas import Component, hookimpl\n{marked}\n", version=f"0.0.{number}"
        )
    install_plugin("bad-observer", BAD_OBSERVER)
    assert cli.main(["plugins"]) == 1
    lines = {
        line.split()[0]: line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()
    }
    for number, (name, reason) in enumerate(REASONS.items()):
        assert lines[name][1:3] == [name, f"0.0.{number}"]
        assert lines[name][3].startswith("broken: ")
        assert reason in lines[name][3]
    assert lines["sample"][3] == lines["corenas"][3] == "works"
    assert fit(tmp_path / "run") == 0
    assert summary(tmp_path / "run")["curve"] == TRUTH
    assert (tmp_path / "run" / "latest.txt").exists()
    said = [line for line in capsys.readouterr().out.splitlines() if "observes no more" in line]
    assert len(said) == 1
    assert "'bad-observer'" in said[0]


@pytest.mark.slow
def test_pip_installs_it(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="it is what builds the package")
    pytest.importorskip("pip")
    shutil.copytree(SAMPLE, tmp_path / "source")  # setuptools writes beside what it builds
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    target = ["--target", str(tmp_path / "site"), str(tmp_path / "source")]
    run = [sys.executable, "-m", "pip", "install", "--quiet", *offline, *target]
    subprocess.run(run, check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-m", "corenas.cli", "curve", TRUTH]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{TRUTH}: 0.0")
