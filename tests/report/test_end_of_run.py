"""Every run ends with a report, also one that is interrupted or fails, and none fails by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corenas import cli
from corenas.runs.launch import failure_of, state_of
from corenas.testing.installed import InstallPlugin

from .parsing import read

COUNTING = """
import os
import signal

from corenas import Event, InputError, Recipe, Result, hookimpl


class Count:
    def __init__(self):
        self.done = 0

    def events(self):
        while self.done < 4:
            self.done += 1
            yield Event("epoch", self.done, 4, {"height": self.done})

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        return Result({})


def run(run, options):
    run.stage("count", Count())
    if os.environ.get("END") == "failure":
        raise InputError("photograph.png: damaged")
    return {}


@hookimpl
def corenas_recipes():
    return [Recipe("count", "counting:run", type(Options()))]


@hookimpl
def corenas_event(run, event):
    if event.step == 2 and os.environ.get("END") == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)


from attrs import frozen


@frozen
class Options:
    pass
"""


@pytest.fixture(autouse=True)
def _counting(install_plugin: InstallPlugin) -> None:
    install_plugin("counting", COUNTING)


def test_an_interrupted_run_leaves_a_report_and_goes_on_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    monkeypatch.setenv("END", "interrupted")
    assert cli.main(["run", "count", "--out", str(out)]) == 130
    stopped = read(out / "report.html")
    assert "was stopped before its end" in stopped.text
    assert f"corenas resume {out}" in stopped.text
    assert "2 of 4 steps, not finished" in stopped.text
    monkeypatch.setenv("END", "")
    assert cli.main(["resume", str(out)]) == 0
    finished = read(out / "report.html")
    assert "4 of 4 steps" in finished.text
    assert "not finished" not in finished.text


def test_a_run_that_fails_leaves_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    monkeypatch.setenv("END", "failure")
    assert cli.main(["run", "count", "--out", str(out)]) == 2
    told = read(out / "report.html").text
    assert "The run failed. This is the best that it had. photograph.png: damaged" in told
    assert "error: photograph.png: damaged" in capsys.readouterr().err


def test_why_a_run_failed_is_told_until_it_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    monkeypatch.setenv("END", "failure")
    assert cli.main(["run", "count", "--out", str(out)]) == 2
    made_at_its_end = read(out / "report.html").text
    assert cli.main(["report", str(out)]) == 0
    again = read(out / "report.html").text
    for page in (made_at_its_end, again):
        assert "The run failed. This is the best that it had. photograph.png: damaged" in page
    capsys.readouterr()
    assert cli.main(["status", str(out)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("count: failed\nerror: photograph.png: damaged\n")
    assert f"continue with 'corenas resume {out}'" in told
    assert cli.main(["status", str(out), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["state"], value["error"]) == ("failed", "photograph.png: damaged")
    whole = (out / "failure.json").read_text()
    for damaged in ("", whole[:-5], "[1]", "{}"):  # then nothing is known but that it goes on
        (out / "failure.json").write_text(damaged)
        assert (state_of(out), failure_of(out)) == ("stopped", "")
    monkeypatch.setenv("END", "")
    assert cli.main(["resume", str(out)]) == 0
    assert cli.main(["report", str(out)]) == 0
    assert "photograph.png" not in read(out / "report.html").text
    assert not (out / "failure.json").exists()


@pytest.mark.abuse("a report that cannot be written")
def test_a_report_that_cannot_be_written_is_said_once_and_costs_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert cli.main(["run", "count", "--out", str(out)]) == 0
    (out / "report.html").unlink()
    (out / "report.html").mkdir()
    (out / "summary.json").unlink()  # so that there is something left to do
    capsys.readouterr()
    assert cli.main(["resume", str(out)]) == 0
    told = capsys.readouterr().out.replace("\n", " ")
    assert told.count("the report of the run is not written") == 1
    assert json.loads((out / "summary.json").read_text())["finished"]
