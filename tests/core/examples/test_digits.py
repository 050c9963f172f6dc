"""The example of another task: a package as a stranger would write it."""

from __future__ import annotations

import ast
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from corenas import (
    Architecture,
    Budget,
    Evaluator,
    Gradual,
    Problem,
    Rejected,
    SearchSpace,
    Share,
    Stop,
    Strategy,
    choose,
    cli,
    structure,
)
from corenas.cost import count
from corenas.modelfile import load_model
from corenas.search.executors.serial import Serial
from corenas.testing.contracts import (
    GradualEvaluatorContract,
    SearchSpaceContract,
    StrategyContract,
    same,
)
from corenas.testing.installed import InstallPlugin, install_plugin

__all__ = ["install_plugin"]

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits"

SMALL = (
    *("--set", "search.evaluator.training.steps=20"),
    *("--set", "training.steps=20", "--set", "training.report_every=5"),
)


@pytest.fixture(autouse=True, scope="module")
def _installed(install_project: Callable[[Path], None]) -> None:
    install_project(EXAMPLE)


def space() -> Any:
    return choose("search_spaces", "digits-cnn").build()


def evaluator(**options: Any) -> Evaluator:
    chosen = choose("evaluators", "digits-accuracy")
    training = {"steps": 5, "batch": 8, "report_every": 2}
    config = structure(type(chosen.config), {"training": training, **options})
    data = structure(type(choose_recipe().data))
    built: Evaluator = type(chosen.build(space(), data))(config, space(), data)
    return built


def choose_recipe() -> Any:
    from corenas import default_registry

    return structure(default_registry().recipe("digits").config)


class TestSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        built: SearchSpace = space()
        return built


class TestEvaluator(GradualEvaluatorContract):
    def make(self) -> Evaluator:
        return evaluator()

    @pytest.fixture
    def architecture(self) -> Architecture:
        known: Architecture = space().known["digits/plain"]
        return known

    @pytest.fixture
    def refused(self) -> Architecture:
        large: Architecture = space().parse({"width": 24, "blocks": ["conv5"] * 4})
        return large


@pytest.mark.slow
class TestStrategies(StrategyContract):
    """Strategies that know nothing of digits, over real trainings of a few steps."""

    @pytest.fixture(params=["random", "evolution", "reinforce"])
    def strategy(self, request: pytest.FixtureRequest) -> Strategy:
        built: Strategy = choose("strategies", request.param).build()
        return built

    @pytest.fixture(autouse=True)
    def _without_a_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Events tell the seconds of a trial, which no two runs share."""
        monkeypatch.setattr("time.perf_counter", lambda: 0.0)

    def problem(self, seed: int) -> Problem:
        measured = evaluator(params_limit=6000)
        objective = choose("objectives", "metric").build(measured.measures)
        return Problem(space(), measured, objective, Serial(stop=Stop()), Budget(8), seed)


def test_continued_training_has_the_weights_of_the_uninterrupted_one() -> None:
    measured = evaluator(
        training={"steps": 12, "batch": 8, "report_every": 5, "schedule": "cosine"}
    )
    assert isinstance(measured, Gradual)

    def train(share: Share) -> dict[str, Any]:
        plain = space().known["digits/plain"]
        job = measured.prepare_share(plain, share, number=0, seed=3)
        assert not isinstance(job, Rejected)
        state = job.run("cpu", lambda step, value: False).state
        found: dict[str, Any] = torch.load(io.BytesIO(state), weights_only=True)
        # Means since the last event and the least of them; a part's events are others.
        del found["scalars"]
        found["step"]["least"] = math.inf
        return found

    def state(share: Share) -> bytes:
        buffer = io.BytesIO()
        torch.save({**train(share), "scalars": {}}, buffer)
        return buffer.getvalue()

    part = state(Share(1 / 4))
    assert same(train(Share(3 / 4, state(Share(1 / 2, part)))), train(Share(3 / 4)))


def test_plain_network_costs_what_its_layers_say() -> None:
    network = space().build(space().known["digits/plain"])
    cost = count(network, (1, 1, 8, 8))
    convolutions = 64 * 9 * 16 + 64 * 9 * 16 * 16 + 16 * 9 * 16 * 16  # the pool is behind the first
    assert cost.mult_adds == convolutions + 16 * 10
    weights = 16 * 9 + 16 + 2 * (9 * 16 * 16 + 2 * 16) + 16 * 10 + 10
    assert cost.params == sum(p.numel() for p in network.parameters()) == weights


def test_parts_are_disjoint_and_have_all_digits_in_equal_shares() -> None:
    from corenas_digits.data import load

    digits = load(choose_recipe().data)
    parts = [digits.train, digits.validation, digits.test]
    assert [len(part.classes) for part in parts] == [1077, 360, 360]
    assert sum(len(part.pixels) for part in parts) == 1797
    for part in parts:
        shares = torch.bincount(part.classes, minlength=10) / len(part.classes)
        assert shares.min() > 0.09
        assert (part.pixels.min(), part.pixels.max()) == (0, 1)


def test_it_uses_public_names_alone_and_nothing_of_super_resolution() -> None:
    for file in (EXAMPLE / "corenas_digits").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not any(name.startswith("_") for name in names if name != "__future__"), file
                assert not node.module.startswith("corenas_sr"), file


def run(out: Path, *options: str) -> int:
    return cli.main(["run", "digits", "--out", str(out), *SMALL, *options])


def summary(out: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return value


def journal(out: Path) -> list[dict[str, Any]]:
    """Return the events without what depends on the time."""
    events = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    for event in events:
        del event["time"], event["check"]
        event.get("trial", {}).pop("seconds", None)
    return events


def test_recipe_hands_over_a_model_that_was_tested_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run(out, "--set", "search.steps=4", "--set", "search.executor=serial") == 0
    found = summary(out)
    (entry,) = found["models"]
    model = load_model(out / entry["file"])
    assert isinstance(model.module, nn.Module)
    assert model.architecture.id == found["architecture"]["id"]
    assert entry["params"] <= 10_000
    from corenas_digits.data import load

    test = load(choose_recipe().data).test
    with torch.no_grad():
        right = model.module(test.pixels).argmax(dim=1) == test.classes
    assert entry["test_accuracy"] == pytest.approx(100 * right.double().mean().item())
    names = {file.name for file in (out / "images").iterdir()}
    assert names >= {"search.png", "pareto.png", "network.png", "network.svg", "network.dot"}
    capsys.readouterr()
    assert cli.main(["best", str(out), "--pareto"]) == 0
    assert capsys.readouterr().out.startswith("better: accuracy higher, params lower, mult_adds")
    assert cli.main(["status", str(out)]) == 0
    assert "train" in capsys.readouterr().out


def test_dry_run_estimates_and_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "run", "--dry-run") == 0
    rows = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert (rows["search"][1], rows["train"][1]) == ("800", "20")
    assert not (tmp_path / "run").exists()


def test_search_in_shares_says_how_far_it_trained_and_leaves_no_states(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ("search.steps=9", "search.strategy=asha", "search.strategy.sampler=evolution")
    sets = (word for option in options for word in ("--set", option))
    assert run(out, *sets, "--set", "search.executor=serial") == 0
    agreement = "between 1/3 and all of the training"
    assert agreement in capsys.readouterr().out
    assert cli.main(["status", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "(9 at 1/9, " in shown
    assert agreement in shown
    assert cli.main(["status", str(out), "--json"]) == 0
    stage = json.loads(capsys.readouterr().out)["stages"][0]
    assert [rung["fidelity"] for rung in stage["rungs"]] == [1 / 9, 1 / 3, 1.0]
    assert sum(rung["finished"] for rung in stage["rungs"]) == stage["trials"]["finished"]
    assert stage["step"] == 9
    assert (stage["best"]["rung"], stage["best"]["fidelity"]) == (2, 1.0)
    best = max(
        (
            e["trial"]
            for e in journal(out)
            if e["kind"] == "trial" and e["trial"].get("fidelity") == 1
        ),
        key=lambda trial: trial["score"],
    )
    assert summary(out)["architecture"]["id"] == Architecture.from_json(best["architecture"]).id
    assert not list(out.glob("checkpoints/*.states"))


OBSERVER = """
import os
import signal

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    if f"{event.stage} {event.kind} {event.step}" == os.environ.get("KILL_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "evolution", "reinforce", "asha", "hyperband"])
def test_killed_search_and_training_resume_to_the_same_end(
    tmp_path: Path, install_plugin: InstallPlugin, strategy: str
) -> None:
    options = (
        *("--set", "search.steps=6", "--set", f"search.strategy={strategy}"),
        *("--set", "search.executor=serial"),
    )
    assert run(tmp_path / "whole", *options) == 0
    install_plugin("killer", OBSERVER)
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "corenas.cli"]
    start = [*command, "run", "digits", "--out", str(out), *SMALL, *options]
    for number, moment in enumerate(("search trial 4", "train epoch 10")):
        arguments = start if number == 0 else [*command, "resume", str(out)]
        environment = {**os.environ, "KILL_AT": moment}
        done = subprocess.run(arguments, env=environment, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert cli.main(["resume", str(out)]) == 0
    assert journal(out) == journal(tmp_path / "whole")
    whole, killed = summary(tmp_path / "whole"), summary(out)
    assert killed["models"] == whole["models"]
    assert not list(out.glob("checkpoints/*.states"))
    files = ["models/digits.safetensors"]
    assert all((out / f).read_bytes() == (tmp_path / "whole" / f).read_bytes() for f in files)


@pytest.mark.slow
def test_two_workers_in_the_order_of_submission_give_what_one_gives(tmp_path: Path) -> None:
    options = ("--set", "search.steps=4", "--set", "search.executor.order=submission")
    assert run(tmp_path / "two", *options, "--workers", "2") == 0
    assert run(tmp_path / "again", *options, "--workers", "2") == 0
    assert journal(tmp_path / "two") == journal(tmp_path / "again")


STOPPING = """
from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    if event.stage == "train" and event.step == 10:
        run.stop.request("interrupted")
"""


def test_interrupted_training_does_not_look_at_the_test_images(
    tmp_path: Path, install_plugin: InstallPlugin
) -> None:
    install_plugin("stopping", STOPPING)
    options = ("--set", "search.steps=2", "--set", "search.executor=serial")
    assert run(tmp_path / "run", *options) == 130
    assert "models" not in summary(tmp_path / "run")
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert summary(tmp_path / "run")["models"][0]["test_accuracy"] >= 0


@pytest.mark.slow
def test_pip_installs_it_and_it_runs_outside_the_checkout(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="it is what builds the package")
    pytest.importorskip("pip")
    shutil.copytree(EXAMPLE, tmp_path / "source")  # setuptools writes beside what it builds
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    target = ["--target", str(tmp_path / "site"), str(tmp_path / "source")]
    install = [sys.executable, "-m", "pip", "install", "--quiet", *offline, *target]
    subprocess.run(install, check=True, capture_output=True)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)[1:]  # the first has our fixture's
    paths = os.pathsep.join([str(tmp_path / "site"), *others])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "corenas.cli", "run", "digits", "--out", "here", *SMALL]
    options = ["--set", "search.steps=2", "--set", "search.executor=serial"]
    subprocess.run([*command, *options], cwd=tmp_path, env=environment, check=True)
    assert summary(tmp_path / "here")["models"][0]["params"] <= 10_000
