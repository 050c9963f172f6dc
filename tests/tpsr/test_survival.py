"""Whatever ends a tpsr run, `corenas resume` brings it to the end that it would have come to."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from corenas.testing.installed import InstallPlugin
from corenas_sr.models.files import load_model
from corenas_tpsr.generator.weight_cache import read_weights

pytestmark = pytest.mark.abuse("run killed at seeded moments")

STAGES = ("search", "fresh", "train-x2", "train-x4")

MOMENTS = """
import os
import signal
import threading
import time

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    lines = (run.folder / "journal.jsonl").read_bytes().count(b"\\n")
    for act in (kill, interrupt, dawdle):
        if lines == int(os.environ.get(f"{act.__name__.upper()}_AT_LINE", "-1")):
            act(os.environ)


def kill(env):
    group = env["KILL_WHOM"] == "group"
    send, whom = (os.killpg, os.getpgrp()) if group else (os.kill, os.getpid())
    threading.Timer(float(env["KILL_AFTER"]), send, (whom, signal.SIGKILL)).start()


def interrupt(env):
    for _ in range(int(env["INTERRUPT_TIMES"])):
        os.kill(os.getpid(), signal.SIGINT)


def dawdle(env):
    time.sleep(float(env["DAWDLE_SECONDS"]))
"""
"""Kills, interrupts or delays a run when its journal has so many lines."""


@pytest.fixture(autouse=True)
def _moments(install_plugin: InstallPlugin) -> None:
    install_plugin("moments", MOMENTS)


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return what a journal says, without what depends on the clock."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        del event["time"], event["check"]
        event.get("trial", {}).pop("seconds", None)
    return events


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def results(folder: Path) -> dict[str, Any]:
    """Return everything that a run hands over, without what depends on the clock."""
    handed_over = summary(folder)
    del handed_over["run"]  # when it began
    assert list(handed_over.pop("seconds")) == list(STAGES)
    files = sorted((folder / "models").rglob("*.safetensors"))
    models = {str(file.relative_to(folder)): file.read_bytes() for file in files}
    return {"summary": handed_over, **models}


def line_of(folder: Path, kind: str, *, stage: str, number: int = 1) -> int:
    """Return which line of the journal is the first, second, … of its kind in a stage."""
    events = enumerate(journal(folder), start=1)
    lines = [line for line, e in events if (e["kind"], e["stage"]) == (kind, stage)]
    return lines[number - 1]


def seeded_moments(events: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> list[int]:
    """Choose so many lines of each stage in the journal of an uninterrupted run."""
    choose = random.Random(7)
    moments: list[int] = []
    for stage, count in zip(STAGES, counts, strict=True):
        lines = [line for line, event in enumerate(events, start=1) if event["stage"] == stage]
        moments += choose.sample(lines, count)
    return sorted(moments)


SURVIVALS = [
    pytest.param("serial", 1, (3, 2, 3, 2), id="serial"),
    pytest.param('{use="processes", order="submission"}', 2, (3, 2, 3, 2), id="processes"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("executor", "workers", "counts"), SURVIVALS)
def test_killed_run_resumes_to_the_journal_and_models_of_an_uninterrupted_one(
    tmp_path: Path,
    command: Callable[..., Any],
    tiny: Callable[..., list[str]],
    executor: str,
    workers: int,
    counts: Sequence[int],
) -> None:
    options = {"search.executor": executor}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert command(*tiny(whole, options), f"--workers={workers}").status == 0
    expected = journal(whole)
    trials = [(e["stage"], e["trial"]["number"]) for e in expected if "trial" in e]
    assert trials == [*(("search", number) for number in range(4)), ("fresh", 0)]
    draw = random.Random(8)
    arguments = tiny(killed, options)
    for number, line in enumerate(seeded_moments(expected, counts)):
        moment = {
            "KILL_AT_LINE": str(line),
            "KILL_AFTER": str(draw.uniform(0.0, 0.05)),
            "KILL_WHOM": "main process" if number == 1 else "group",
        }
        save_always = draw.random() < 0.7  # else a stage of this length begins anew
        done = command(*arguments, f"--workers={workers}", env=moment, save_always=save_always)
        assert done.status == -9, done.err
        arguments = ["resume", str(killed)]
    done = command(*arguments, f"--workers={workers}")
    assert done.status == 0, done.err
    assert journal(killed) == expected
    assert results(killed) == results(whole)
    assert not [file for file in killed.rglob("*") if file.name.endswith("~")]


def test_interrupted_search_hands_over_and_resumes_to_the_same_end(
    tmp_path: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = tmp_path / "run"
    line = line_of(finished, "trial", stage="search", number=2)
    moment = {"INTERRUPT_AT_LINE": str(line), "INTERRUPT_TIMES": "1"}
    done = command(*tiny(out, {}), env=moment)
    assert done.status == 130
    assert done.err == f"stopped; continue with 'corenas resume {out}'\n"
    so_far = summary(out)
    assert (so_far["finished"], so_far["stopped"]) == (False, "interrupted")
    assert so_far["search"]["trials"] == 2
    (model,) = so_far["models"]
    assert model["scale"] == 2
    assert set(model["metrics"]) == set(model["bicubic"]) == {"psnr", "ssim"}
    loaded = load_model(out / model["file"])
    assert loaded.architecture.id == so_far["architecture"]["id"]
    weights = loaded.module.state_dict()
    cache = out / "models" / "search" / "weight-cache.safetensors"
    cached = read_weights(cache, loaded.architecture)
    assert all(torch.equal(weights[name], cached[name]) for name in weights)
    assert command("resume", out).status == 0
    assert journal(out) == journal(finished)
    assert results(out) == results(finished)


def test_interrupted_before_the_first_trial_there_is_nothing_to_hand_over_yet(
    tmp_path: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = tmp_path / "run"
    line = line_of(finished, "started", stage="search")
    moment = {"INTERRUPT_AT_LINE": str(line), "INTERRUPT_TIMES": "1"}
    done = command(*tiny(out, {}), env=moment)
    assert done.status == 130
    assert "nothing to hand over" in done.out
    assert done.err == f"stopped; continue with 'corenas resume {out}'\n"
    assert summary(out)["stopped"] == "interrupted"
    assert "models" not in summary(out)


@pytest.mark.slow
def test_interrupted_twice_leaves_at_once_and_resumes_to_the_same_end(
    tmp_path: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = tmp_path / "run"
    line = line_of(finished, "trial", stage="search", number=2)
    moment = {"INTERRUPT_AT_LINE": str(line), "INTERRUPT_TIMES": "2"}
    done = command(*tiny(out, {}), env=moment)
    assert done.status == 130
    assert done.err == f"left at once; continue with 'corenas resume {out}'\n"
    assert not (out / "summary.json").exists()
    assert len(journal(out)) == line
    assert command("resume", out).status == 0
    assert journal(out) == journal(finished)


@pytest.mark.slow
def test_run_that_is_interrupted_between_two_stages_is_not_finished(
    tmp_path: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = tmp_path / "run"
    line = line_of(finished, "stage", stage="train-x2", number=2)
    moment = {"INTERRUPT_AT_LINE": str(line), "INTERRUPT_TIMES": "1"}
    assert command(*tiny(out, {}), env=moment).status == 130
    assert summary(out)["finished"] is False
    assert [model["scale"] for model in summary(out)["models"]] == [2]
    assert command("resume", out).status == 0
    assert journal(out) == journal(finished)
    assert results(out) == results(finished)


@pytest.mark.slow
def test_spent_time_is_no_failure_and_hands_over(
    tmp_path: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = tmp_path / "run"
    line = line_of(finished, "trial", stage="search")
    moment = {"DAWDLE_AT_LINE": str(line), "DAWDLE_SECONDS": "8"}
    done = command(*tiny(out, {}), "--max-time=8s", env=moment)
    assert done.status == 0, done.err
    assert f"stopped (time budget); continue with 'corenas resume {out}'" in done.out
    assert summary(out)["stopped"] == "time budget"
    assert [model["scale"] for model in summary(out)["models"]] == [2]
    done = command("resume", out)
    assert (done.status, done.out.splitlines()[-1]) == (0, f"finished: {out}")
    assert journal(out) == journal(finished)


TROUBLE = """
import os
import signal
import time

from corenas import Component, hookimpl, sampled

NAMES = ("raises", "not-a-number", "killed", "hangs")


@hookimpl
def corenas_operations():
    return [Component(name, "trouble:" + name.replace("-", "_")) for name in NAMES]


@hookimpl
def corenas_strategies():
    return [Component("each-in-turn", "trouble:each_in_turn")]


def operation(act):
    from torch import nn

    class Operation(nn.Module):
        def forward(self, x):
            return x if x.is_meta else act(x)

    return Operation()


def raises(config, channels):
    def act(x):
        raise ValueError("no such luck")

    return operation(act)


def not_a_number(config, channels):
    return operation(lambda x: x * float("nan"))


def killed(config, channels):
    return operation(lambda x: os.kill(os.getpid(), signal.SIGSEGV) or time.sleep(60))


def hangs(config, channels):
    return operation(lambda x: time.sleep(3600))


class EachInTurn:
    def __init__(self, space, seed):
        self.space = space
        self.asked = 0

    def ask(self):
        name = self.space.decisions[0].options[self.asked]
        self.asked += 1
        return self.space.parse([[name, 0]])

    def tell(self, trial):
        pass

    def scalars(self):
        return {}

    def state(self):
        return {"asked": self.asked}

    def restore(self, state):
        self.asked = state["asked"]


def each_in_turn(config):
    return sampled(EachInTurn)
"""
"""Operations that do not work, and a strategy that tries each operation once."""

REASONS = {
    "raises": "error: ValueError: no such luck",
    "not-a-number": "diverged: loss became nan",
    "killed": "killed: its worker process was ended by signal 11",
    "hangs": "timeout: took longer than its limit of 30 s; it was killed",
}


@pytest.mark.parametrize(
    ("executor", "operations"),
    [
        pytest.param("serial", ("conv1", "raises", "not-a-number", "conv3"), id="serial"),
        pytest.param(
            '{use="processes", time_limit=30}',
            ("conv1", "raises", "not-a-number", "killed", "hangs", "conv3"),
            id="processes",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_failure_costs_one_trial_and_not_the_run(
    tmp_path: Path,
    command: Callable[..., Any],
    tiny: Callable[..., list[str]],
    install_plugin: InstallPlugin,
    executor: str,
    operations: Sequence[str],
) -> None:
    install_plugin("trouble", TROUBLE)
    out = tmp_path / "run"
    changes = {
        "search.steps": 2,
        "search.executor": executor,
        "search.strategy": "each-in-turn",
        "search.space.nodes": 1,
        "search.space.operations": json.dumps(operations),
        "fresh.count": 0,
    }
    done = command(*tiny(out, changes), "--workers=1")
    assert done.status == 0, done.err
    trials = [event["trial"] for event in journal(out) if "trial" in event]
    assert [t["architecture"]["choices"]["op_1"] for t in trials] == list(operations)
    for trial, name in zip(trials, operations, strict=True):
        assert trial["status"] == ("failed" if name in REASONS else "finished")
        assert trial.get("reason", "").startswith(REASONS.get(name, ""))
    assert summary(out)["search"]["failed"] == len(operations) - 2
    assert [model["scale"] for model in summary(out)["models"]] == [2, 4]


@pytest.mark.slow
def test_file_that_cannot_grow_is_said_and_the_run_goes_on_when_it_can(
    tmp_path: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = tmp_path / "run"
    done = command(*tiny(out, {}), file_limit=40_000, save_always=True)
    assert done.status == 1
    assert "File too large" in done.err
    assert f"'corenas resume {out}'" in done.err
    assert done.err.count("\n") == 1
    assert command("resume", out).status == 0
    assert journal(out) == journal(finished)
    assert results(out) == results(finished)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no file system can be mounted: {error}")
    if done.returncode:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, free: int) -> None:
    """Leave so many bytes of a disk free."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    available = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(max(0, available - free)))


@pytest.mark.slow
def test_full_disk_is_said_and_the_run_goes_on_when_there_is_room(
    small_disk: Path, command: Callable[..., Any], tiny: Callable[..., list[str]], finished: Path
) -> None:
    out = small_disk / "run"
    arguments, failures = tiny(out, {}), 0
    for kibibytes in (4, 64, 512, 2048, 12 * 1024):
        fill(small_disk, 1024 * kibibytes)
        done = command(*arguments, save_always=True)
        if done.status == 0:
            break
        failures += 1
        assert done.status == 1
        assert "No space left on device" in done.err
        assert str(out) in done.err
        assert done.err.count("\n") == 1
        if (out / "journal.jsonl").exists():
            arguments = ["resume", str(out)]
    assert failures >= 3
    assert done.status == 0
    assert journal(out) == journal(finished)
    assert results(out) == results(finished)
