"""TensorBoard, MLflow and Weights & Biases: what is logged is read back with their own readers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from corenas import cli
from corenas.plugins.registry import default_registry
from corenas.runs.journal import entries
from corenas.testing.installed import InstallPlugin
from corenas.tracking.tracker import Tracked, numbers_of

RECIPE = """
import os
import signal

from attrs import frozen

from corenas import Component, Recipe, SearchConfig, hookimpl, section
from corenas.testing.surrogate import SurrogateEvaluator, SurrogateSpace
from PIL import Image


@frozen
class Options:
    search: SearchConfig = section(
        SearchConfig, "the search", steps=8, space="shown-space", evaluator="shown-evaluator",
        executor="serial",
    )


def space(config):
    return SurrogateSpace()


def evaluator(config, space, data):
    return SurrogateEvaluator()


def run(run, options):
    found = run.search("search", options.search)
    if run.stopping():
        return {}
    Image.new("RGB", (4, 3), (255, 0, 0)).save(run.images / "red.png")
    return {"models": [{"name": "net", "psnr": found.trials[0].score}]}


@hookimpl
def corenas_search_spaces():
    return [Component("shown-space", "shown:space")]


@hookimpl
def corenas_evaluators():
    return [Component("shown-evaluator", "shown:evaluator")]


@hookimpl
def corenas_recipes():
    return [Recipe("shown", "shown:run", Options)]


@hookimpl
def corenas_event(run, event):
    if str(event.step) == os.environ.get("STOP_AT") and event.trial:
        run.stop.request("for a test")
"""


@pytest.fixture(autouse=True)
def _recipe(install_plugin: InstallPlugin) -> None:
    install_plugin("shown", RECIPE)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Carry out a run in two sessions, the first of which is stopped; return its folder."""

    def carried_out(*words: str) -> Path:
        out = tmp_path / "run"
        monkeypatch.setenv("STOP_AT", "4")
        assert cli.main(["run", "shown", "--out", str(out), *words]) == 0
        monkeypatch.setenv("STOP_AT", "")
        assert cli.main(["resume", str(out), *words]) == 0
        shown = capsys.readouterr()
        assert "tracker" not in shown.out, shown.out
        return out

    return carried_out


def expected(folder: Path) -> Counter[tuple[str, int, float]]:
    """Return every number of the journal with its stage and step, and how often it is there."""
    file = folder / "journal.jsonl"
    return Counter(
        (f"{entry.event.stage}/{name}", entry.event.step, value)
        for entry in entries(file, 0, file.stat().st_size)
        for name, value in numbers_of(entry).items()
    )


def best(folder: Path) -> float:
    return float(json.loads((folder / "summary.json").read_text())["models"][0]["psnr"])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_tensorboard_reads_every_number_once(run: Any, tmp_path: Path, elsewhere: bool) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    words = ("--set", f"track.tensorboard.folder={tmp_path / 'tb'}") if elsewhere else ()
    out = run("--track", "tensorboard", *words)
    (folder,) = (tmp_path / "tb").iterdir() if elsewhere else [out / "tracking" / "tensorboard"]
    found = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    scalars = {tag: found.Scalars(tag) for tag in found.Tags()["scalars"]}
    logged = Counter(
        (tag, each.step, pytest.approx(each.value, rel=1e-6).expected)
        for tag, values in scalars.items()
        for each in values
        if not tag.startswith("results/")
    )
    rounded = Counter({(t, s, _single(v)): n for (t, s, v), n in expected(out).items()})
    assert logged == rounded
    assert scalars["results/models.net.psnr"][-1].value == pytest.approx(best(out))
    assert len(scalars["results/models.net.psnr"]) == 1
    assert [image.width for image in found.Images("red")] == [4]
    assert {"options/text_summary", "results/text_summary"} <= set(found.Tags()["tensors"])


def _single(value: float) -> float:
    """Return what single precision makes of a number: event files have no more."""
    import numpy as np

    return float(np.float32(value))


def test_what_a_killed_session_wrote_too_much_is_not_there_twice(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Event files are as a kill leaves them: one is longer than its mark, one has no mark."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    out = tmp_path / "run"
    monkeypatch.setenv("STOP_AT", "4")
    assert cli.main(["run", "shown", "--out", str(out), "--track", "tensorboard"]) == 0
    folder = out / "tracking" / "tensorboard"
    (file,) = folder.iterdir()
    content = file.read_bytes()
    file.write_bytes(content + content)
    (folder / "events.out.tfevents.1.killed.corenas").write_bytes(content)
    run("--track", "tensorboard")
    found = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    logged = sum(len(found.Scalars(t)) for t in found.Tags()["scalars"] if "results" not in t)
    assert logged == sum(expected(out).values())


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # SQLAlchemy 2.1's
def test_mlflow_has_every_number_once(run: Any) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    out = run("--track", "mlflow")
    place = out / "tracking" / "mlflow"
    client = MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name == "corenas")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "run"
    assert found.data.params["search.steps"] == "8"
    assert found.data.metrics["results/models.net.psnr"] == best(out)
    assert logged_in(client, found, out) == expected(out)
    pictures = client.list_artifacts(found.info.run_id, "images")
    assert [each.path for each in pictures] == ["images/red.png"]


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # SQLAlchemy 2.1's
def test_mlflow_goes_on_when_an_option_is_another(tmp_path: Path) -> None:
    """The store keeps the first value of a parameter, and gets all that comes after."""
    pytest.importorskip("mlflow")
    address = f"sqlite:///{tmp_path / 'x.db'}"
    first = begun_in_mlflow(tmp_path, address, train="here")
    first.end("stopped", {})
    begun_in_mlflow(tmp_path, address, first.flush(), train="there", new="1").end("finished", {})
    found, _ = only_run(address)
    assert found.data.params == {"train": "here", "new": "1"}
    assert found.info.status == "FINISHED"


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # SQLAlchemy 2.1's
@pytest.mark.parametrize("lost", ["run", "cursor"])
def test_mlflow_gets_no_half_of_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    lost: str,
) -> None:
    """After a resume without the run in the store, or without what says how far it is."""
    pytest.importorskip("mlflow")
    out, address = tmp_path / "run", f"sqlite:///{tmp_path / 'x.db'}"
    words = "--track", "mlflow", "--set", f"track.mlflow.address={address}"
    monkeypatch.setenv("STOP_AT", "4")
    assert cli.main(["run", "shown", "--out", str(out), *words]) == 0
    before, client = only_run(address)
    if lost == "run":
        client.delete_run(before.info.run_id)
    else:
        (out / "tracking" / "mlflow.json").unlink()
    monkeypatch.setenv("STOP_AT", "")
    capsys.readouterr()
    assert cli.main(["resume", str(out), *words]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    if lost == "run":
        assert f"the run {before.info.run_id} is no longer in the store; delete" in shown
        return
    assert "tracker" not in shown
    found, client = only_run(address)
    assert found.info.run_id != before.info.run_id
    assert logged_in(client, found, out) == expected(out)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # SQLAlchemy 2.1's
def test_pictures_lie_beside_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the folder that a command happens to be called in, where MLflow would put them."""
    pytest.importorskip("mlflow")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "red.png").write_bytes(b"red")
    tracker = begun_in_mlflow(tmp_path, "sqlite:///../x.db")
    tracker.picture("red", tmp_path / "red.png")
    tracker.end("finished", {})
    assert [each.name for each in (tmp_path / "x.artifacts").rglob("*.png")] == ["red.png"]
    assert list((tmp_path / "here").iterdir()) == []
    found, client = only_run("sqlite:///../x.db")
    pictures = client.list_artifacts(found.info.run_id, "images")
    assert [each.path for each in pictures] == ["images/red.png"]


def logged_in(client: Any, found: Any, out: Path) -> Counter[tuple[str, int, float]]:
    """Return every number that MLflow has of a run under the names of its journal."""
    return Counter(
        (name, each.step, each.value)
        for name in {tag for tag, _, _ in expected(out)}
        for each in client.get_metric_history(found.info.run_id, name)
    )


def begun_in_mlflow(folder: Path, address: str, mark: Any = None, **parameters: str) -> Any:
    from corenas_trackers.config import MlflowConfig
    from corenas_trackers.mlflow import MlflowTracker

    info = {"recipe": "shown", "seed": 0, "created": "now"}
    place = folder / "tracking" / "mlflow"
    tracker = MlflowTracker(MlflowConfig(address=address))
    tracker.begin(Tracked(folder, info, parameters, place, mark, lambda stage: ()))
    return tracker


def only_run(address: str) -> tuple[Any, Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    (experiment,) = (each for each in client.search_experiments() if each.name == "corenas")
    (found,) = client.search_runs([experiment.experiment_id])
    return found, client


TOLD = {
    "mlflow": """
import corenas_trackers.mlflow
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
""",
    "wandb": """
from corenas_trackers.config import WandbConfig
from corenas_trackers.wandb import WandbTracker
from wandb.env import error_reporting_enabled
WandbTracker(WandbConfig())
print(error_reporting_enabled() or None)
""",
}


@pytest.mark.parametrize("name", TOLD)
def test_makers_of_a_tracker_are_told_nothing(name: str) -> None:
    """In a process that looks like no test: there MLflow would keep quiet by itself."""
    pytest.importorskip(name)
    keep = ("PATH", "PYTHONPATH", "HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    done = subprocess.run(
        [sys.executable, "-c", TOLD[name]],
        env={each: os.environ[each] for each in keep if each in os.environ} | nowhere,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "None"


def test_wandb_writes_offline_runs(run: Any) -> None:
    pytest.importorskip("wandb")
    out = run("--track", "wandb")
    folders = sorted((out / "tracking" / "wandb" / "wandb").glob("offline-run-*"))
    assert len(folders) in (1, 2)  # a session each; their names have seconds in them
    (identity,) = {file.stem for folder in folders for file in folder.glob("run-*.wandb")}
    content = b"".join(f.read_bytes() for folder in folders for f in folder.glob("*.wandb"))
    for word in (b"search/psnr", b"search/step", b"models.net.psnr", b"search.strategy"):
        assert word in content
    assert len(identity.removeprefix("run-")) == 16
    assert [p.name.split("_")[0] for folder in folders for p in folder.rglob("red*.png")] == ["red"]


def test_trackers_are_listed_with_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    found = default_registry().components("trackers")
    assert {"csv", "tensorboard", "mlflow", "wandb", "optuna-storage"} <= found.keys()
    monkeypatch.setattr("corenas.plugins.needs.find_spec", lambda name: None)
    needs = {name: each.lacks for name, each in found.items()}
    assert needs["csv"] == ""
    assert {needs[n] for n in ("tensorboard", "mlflow", "wandb")} == {
        "corenas[tensorboard]",
        "corenas[mlflow]",
        "corenas[wandb]",
    }


def test_a_tracker_without_its_package_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("corenas.plugins.needs.find_spec", lambda name: None)
    words = ["run", "shown", "--out", str(tmp_path / "run"), "--track", "wandb"]
    assert cli.main(words) == 2
    assert "pip install 'corenas[wandb]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # SQLAlchemy 2.1's
@pytest.mark.abuse("the database of a tracker cannot be opened")
def test_a_store_that_cannot_be_opened_is_said_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "file").touch()
    address = f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}"
    words = ["--track", "mlflow", "--set", f"track.mlflow.address={address}"]
    assert cli.main(["run", "shown", "--out", str(tmp_path / "run"), *words]) == 0
    assert capsys.readouterr().out.count("tracker 'mlflow' is given up") == 1


@pytest.mark.slow
def test_nothing_is_imported_that_was_not_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from corenas.cli import main; main(sys.argv[1:]);"
        "found = {'wandb', 'mlflow', 'tensorboard', 'optuna'} & set(sys.modules);"
        "sys.exit(', '.join(found) or 0)"
    )
    words = ["run", "shown", "--out", str(tmp_path / "run"), "--track", "csv"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == ""
    assert done.returncode == 0
