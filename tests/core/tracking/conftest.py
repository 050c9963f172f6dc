"""A recipe that searches without training, and strangers' trackers."""

from __future__ import annotations

import pytest

from corenas.runs import run as run_module
from corenas.testing.installed import InstallPlugin, install_plugin

__all__ = ["install_plugin"]

RECIPE = """
import os
import signal

from attrs import frozen

from corenas import Component, Recipe, SearchConfig, hookimpl, section
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace


@frozen
class Options:
    search: SearchConfig = section(
        SearchConfig, "the search", steps=8, space="tracked-space", evaluator="tracked-evaluator",
        executor="serial",
    )


def space(config):
    return SurrogateSpace()


def evaluator(config, space, data):
    return SurrogateEvaluator(limit=5.5e9)


def run(run, options):
    for name in ("first", "second"):
        found = run.search(name, options.search)
        if not run.stopping():
            (run.images / f"{name}.png").write_bytes(PICTURE)
    if os.environ.get("RELEASE"):
        open(os.environ["RELEASE"], "w").close()
    return {"models": [{"name": "net", "psnr": found.trials[0].score}]}


PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c63600000000200014873a0a80000000049454e44ae426082"
)


@hookimpl
def corenas_search_spaces():
    return [Component("tracked-space", "tracked:space")]


@hookimpl
def corenas_evaluators():
    return [Component("tracked-evaluator", "tracked:evaluator")]


@hookimpl
def corenas_recipes():
    return [Recipe("tracked", "tracked:run", Options)]


@hookimpl
def corenas_event(run, event):
    if f"{event.stage} {event.step}" == os.environ.get("KILL_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
    if f"{event.stage} {event.step}" == os.environ.get("STOP_AT"):
        run.stop.request("for a test")
"""


@pytest.fixture(autouse=True)
def _recipe(install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin("tracked", RECIPE)
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))


TRACKERS = """
import os
import threading
import time
from pathlib import Path

from corenas import Component, hookimpl


class Plain:
    def __init__(self, config):
        self.seen = []

    def begin(self, run):
        self.run = run
        run.place.mkdir(parents=True, exist_ok=True)
        self.note("begin", run.parameters["search.steps"])

    def note(self, *words):
        with (self.run.place / "notes.txt").open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    def log(self, entry):
        self.note("event", entry.number)

    def picture(self, name, file):
        self.note("picture", name, len(file.read_bytes()))

    def flush(self):
        return None

    def end(self, state, summary):
        decided = len(self.run.decisions("first"))
        self.note("end", state, len(summary.get("models", [])), decided)


class Raising(Plain):
    def log(self, entry):
        if entry.number == 3:
            raise ConnectionError("no route to [bold]host[/bold]\\nsecond line")


class Leaving(Plain):
    def flush(self):
        raise SystemExit(7)


class Hanging(Plain):
    def log(self, entry):
        threading.Event().wait()


class Slow(Plain):
    until = "RELEASE"

    def begin(self, run):
        file = Path(os.environ[self.until])
        super().begin(run)
        while not file.exists():
            time.sleep(0.01)


class Held(Slow):
    until = "HELD"

    def flush(self):
        self.note("flush")


@hookimpl
def corenas_trackers():
    names = ("plain", "raising", "leaving", "hanging", "slow", "held")
    return [Component(name, f"strangers:{name.capitalize()}") for name in names]
"""


@pytest.fixture
def _strangers(install_plugin: InstallPlugin) -> None:
    install_plugin("strangers", TRACKERS)
