import json
from pathlib import Path

import pytest
from corenas.cli import main

SMALL = (
    *("--set", "search.steps=2", "--set", "search.executor=serial"),
    *("--set", "search.evaluator.training.steps=2", "--set", "search.evaluator.crops=2"),
)


def test_recipe_runs_and_says_what_it_found(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["run", "plugin-name", "--out", str(out), *SMALL]) == 0
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["counts"]["finished"] == 2
    assert "psnr" in summary["measured"]
    assert (out / "images" / "search.png").exists()


@pytest.mark.parametrize(("option", "said"), [("search.step=3", "steps"), ("data.x=1", "data")])
def test_wrong_options_are_named(
    option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "plugin-name", "--set", option]) == 2
    assert said in capsys.readouterr().err
