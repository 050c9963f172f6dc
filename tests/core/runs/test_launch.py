"""From a recipe to a run folder: identity, signals, budgets, and what is told of each."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve
from filelock import FileLock

from corenas import cli
from corenas.devices import cpu_threads
from corenas.runs import recovery
from corenas.testing.installed import InstallPlugin

SIGNALLED = """
import os
import signal

import torch
from attrs import frozen

from corenas import Event, InputError, NothingYet, Recipe, Result, hookimpl, option


@frozen
class Options:
    steps: int = option(6, "how far to count", ge=1)
    finish: str = option("", "what happens after the counting")


class Count:
    def __init__(self, options):
        self.options = options
        self.done = 0

    def events(self):
        while self.done < self.options.steps:
            self.done += 1
            yield Event("epoch", self.done, self.options.steps)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        return Result({"done": self.done})


def interrupt(times):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)


def run(run, options):
    if options.finish == "bad input":
        raise InputError("photograph.png: damaged")
    done = run.stage("count", Count(options)).values["done"]
    if options.finish == "nothing to give" and run.stop.requested:
        raise NothingYet("nothing to hand over")
    if options.finish == "interrupted":
        interrupt(1)
    made = {"workers": run.workers, "devices": list(run.devices)}
    return {"counted": done, "threads": torch.get_num_threads(), **made}


@hookimpl
def corenas_recipes():
    return [Recipe("count", "signalled:run", Options)]


@hookimpl
def corenas_event(run, event):
    at = int(os.environ.get("INTERRUPT_AT", "0"))
    if at and event.step == at:
        interrupt(int(os.environ.get("INTERRUPTS", "1")))
"""
"""A recipe that counts, and an observer that interrupts it."""


@pytest.fixture(autouse=True)
def _signalled(install_plugin: InstallPlugin) -> None:
    install_plugin("signalled", SIGNALLED)


Start = Callable[..., tuple[int, str, str]]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def start(out: Path, capsys: pytest.CaptureFixture[str]) -> Start:
    """Run the recipe into `out` with options; return status, stdout, stderr."""

    def run(*arguments: str, **options: object) -> tuple[int, str, str]:
        given = [f"--set={key}={value}" for key, value in options.items()]
        status = cli.main(["run", "count", "--out", str(out), *given, *arguments])
        return status, *capsys.readouterr()

    return run


def summary(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def steps(out: Path) -> list[int]:
    lines = (out / "journal.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_first_interrupt_saves_hands_over_and_names_the_way_on(
    start: Start, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPT_AT", "3")
    status, _, err = start()
    assert (status, err) == (130, f"stopped; continue with 'corenas resume {out}'\n")
    assert {"finished": False, "stopped": "interrupted", "counted": 3}.items() <= summary(
        out
    ).items()
    monkeypatch.setenv("INTERRUPT_AT", "0")
    assert cli.main(["resume", str(out)]) == 0
    assert summary(out)["counted"] == 6
    assert steps(out) == [0, 1, 2, 3, 4, 5, 6, 6]


def test_second_interrupt_leaves_at_once_and_names_the_way_on(
    start: Start, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPT_AT", "3")
    monkeypatch.setenv("INTERRUPTS", "2")
    status, _, err = start()
    assert (status, err) == (130, f"left at once; continue with 'corenas resume {out}'\n")
    assert not (out / "summary.json").exists()
    monkeypatch.setenv("INTERRUPT_AT", "0")
    assert cli.main(["resume", str(out)]) == 0
    assert steps(out) == [0, 1, 2, 3, 4, 5, 6, 6]


def test_interrupt_when_all_is_done_changes_nothing(start: Start, out: Path) -> None:
    status, printed, err = start(finish="interrupted")
    assert (status, err) == (0, "")
    assert printed.endswith(f"finished: {out}\n")
    assert {"finished": True, "stopped": ""}.items() <= summary(out).items()


def test_stopped_recipe_may_have_nothing_to_hand_over(
    start: Start, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPT_AT", "3")
    status, printed, err = start(finish='"nothing to give"')
    assert status == 130
    assert "nothing to hand over" in printed
    assert err == f"stopped; continue with 'corenas resume {out}'\n"
    assert summary(out)["stopped"] == "interrupted"
    assert "counted" not in summary(out)


def test_spent_budget_is_no_failure_even_with_nothing_to_hand_over(start: Start, out: Path) -> None:
    status, printed, err = start("--max-time=0.0001s", finish='"nothing to give"')
    assert (status, err) == (0, "")
    assert printed.endswith(f"stopped (time budget); continue with 'corenas resume {out}'\n")
    assert (summary(out)["finished"], summary(out)["stopped"]) == (False, "time budget")


def test_finished_run_is_left_alone(start: Start, out: Path) -> None:
    start()
    before = (out / "summary.json").stat().st_mtime_ns
    journal = (out / "journal.jsonl").read_bytes()
    status, printed, _ = start()
    assert status == 0
    assert printed == (
        f"{out}: this run is finished; there is nothing left to do\nfinished: {out}\n"
    )
    assert (out / "summary.json").stat().st_mtime_ns == before
    assert (out / "journal.jsonl").read_bytes() == journal


def test_run_that_never_began_gives_its_folder_to_another(start: Start, out: Path) -> None:
    status, _, err = start(finish='"bad input"')
    assert (status, err) == (2, "error: photograph.png: damaged\n")
    status, _, _ = start("--seed=9", steps=3)
    assert status == 0
    assert summary(out)["counted"] == 3
    assert json.loads((out / "run.json").read_text())["seed"] == 9
    status, _, err = start(steps=4)
    assert status == 2
    assert "\n  steps: 3 -> 4\n  seed: 9 -> 0\n" in err


@pytest.mark.parametrize("left", [["run.json"], [".run.json.x1~"], ["run.json", ".config.toml.x~"]])
def test_start_that_was_killed_while_it_wrote_is_no_obstacle(
    start: Start, out: Path, left: list[str]
) -> None:
    out.mkdir()
    for name in left:
        (out / name).write_text("{")
    assert start()[0] == 0
    assert not list(out.glob(".*~"))


def test_folder_with_other_things_is_not_touched(start: Start, out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("all of it")
    status, _, err = start()
    assert (status, err) == (2, f"error: {out}: is neither empty nor a run folder\n")
    assert {file.name for file in out.iterdir()} == {"thesis.txt", ".lock"}


def test_file_is_no_folder(start: Start, out: Path) -> None:
    out.write_text("")
    status, _, err = start()
    assert (status, err) == (2, f"error: {out}: cannot be made: File exists\n")


def test_folder_that_may_not_be_written_is_refused(
    start: Start, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    status, _, err = start()
    assert (status, err) == (2, f"error: {out}: may not be written to\n")


def test_two_processes_do_not_work_in_one_folder(start: Start, out: Path) -> None:
    start("--max-time=0.0001s")
    with FileLock(out / ".lock"):
        status, _, err = start()
    assert (status, err) == (2, f"error: {out}: another process is working on this run\n")
    assert start()[0] == 0


def test_a_process_that_looks_whether_a_run_goes_on_stops_no_start(start: Start, out: Path) -> None:
    start("--max-time=0.0001s")
    held = threading.Event()

    def look() -> None:
        with FileLock(out / ".lock"):
            held.set()
            time.sleep(0.2)

    looking = threading.Thread(target=look)
    looking.start()
    assert held.wait(10)
    status, _, err = start()
    looking.join()
    assert (status, err) == (0, "")


def test_workers_are_told_only_while_a_run_goes_on(
    start: Start, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start("--max-time=0.0001s")
    saved = evolve(recovery.read_progress(out), where={"node": 2})
    monkeypatch.setattr(recovery, "read_progress", lambda folder: saved)

    def status() -> tuple[str, Any]:
        capsys.readouterr()
        assert cli.main(["status", str(out)]) == 0
        text = capsys.readouterr().out
        assert cli.main(["status", str(out), "--json"]) == 0
        return text, json.loads(capsys.readouterr().out)["workers"]

    text, workers = status()
    assert "workers: " not in text
    assert workers == {}
    with FileLock(out / ".lock"):
        text, workers = status()
    assert "workers: 2 on node" in text
    assert workers == {"node": 2}


@pytest.mark.parametrize("name", ["run.json", "summary.json"])
def test_full_disk_is_said_whichever_file_is_hit(
    start: Start, out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from corenas.runs import identity, launch

    written = launch.write_json

    def full(path: Path, value: Any) -> None:
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, value)

    with monkeypatch.context() as patched:
        for module in (identity, launch):
            patched.setattr(module, "write_json", full)
        status, _, err = start()
    assert status == 1
    assert err.startswith(f"error: {out}: cannot write: No space left on device; ")
    assert f"'corenas resume {out}'" in err
    assert start()[0] == 0
    assert summary(out)["counted"] == 6


def test_workers_and_devices_reach_the_run_and_may_change(start: Start, out: Path) -> None:
    start("--workers=3", "--device=cpu", "--max-time=0.0001s")
    assert summary(out)["workers"] == 3
    assert start("--workers=2")[0] == 0
    assert (summary(out)["workers"], summary(out)["devices"]) == (2, ["cpu"])


def test_what_a_run_gives_does_not_depend_on_the_cores(start: Start, out: Path) -> None:
    with cpu_threads(3):
        start()
        assert torch.get_num_threads() == 3
    assert summary(out)["threads"] == 1


def test_device_that_is_not_there_is_the_users_error(start: Start) -> None:
    status, _, err = start("--device=cpu,nonsense")
    assert status == 2
    assert err.startswith("error: --device nonsense: cannot be used: ")
    assert err.count("\n") == 1


def test_resume_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"schema": 99}')
    assert cli.main(["resume", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}: run.json has schema 99, not 2\n"
