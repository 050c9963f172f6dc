"""Whatever ends a tpsr run, `corenas resume` brings it to the end that it would have come to."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from corenas.testing.installed import InstallPlugin

STAGES = ("search", "fresh", "train-x2", "train-x4")

MOMENTS = """
import os
import signal
import threading

from corenas import hookimpl


@hookimpl
def corenas_event(run, event):
    lines = (run.folder / "journal.jsonl").read_bytes().count(b"\\n")
    for name, act in (("KILL", kill), ("INTERRUPT", interrupt)):
        if lines == int(os.environ.get(f"{name}_AT_LINE", "-1")):
            act(os.environ)


def kill(env):
    send = os.killpg if env["KILL_WHOM"] == "group" else os.kill
    whom = os.getpgrp() if env["KILL_WHOM"] == "group" else os.getpid()
    threading.Timer(float(env["KILL_AFTER"]), send, (whom, signal.SIGKILL)).start()


def interrupt(env):
    for _ in range(int(env["INTERRUPT_TIMES"])):
        os.kill(os.getpid(), signal.SIGINT)
"""
"""Kills or interrupts a run when its journal has so many lines."""


@pytest.fixture(autouse=True)
def moments(install_plugin: InstallPlugin) -> None:
    install_plugin("moments", MOMENTS)


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return what a journal says, without what depends on the clock."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        del event["time"], event["check"]
        event.get("trial", {}).pop("seconds", None)
    return events


def results(folder: Path) -> dict[str, Any]:
    """Return everything that a run hands over, without what depends on the clock."""
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary.pop("seconds")) == list(STAGES)
    models = {file.name: file.read_bytes() for file in (folder / "models").glob("*.safetensors")}
    return {"summary": summary, **models}


def seeded_moments(events: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> list[int]:
    """Choose so many lines of each stage in the journal of an uninterrupted run."""
    choose = random.Random(7)
    lines = {
        stage: [number for number, e in enumerate(events, start=1) if e["stage"] == stage]
        for stage in STAGES
    }
    chosen = (choose.sample(lines[s], n) for s, n in zip(STAGES, counts, strict=True))
    return sorted(line for some in chosen for line in some)


def check_once(events: Sequence[Mapping[str, Any]]) -> None:
    """Every trial stands in the journal once."""
    for stage, count in (("search", 4), ("fresh", 2)):
        numbers = [e["trial"]["number"] for e in events if e["stage"] == stage and "trial" in e]
        assert sorted(numbers) == list(range(count))


SURVIVALS = [
    pytest.param("serial", 1, (3, 2, 3, 2), id="serial"),
    pytest.param('{use="processes", order="submission"}', 2, (2, 1, 1, 0), id="processes"),
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
    check_once(expected)
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
