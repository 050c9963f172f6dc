"""Run folders to report: a search of digits, a tiny super-resolution run, and invented ones."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from corenas.commands import _serving
from corenas.commands._serving import make_server
from corenas.plugins.registry import default_registry
from corenas.runs import journal
from corenas.testing.installed import install_plugin
from corenas.values.trial import Event

from .inventing import HOSTILE, WriteRun

__all__ = ["install_plugin"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"
METADATA = "Metadata-Version: 2.1\nName: corenas-digits\nVersion: 1.0\n"
ENTRY_POINTS = "[corenas]\ndigits = corenas_digits.plugin\n"


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory, command_in: Callable[..., Any]) -> Path:
    """A finished search of a stranger's package, with its training."""
    folder = tmp_path_factory.mktemp("digits")
    site = folder / "site" / "corenas_digits-1.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text(METADATA)
    (site / "entry_points.txt").write_text(ENTRY_POINTS)
    out = folder / "run"
    options = {
        "search.steps": 6,
        "search.executor": "serial",
        "search.evaluator.params_limit": 6000,
        "search.evaluator.training.steps": 4,
        "training.steps": 20,
        "training.report_every": 4,
    }
    before = list(sys.path)
    sys.path[:0] = [str(site.parent), str(EXAMPLE)]
    try:
        sets = [f"--set={name}={value}" for name, value in options.items()]
        done = command_in(folder)("run", "digits", f"--out={out}", *sets)
    finally:
        sys.path[:] = before
    assert done.status == 0, done.err
    assert f"report: {out / 'report.html'}" in done.out.replace("\n", "")
    return out


@pytest.fixture(scope="session")
def tiny_run(
    tmp_path_factory: pytest.TempPathFactory, command_in: Callable[..., Any], photographs: Path
) -> Path:
    """A finished search of a super-resolution network, with a second look and a training.

    The folder and the validation images have names that would act if a page took them as they are.
    """
    folder = tmp_path_factory.mktemp("tiny")
    valid = folder / "valid"
    valid.mkdir()
    for image in (photographs / "valid").iterdir():
        (valid / f"{HOSTILE}{image.name}").write_bytes(image.read_bytes())
    training = {"batch": 2, "patch": 8, "report_every": 2}
    options: dict[str, object] = {
        "data.train": photographs / "train",
        "data.validation": valid,
        "search.steps": 5,
        "search.strategy.population": 2,
        "search.executor": "serial",
        "search.space.widths": "[16, 12]",
        "search.evaluator.crops": 2,
        "search.evaluator.crop_size": 16,
        "search.evaluator.training.steps": 4,
        "finalists.count": 2,
        "training.steps": 20,
        "training.validate_every": 10,
        "training.phases": "[]",
        **{f"search.evaluator.training.{key}": value for key, value in training.items()},
        **{f"training.{key}": value for key, value in training.items()},
    }
    out = folder / "<b>run</b>"
    sets = [f"--set={name}={value}" for name, value in options.items()]
    done = command_in(folder)("run", "tiny", f"--out={out}", *sets)
    assert done.status == 0, done.err
    return out


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    def write(
        events: Iterable[Event],
        *,
        summary: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
    ) -> Path:
        folder = tmp_path / "invented"
        folder.mkdir()
        info = {
            "schema": 1,  # the summary of such a run names no digest of it
            "recipe": "invented",
            "preset": "",
            "seed": 3,
            "created": "2026-11-27T20:00:00+00:00",
            "command": ["corenas", "run", "invented"],
            "config": config or {},
        }
        (folder / "run.json").write_text(json.dumps(info))
        with (folder / "journal.jsonl").open("wb") as file:
            for event in events:
                file.write(
                    journal.encode({"time": "2026-11-27T20:01:02.345+00:00", **event.to_json()})
                )
        if summary is not None:
            (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], ThreadingHTTPServer]]:
    """Serve the report of a run as ``corenas watch`` does, but without a rest between two pages."""
    monkeypatch.setattr(_serving, "_LEAST_SECONDS", 0.0)
    monkeypatch.setattr(_serving, "_REST", 0.0)
    with ExitStack() as stack:

        def start(folder: Path) -> ThreadingHTTPServer:
            server = make_server(folder, port=0, registry=default_registry())
            stack.enter_context(server)
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server

        yield start
