"""A search over several metrics keeps its best compromises, and every objective goes through it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from corenas import cli
from corenas.runs import journal
from corenas.search.pareto import front

TINY = """
stages = "generator"
[search]
steps = 5
executor = "serial"
[search.evaluator]
metrics = ["psnr", "random-features"]
latency = [32, 18]
crops = 2
[search.evaluator.training]
steps = 2
batch = 2
patch = 8
[fresh]
count = 0
[x2]
steps = 1
batch = 2
patch = 8
milestones = []
[x4]
steps = 1
batch = 2
patch = 8
milestones = []
"""

OBJECTIVES = {
    "product": '{use="product", metrics=["psnr", "random-features"], cost={target=5e9}}',
    "sum": '{use="sum", metrics=["psnr", "random-features"], weights={random-features=10.0}}',
    "constraint": '{use="constraint", metric="random-features", cost="latency", limit=1e-9}',
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_search_over_several_metrics_keeps_its_front(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    config, out = tmp_path / "tiny.toml", tmp_path / "run"
    config.write_text(TINY)
    chosen = ["--set", f"search.objective={OBJECTIVES[name]}"]
    assert cli.main(["run", "tpsr", "--config", str(config), "--out", str(out), *chosen]) == 0

    trials = journal.finished_trials(journal.read(out / "journal.jsonl").events)["search"]
    assert len(trials) == 5
    for trial in trials:
        assert trial.measurement is not None
        assert trial.score is not None
        assert math.isfinite(trial.score)
        assert (trial.score < 0) == (name == "constraint")  # no network is that fast
        expected = {"psnr", "random-features", "latency", "mult_adds", "params"}
        assert set(trial.measurement.metrics) == expected

    known = {"psnr": 1, "random-features": -1, "mult_adds": -1, "params": -1, "latency": -1}
    capsys.readouterr()
    assert cli.main(["best", str(out), "--pareto", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    best = [each["number"] for each in found["architectures"]]
    assert best == [trial.number for trial in front(trials, known)]

    summary = json.loads((out / "summary.json").read_text())
    without_params = {metric: sign for metric, sign in known.items() if metric != "params"}
    assert summary["search"]["pareto"] == [t.number for t in front(trials, without_params)]
    assert {file.name for file in (out / "images").iterdir()} >= {"pareto.png", "search.png"}
