"""Each file of a run folder, damaged in each way: what is lost is said, and nothing is deleted.

The table of docs/rules.md, "Run folders".
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corenas import cli
from corenas.runs import journal
from corenas.runs import run as run_module
from corenas.testing.installed import InstallPlugin

pytestmark = pytest.mark.abuse("run folder damaged, replaced or moved")

RECIPE = """
import os
import signal

from attrs import frozen

from corenas import Architecture, Event, Measurement, Recipe, Result, Trial, hookimpl, option


@frozen
class Options:
    steps: int = option(5, "how far to count", ge=1)
    data: str = option("here", "where numbers lie", place=True)
    checked: bool = option(True, "whether the data are compared")


class Count:
    def __init__(self, options, name):
        self.options, self.name, self.done = options, name, 0

    def events(self):
        while self.done < self.options.steps:
            self.done += 1
            one = Architecture("counting", {"width": str(self.done)})
            trial = Trial(self.done, one, Measurement({"psnr": float(self.done)}), self.done)
            yield Event("trial", self.done, self.options.steps, trial=trial)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        (folder / self.name).write_text(str(self.done))
        return Result({"done": self.done}, {"weights": self.name})


def run(run, options):
    if options.checked:
        run.confirm("data", options.data.removeprefix("moved-"))
    first = run.stage("first", Count(options, "weights.txt"))
    done = run.file(first, "weights").read_text()
    second = run.stage("second", Count(options, "count.txt"))
    return {"counted": [done, second.values["done"]]}


@hookimpl
def corenas_recipes():
    return [Recipe("count", "folders:run", Options), Recipe("other", "folders:run", Options)]


@hookimpl
def corenas_event(run, event):
    if event.stage == "second" and event.step == int(os.environ.get("STOP_AT", "-1")):
        os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.fixture(autouse=True)
def _recipe(install_plugin: InstallPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin("folders", RECIPE)
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(run_module, "CHECKPOINT_SHARE", float("inf"))


Make = Callable[..., Path]


@pytest.fixture
def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Make:
    """Make a run's folder: the first stage finished, the second stopped at step 3, or all done."""

    def made(name: str = "run", *arguments: str, finished: bool = False) -> Path:
        monkeypatch.setenv("STOP_AT", "-1" if finished else "3")
        folder = tmp_path / name
        status = cli.main(["run", "count", "--out", str(folder), *arguments])
        assert status == (0 if finished else 130)
        monkeypatch.setenv("STOP_AT", "-1")
        capsys.readouterr()
        return folder

    return made


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "empty": lambda file: os.truncate(file, 0),
    "flipped": flip,
    "list": lambda file: file.write_text("[]\n"),
    "schema": lambda file: file.write_text('{"schema": 1}\n'),
    "deep": lambda file: file.write_text("[" * 5000),
}

GOES_ON, REFUSED = "goes on", "refused"
EXPECTED = {
    "run.json": dict.fromkeys([*DAMAGES, "foreign"], REFUSED),
    "config.toml": {
        **dict.fromkeys(DAMAGES, REFUSED),
        "missing": GOES_ON,
        "empty": GOES_ON,  # all options have their defaults, as in this run
        "foreign": REFUSED,
    },
    "summary.json": dict.fromkeys([*DAMAGES, "foreign"], GOES_ON),
    "journal.jsonl": dict.fromkeys([*DAMAGES, "foreign"], GOES_ON),
    "checkpoints/first.finished.json": {
        **dict.fromkeys(DAMAGES, REFUSED),
        "missing": GOES_ON,
        "foreign": GOES_ON,
    },
    "checkpoints/current.pt": dict.fromkeys([*DAMAGES, "foreign"], GOES_ON),
    "checkpoints/created.fact.json": {
        **dict.fromkeys([*DAMAGES, "foreign"], REFUSED),
        "missing": GOES_ON,
    },
    "models/weights.txt": dict.fromkeys([*DAMAGES, "foreign"], REFUSED),
}
CASES = [(file, damage, then) for file, row in EXPECTED.items() for damage, then in row.items()]


def trials(folder: Path) -> dict[str, list[int]]:
    events = journal.read(folder / "journal.jsonl").events
    found = journal.finished_trials(events)
    return {stage: [trial.number for trial in trials] for stage, trials in found.items()}


WHOLE = {"first": [1, 2, 3, 4, 5], "second": [1, 2, 3, 4, 5]}


def contents(folder: Path) -> list[bytes]:
    kept = ("journal*", "checkpoints/*.finished*")
    return [file.read_bytes() for pattern in kept for file in folder.glob(pattern)]


@pytest.mark.parametrize(("name", "damage", "then"), CASES)
def test_damaged_folder(
    make: Make, capsys: pytest.CaptureFixture[str], name: str, damage: str, then: str
) -> None:
    folder = make()
    if damage == "foreign":
        other = make("other", "--seed", "7", "--set", "steps=4")
        shutil.copy(other / name, folder / name)
    else:
        DAMAGES[damage](folder / name)
    before = contents(folder)
    status = cli.main(["resume", str(folder)])
    out, err = capsys.readouterr()
    assert "unexpected" not in err
    if then == REFUSED:
        assert status == 2
        assert str(folder) in err
        assert contents(folder) == before
        return
    assert (status, err) == (0, "")
    assert trials(folder) == WHOLE
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["finished"], summary["counted"]) == (True, ["5", 5])
    done_again = "done again" in out
    if name in ("journal.jsonl", "checkpoints/first.finished.json") and damage != "truncated":
        assert done_again or name == "journal.jsonl"
        if done_again:
            assert all(each in contents(folder) for each in before if each)


@pytest.mark.parametrize("name", ["status", "best"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["run.json", "summary.json", "journal.jsonl", "config.toml"])
def test_reading_commands_stand_damaged_files(
    make: Make, capsys: pytest.CaptureFixture[str], name: str, damage: str, file: str
) -> None:
    folder = make()
    DAMAGES[damage](folder / file)
    for arguments in ([], ["--json"]):
        assert cli.main([name, str(folder), *arguments]) in (0, 1, 2)
        assert "unexpected" not in capsys.readouterr().err


def test_one_flipped_bit_in_the_first_line_keeps_everything_beside(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make()
    whole = (folder / "journal.jsonl").read_bytes()
    damaged = whole.replace(b"started", b"stbrted", 1)
    (folder / "journal.jsonl").write_bytes(damaged)
    record = (folder / "checkpoints" / "first.finished.json").read_bytes()
    checkpoint = (folder / "checkpoints" / "current.pt").read_bytes()
    assert cli.main(["resume", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "line 1 is damaged" in out
    assert "done again: first" in out
    (copy,) = folder.glob("journal.damaged-*.jsonl")
    (kept,) = folder.glob("checkpoints/first.finished.damaged-*.json")
    (state,) = folder.glob("checkpoints/current.damaged-*.pt")
    assert [copy.read_bytes(), kept.read_bytes()] == [damaged, record]
    assert state.read_bytes() == checkpoint
    assert trials(folder) == WHOLE


def test_following_the_advice_does_a_stage_and_those_after_it_again(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(finished=True)
    (folder / "summary.json").unlink()
    record = folder / "checkpoints" / "first.finished.json"
    record.write_text("{")
    assert cli.main(["resume", str(folder)]) == 2
    assert "delete it to do this stage and all that came after it again" in capsys.readouterr().err
    record.unlink()
    assert cli.main(["resume", str(folder)]) == 0
    assert "done again: second, first" in capsys.readouterr().out
    assert trials(folder) == WHOLE


def test_finished_folder_without_its_journal_is_not_given_away(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(finished=True)
    (folder / "journal.jsonl").unlink()
    before = (folder / "run.json").read_bytes()
    assert cli.main(["run", "other", "--out", str(folder)]) == 2
    assert "recipe: count -> other" in capsys.readouterr().err
    assert (folder / "run.json").read_bytes() == before


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "seed": lambda info: info.update(seed=9),
    "recipe": lambda info: info.update(recipe="other"),
    "preset": lambda info: info.update(preset="paper"),
    "torch": lambda info: info["versions"].update(torch="1.0"),
    "corenas": lambda info: info["versions"].update(corenas="0.3"),
    "config": lambda info: info["config"].update(steps=6),
    "digests": lambda info: info.pop("digests"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_run_json_is_refused(
    make: Make, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    folder = make()
    info = json.loads((folder / "run.json").read_text())
    EDITS[edit](info)
    (folder / "run.json").write_text(json.dumps(info))
    assert cli.main(["resume", str(folder)]) == 2
    named = {"torch": "versions", "corenas": "versions", "digests": "seed"}.get(edit, edit)
    assert f"\n  {named}" in capsys.readouterr().err


def test_edited_configuration_is_refused_with_its_changes(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make()
    file = folder / "config.toml"
    file.write_text(file.read_text().replace("steps = 5", "steps = 6"))
    assert cli.main(["resume", str(folder)]) == 2
    err = capsys.readouterr().err
    assert "\n  steps: 5 -> 6\n" in err
    assert f"delete {file} to have it back" in err
    file.unlink()
    assert cli.main(["resume", str(folder)]) == 0
    assert "steps = 5" in file.read_text()


def test_other_versions_are_said(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make()
    monkeypatch.setattr("corenas.runs.identity.metadata.version", lambda name: "9.9")
    assert cli.main(["resume", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "-> 9.9: results may differ" in out
    assert out.count("results may differ") == 2


class TestMovedData:
    def test_the_same_data_elsewhere_are_gone_on_with(self, make: Make) -> None:
        folder = make()
        assert cli.main(["resume", str(folder), "--set", "data=moved-here"]) == 0
        assert trials(folder) == WHOLE
        assert 'data = "moved-here"' in (folder / "config.toml").read_text()

    def test_the_new_place_is_remembered(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = make()
        monkeypatch.setenv("STOP_AT", "4")
        assert cli.main(["resume", str(folder), "--set", "data=moved-here"]) == 130
        monkeypatch.setenv("STOP_AT", "-1")
        assert cli.main(["resume", str(folder)]) == 0

    @pytest.mark.parametrize(
        ("assignment", "message"),
        [
            ("data=elsewhere", "the data is not what it was when the run began"),
            ("steps=6", "steps: 5 -> 6\nonly options that say where data lie may change"),
            ("nothing=6", "unknown key 'nothing'"),
        ],
    )
    def test_anything_else_is_refused(
        self, make: Make, capsys: pytest.CaptureFixture[str], assignment: str, message: str
    ) -> None:
        folder = make()
        assert cli.main(["resume", str(folder), "--set", assignment]) == 2
        assert message in capsys.readouterr().err
        assert cli.main(["resume", str(folder)]) == 0

    def test_recipe_that_does_not_compare_does_not_go_on(
        self, make: Make, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = make("run", "--set", "checked=false")
        assert cli.main(["resume", str(folder), "--set", "data=moved-here"]) == 2
        assert "data: may not change" in capsys.readouterr().err
        assert cli.main(["resume", str(folder)]) == 0


OLD = Path(__file__).parent / "corenas-0.1"


class TestFolderOfTheVersionBefore:
    @pytest.mark.parametrize(
        ("name", "state", "measured", "number"),
        [("finished", "finished", 3, 2), ("stopped", "stopped", 12, 6)],
    )
    def test_is_read(
        self,
        capsys: pytest.CaptureFixture[str],
        name: str,
        state: str,
        measured: int,
        number: int,
    ) -> None:
        assert cli.main(["status", str(OLD / name), "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert (status["state"], status["trials"], status["damage"]) == (state, measured, "")
        assert cli.main(["best", str(OLD / name), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["architectures"]
        assert [one["number"] for one in found] == [number]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("stopped", "finish it with that version, or begin anew"),
            ("finished", "nothing is left"),
        ],
    )
    def test_is_not_gone_on_with(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, message: str
    ) -> None:
        folder = tmp_path / name
        shutil.copytree(OLD / name, folder)
        before = contents(folder)
        assert cli.main(["resume", str(folder)]) == 2
        assert message in capsys.readouterr().err
        assert contents(folder) == before

    def test_directions_may_be_given_by_hand(self, capsys: pytest.CaptureFixture[str]) -> None:
        best = ["best", str(OLD / "stopped"), "--pareto", "--json", "--metrics"]
        assert cli.main(best[:3]) == 2
        assert "give it, as in --metrics psnr:higher,mult_adds:higher" in capsys.readouterr().err
        assert cli.main([*best, "psnr:lower,params:lower"]) == 0
        assert json.loads(capsys.readouterr().out)["better"] == {"psnr": "lower", "params": "lower"}
        assert cli.main([*best, "psnr:down"]) == 2
        assert "expected psnr:higher or psnr:lower" in capsys.readouterr().err
