from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage

from corenas.cli import main
from corenas.errors import ConfigError
from corenas.files import write_json
from corenas.runs import journal
from corenas.runs.run import Run
from corenas.search.lift import SampledSearch
from corenas.search.strategies.random import RandomSearch
from corenas.show.reporter import Quiet
from corenas.stopping import Stop
from corenas.testing.surrogate import surrogate_problem
from corenas.tracking.session import Ready, tracking
from corenas.values.trial import Event, Trial
from corenas_optuna.config import StorageConfig
from corenas_optuna.storage import NUMBER, StorageTracker, open_storage

LIMIT = 5.5e9


class Told(Quiet):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def search(
    folder: Path, address: str, *, trials: int = 6, stop_after: int = 0, told: Told | None = None
) -> list[Trial]:
    """Search in a run, as `corenas run` would; return the trials of its journal."""
    stop = Stop()
    events = 0

    def observe(run: Run, event: Event) -> None:
        nonlocal events
        tracked.observe(run, event)
        events += event.trial is not None
        if stop_after and events == stop_after:
            stop.request("for a test")

    if not folder.exists():
        folder.mkdir()
        info = {"schema": 2, "recipe": "r", "preset": "", "seed": 1, "created": str(folder)}
        write_json(folder / "run.json", info)
    problem = surrogate_problem(trials, seed=1, limit=LIMIT)
    tracker = StorageTracker(StorageConfig(address))
    ready = [Ready("optuna-storage", tracker, address)]
    with tracking(folder, ready, told or Told()) as tracked:
        run = Run(folder, seed=1, stop=stop, reporter=tracked, observe=observe)
        run.decisions["search"] = problem.space.decisions
        run.stage("search", SampledSearch(problem, RandomSearch(problem.space, 1)))
        run.close()
        tracked.end("stopped" if stop.requested else "finished", {})
    return [e.trial for e in run.events("search") if e.trial is not None]


def studies(address: str) -> list[optuna.Study]:
    storage = open_storage(address)
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


@pytest.fixture(params=["sqlite", "journal"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {
        "sqlite": f"sqlite:///{tmp_path / 'runs.db'}",
        "journal": str(tmp_path / "runs.log"),
    }[request.param]


def test_address_is_a_url_or_the_path_of_a_journal_file(tmp_path):
    assert isinstance(open_storage(f"sqlite:///{tmp_path / 'a.db'}"), RDBStorage)
    assert isinstance(open_storage(str(tmp_path / "a.log")), JournalStorage)


def test_storage_has_every_trial_of_the_journal_as_it_ended(address, tmp_path):
    trials = search(tmp_path / "run", address)
    (study,) = studies(address)
    assert study.study_name.endswith("/search")
    states = {"finished": "COMPLETE", "failed": "FAIL", "rejected": "PRUNED"}
    assert {trial.status for trial in trials} == {"finished", "rejected"}
    assert [
        (t.user_attrs[NUMBER], t.state.name, t.value, t.params, t.user_attrs.get("mult_adds"))
        for t in study.trials
    ] == [
        (
            t.number,
            states[t.status],
            t.score,
            dict(t.architecture.choices),
            t.measurement and t.measurement.metrics["mult_adds"],
        )
        for t in trials
    ]
    assert study.best_trial.user_attrs[NUMBER] == max(trials, key=lambda t: t.score or 0).number
    reasons = {t.user_attrs.get("reason") for t in study.trials if t.state.name == "PRUNED"}
    assert all("mult-adds, more than" in str(reason) for reason in reasons)


@pytest.mark.abuse("a run is stopped, and its storage goes on with the same study")
def test_after_a_resume_nothing_is_there_twice_and_nothing_is_missing(tmp_path):
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    search(tmp_path / "run", address, stop_after=4)
    trials = search(tmp_path / "run", address)
    (study,) = studies(address)
    assert [t.user_attrs[NUMBER] for t in study.trials] == [t.number for t in trials]


@pytest.mark.abuse("a run is resumed, and its storage is gone")
def test_a_storage_that_is_gone_gets_no_half_of_a_run(tmp_path):
    address, told = f"sqlite:///{tmp_path / 'runs.db'}", Told()
    search(tmp_path / "run", address, stop_after=4)
    (tmp_path / "runs.db").unlink()
    trials = search(tmp_path / "run", address, told=told)
    assert len([t for t in trials if t.status == "finished"]) == 6
    assert any("/search' is no longer there; delete" in said for said in told.said)
    assert studies(address) == []


def test_without_a_cursor_all_is_written_anew(tmp_path):
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    search(tmp_path / "run", address, stop_after=4)
    (study,) = studies(address)
    study.add_trial(optuna.trial.create_trial(value=1.0, user_attrs={NUMBER: 99}))
    (tmp_path / "run" / "tracking" / "optuna-storage.json").unlink()
    trials = search(tmp_path / "run", address)
    (study,) = studies(address)
    assert [t.user_attrs[NUMBER] for t in study.trials] == [t.number for t in trials]
    assert study.user_attrs == {"options": {}, "results": {}}


def test_storage_that_comes_late_has_the_earlier_trials_too(tmp_path):
    first, second = (f"sqlite:///{tmp_path / name}.db" for name in ("first", "second"))
    search(tmp_path / "run", first, stop_after=4)
    trials = search(tmp_path / "run", second)
    (study,) = studies(second)
    assert sorted(t.user_attrs[NUMBER] for t in study.trials) == [t.number for t in trials]


def test_runs_of_one_name_have_studies_of_their_own(tmp_path):
    address = str(tmp_path / "runs.log")
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        search(tmp_path / parent / "run", address, trials=2)
    assert [len([t for t in s.trials if t.value is not None]) for s in studies(address)] == [2, 2]


@pytest.mark.abuse("a storage cannot be opened")
def test_failing_storage_is_said_once_and_the_run_ends_as_without_it(tmp_path):
    address = f"sqlite:///{tmp_path / 'no folder' / 'runs.db'}"
    told = Told()
    trials = search(tmp_path / "run", address, told=told)
    assert len([t for t in trials if t.status == "finished"]) == 6
    (said,) = told.said
    assert said.startswith("tracker 'optuna-storage' is given up: sqlite:///")
    assert "the run goes on" in said


def test_password_is_not_shown(tmp_path):
    told = Told()
    search(tmp_path / "run", "nosuch://me:secret@host/db", trials=1, told=told)
    (said,) = told.said
    assert "secret" not in said
    assert "host/db" in said


def test_without_an_address_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="give a URL"):
        StorageTracker(StorageConfig())


@pytest.fixture
def dashboard() -> Iterator[Callable[[str], Callable[[str], Any]]]:
    """Start optuna-dashboard on loopback; what is given back fetches its JSON."""
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from optuna_dashboard import wsgi

    class Silent(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    servers = []

    def start(address: str) -> Callable[[str], Any]:
        app = wsgi(open_storage(address))
        server = make_server("127.0.0.1", 0, app, handler_class=Silent)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def fetch(path: str) -> Any:
            url = f"http://127.0.0.1:{server.server_port}/api/{path}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)

        return fetch

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def wait_for(fetch: Callable[[], list[Any]], count: int) -> list[Any]:
    """Fetch until there are so many: the dashboard looks into the storage every few seconds."""
    until = time.monotonic() + 60
    while len(found := fetch()) < count and time.monotonic() < until:
        time.sleep(0.5)
    return found


def test_dashboard_shows_a_run_and_what_was_added_while_it_looked(tmp_path, dashboard):
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    search(tmp_path / "run", address, stop_after=4)
    fetch = dashboard(address)
    (summary,) = fetch("studies")["study_summaries"]
    assert summary["study_name"].endswith("/search")
    shown = fetch(f"studies/{summary['study_id']}?after=0")["trials"]
    assert len(shown) == 4
    trials = search(tmp_path / "run", address)
    shown = wait_for(lambda: fetch(f"studies/{summary['study_id']}?after=0")["trials"], len(trials))
    assert [t["state"] for t in shown if t["state"] == "Pruned"] == ["Pruned"] * sum(
        trial.status == "rejected" for trial in trials
    )
    values = [t["values"][0] for t in shown if t["state"] == "Complete"]
    assert values == [trial.score for trial in trials if trial.score is not None]
    assert {p["name"] for t in shown for p in t["params"]} == {
        d.name for d in surrogate_problem(1).space.decisions
    }


MADE_UP = """
from attrs import frozen
from corenas import Component, Recipe, SearchConfig, hookimpl, section
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace

@frozen
class Config:
    search: SearchConfig = section(
        SearchConfig, "the search", steps=3, space="made-up", evaluator="made-up",
        executor="serial",
        strategy={"use": "tpe", "quantities": ["psnr", "mult_adds"]},
    )

def space(config): return SurrogateSpace()

def evaluator(config, space, data): return SurrogateEvaluator()

def run(run, config): return {"counts": dict(run.search("search", config.search).counts)}

@hookimpl
def corenas_search_spaces(): return [Component("made-up", "made_up:space")]

@hookimpl
def corenas_evaluators(): return [Component("made-up", "made_up:evaluator")]

@hookimpl
def corenas_recipes(): return [Recipe("made-up", "made_up:run", Config)]
"""


@pytest.mark.slow
def test_command_line_writes_into_the_storage(install_plugin, tmp_path, capsys):
    install_plugin("made-up", MADE_UP)
    address = f"sqlite:///{tmp_path / 'runs.db'}"
    # A process that ends as the user's does: what is not written yet is written at its exit.
    program = "import sys; from corenas.cli import main; sys.exit(main())"
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, "run", "made-up", "--out", str(tmp_path / "run")),
            *("--track", "optuna-storage", "--set", f"track.optuna-storage.address={address}"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (study,) = studies(address)
    trials = journal.finished_trials(journal.read(tmp_path / "run" / "journal.jsonl").events)
    assert [t.user_attrs[NUMBER] for t in study.trials if t.value is not None] == [0, 1, 2]
    assert [dict(t.architecture.choices) for t in trials["search"]] == [
        t.params for t in study.trials
    ]
    capsys.readouterr()
    assert main(["best", str(tmp_path / "run"), "--pareto", "--json"]) == 0
    assert "mult_adds" in capsys.readouterr().out
