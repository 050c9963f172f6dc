"""A run with the executor ``ray``, from the command line: killed, interrupted, and finished."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs corenas[ray]")

RUN = [sys.executable, "-m", "corenas.cli"]
OPTIONS = [
    *("--preset=quick", "--workers=2", "--set=search.executor=ray"),
    *("--set=search.evaluator.training.steps=30", "--set=finalists.count=1"),
    *("--set=training.steps=20", "--set=training.warmup=0", "--set=training.validate_every=20"),
]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*RUN, *arguments],
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def trials(folder: Path) -> list[dict[str, Any]]:
    journal = folder / "journal.jsonl"
    if not journal.exists():
        return []
    lines = journal.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    ended = (event for event in events if event["kind"] in ("trial", "failed"))
    return [event["trial"] for event in ended if event["stage"] == "search"]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


def rays(pid: int) -> list[str]:
    """Return the processes of a Ray that a command started: its servers and workers.

    Its two agents notice a kill after a minute, and do nothing until then.
    """
    listed = subprocess.run(
        ["ps", "-eo", "sid,stat,args"], capture_output=True, text=True, check=True
    )
    lines = (line.split(None, 2) for line in listed.stdout.splitlines()[1:])
    of_session = [args for sid, stat, args in lines if int(sid) == pid and "Z" not in stat]
    return [args for args in of_session if "ray" in args and "Agent" not in args]


@pytest.mark.slow
@pytest.mark.abuse("run killed at seeded moments")
def test_run_on_a_local_ray_survives_a_kill_and_an_interrupt(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    folder = tmp_path / "run"
    killed = start("run", "tiny", f"--out={folder}", *OPTIONS)
    until(lambda: len(trials(folder)) >= 4)
    status = subprocess.run(
        [*RUN, "status", str(folder), "--json"], capture_output=True, text=True, check=True
    )
    assert sum(json.loads(status.stdout)["workers"].values()) == 2
    assert rays(killed.pid)
    killed.send_signal(signal.SIGKILL)
    until(lambda: not rays(killed.pid))
    interrupted = start("resume", str(folder))
    until(lambda: len(trials(folder)) >= 8)
    interrupted.send_signal(signal.SIGINT)
    output, _ = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 130, output
    assert "continue with 'corenas resume" in output
    until(lambda: not rays(interrupted.pid))
    last = start("resume", str(folder))
    output, _ = last.communicate(timeout=120)
    assert last.returncode == 0, output
    found = trials(folder)
    assert [trial["status"] for trial in found] == ["finished"] * 12
    assert len({trial["number"] for trial in found}) == 12
    assert list(folder.glob("models/*.safetensors"))
