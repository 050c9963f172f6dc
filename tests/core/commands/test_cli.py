from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from filelock import FileLock

from corenas import cli
from corenas.commands.runs import parse_duration
from corenas.errors import ConfigError, InputError, Stopped
from corenas.options.structuring import structure
from corenas.plugins.registry import default_registry
from corenas.runs import journal
from corenas.testing.installed import InstallPlugin

COUNTING = """
import time

from attrs import frozen

from corenas import Architecture, Component, Event, Measurement, Recipe, Result, StagePlan, Trial
from corenas import hookimpl, option


@frozen
class Options:
    steps: int = option(3, "how far to count", paper="1e6", ge=1)
    pause: float = option(0.0, "wait after each", unit="seconds", ge=0)
    one_shot: bool = option(False, "architectures without trials")


class Count:
    def __init__(self, options):
        self.options = options
        self.done = 0

    def events(self):
        while self.done < self.options.steps:
            self.done += 1
            time.sleep(self.options.pause)
            yield self.event()

    def event(self):
        one = Architecture("counting", {"width": str(self.done)})
        step, total = self.done, self.options.steps
        if self.options.one_shot:
            return Event("epoch", step, total, scalars={"loss": 1 / step}, architecture=one)
        score = -abs(step - 2)
        trial = Trial(step, one, Measurement({"psnr": 30.0 + score}), score)
        return Event("trial", step, total, trial=trial)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        (folder / "count.safetensors").write_text(str(self.done))
        (folder / "count.json").write_text("{}")
        (folder / "cache.safetensors").write_text("weights of a search, no model")
        return Result({"done": self.done})


def run(run, options):
    return {"counted": run.stage("count", Count(options)).values["done"]}


def fail(run, options):
    raise ZeroDivisionError("counted to nothing")


def check(options, *, devices, workers):
    return [StagePlan("count", options.steps, 0.5, workers, memory=2**21, note="on " + devices[0])]


@hookimpl
def corenas_recipes():
    presets = {"short": {}, "long": {"steps": 50}}
    return [
        Recipe("count", "counting:run", Options, "count", presets, "Peano 1889", "counting:check"),
        Recipe("fail", "counting:fail", Options),
    ]
"""


@pytest.fixture
def counting(install_plugin: InstallPlugin) -> None:
    install_plugin("counting", COUNTING)


@pytest.mark.usefixtures("counting")
class TestDescribing:
    def test_list_names_kinds_components_and_owners(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main(["list"]) == 0
        out = capsys.readouterr().out
        assert "\nstrategies:\n" in out
        assert ["random", "corenas"] in [line.split()[:2] for line in out.splitlines()]
        assert ["count", "counting", "count"] in [line.split() for line in out.splitlines()]

    def test_list_of_one_kind_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["list", "recipes", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert list(found) == ["recipes"]
        assert {
            "name": "count",
            "plugin": "counting",
            "summary": "count",
            "presets": ["short", "long"],
            "paper": "Peano 1889",
        } in found["recipes"]
        assert cli.main(["list", "search-spaces", "--json"]) == 0
        assert list(json.loads(capsys.readouterr().out)) == ["search_spaces"]

    def test_an_unknown_kind_is_the_users_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["list", "strategie"]) == 2
        assert (
            capsys.readouterr().err
            == "error: unknown kind 'strategie'; did you mean 'strategies'?\n"
        )

    def test_show_prints_the_configuration_of_all_layers(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        file = tmp_path / "mine.toml"
        file.write_text("pause = 0.5\nsteps = 7\n")
        layers = ["--preset", "long", "--config", str(file), "--set", "steps=8"]
        assert cli.main(["show", "count", *layers]) == 0
        out = capsys.readouterr().out
        assert out == (
            """\
# count: count
# Peano 1889
# preset long; there are: short, long

# how far to count (>= 1; paper: 1e6)
steps = 8
# wait after each (seconds; >= 0)
pause = 0.5
# architectures without trials
one_shot = false
"""
        )

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["coun"], "unknown recipe 'coun'"),
            (["count", "--preset", "shor"], "unknown preset 'shor'; did you mean 'short'?"),
            (["count", "--set", "step=3"], "unknown key 'step'; did you mean 'steps'?"),
            (["count", "--set", "steps"], "--set steps: expected key=value, such as"),
            (["count", "--set", "steps=0"], "steps: must be at least 1, got 0"),
            (["count", "--config", "absent.toml"], "absent.toml: cannot be read: No such file"),
        ],
    )
    def test_wrong_input_is_one_line_and_status_2(
        self, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
    ) -> None:
        for command in ("show", "run"):
            assert cli.main([command, *arguments]) == 2
            err = capsys.readouterr().err
            assert err.startswith(f"error: {message}")
            assert err.count("\n") == 1

    def test_plugins_lists_all_with_status_1_for_a_broken_one(
        self, capsys: pytest.CaptureFixture[str], install_plugin: InstallPlugin
    ) -> None:
        install_plugin("bad-import", "import no_such_library\n", version="0.3")
        assert cli.main(["plugins", "--json"]) == 1
        found = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
        assert found["counting"]["error"] == ""
        assert (found["bad-import"]["distribution"], found["bad-import"]["version"]) == (
            "bad-import",
            "0.3",
        )
        assert "No module named 'no_such_library'" in found["bad-import"]["error"]
        assert cli.main(["plugins"]) == 1
        out = capsys.readouterr().out
        rows = [line.split() for line in out.splitlines()]
        assert ["counting", "counting", "1.0", "works"] in rows
        assert "broken: ModuleNotFoundError: No module named 'no_such_library'" in out
        # Everything else works.
        assert cli.main(["show", "count"]) == 0


def shown_layers() -> list[tuple[str, str]]:
    registry = default_registry()
    return [(name, preset) for name, r in registry.recipes.items() for preset in r.presets or [""]]


@pytest.mark.parametrize(("recipe", "preset"), shown_layers())
def test_what_show_prints_loads_back_equal(
    capsys: pytest.CaptureFixture[str], recipe: str, preset: str
) -> None:
    assert cli.main(["show", recipe, *(["--preset", preset] if preset else [])]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    found = default_registry().recipe(recipe)
    expected = structure(found.config, found.presets.get(preset, {}))
    assert structure(found.config, shown) == expected


@pytest.mark.usefixtures("counting")
class TestRunning:
    def test_a_run_goes_to_its_end(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        assert cli.main(["run", "count", "--out", str(out), "--set", "steps=4", "--seed", "7"]) == 0
        assert capsys.readouterr().out.endswith(f"finished: {out}\n")
        assert json.loads((out / "summary.json").read_text())["counted"] == 4
        info = json.loads((out / "run.json").read_text())
        assert (info["recipe"], info["preset"], info["seed"]) == ("count", "short", 7)

    def test_another_configuration_in_the_same_folder_is_refused(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = ["--out", str(tmp_path / "run")]
        assert cli.main(["run", "count", *out]) == 0
        assert cli.main(["run", "count", *out, "--set", "steps=4"]) == 2
        assert "steps: 3 -> 4" in capsys.readouterr().err
        assert cli.main(["run", "count", *out, "--workers", "1"]) == 0

    def test_a_spent_time_budget_is_no_failure_and_the_run_continues(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = str(tmp_path / "run")
        slow = ["--set", "pause=0.1", "--set", "steps=12"]
        assert cli.main(["run", "count", "--out", out, *slow, "--max-time", "0.3s"]) == 0
        assert f"continue with 'corenas resume {out}'" in capsys.readouterr().out
        assert cli.main(["status", out, "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert status["state"] == "stopped"
        assert 0 < status["stages"][0]["step"] < 12
        assert cli.main(["status", out]) == 0
        assert f"continue with 'corenas resume {out}'" in capsys.readouterr().out
        assert cli.main(["resume", out]) == 0
        assert capsys.readouterr().out.endswith(f"finished: {out}\n")
        events = journal.read(Path(out) / "journal.jsonl").events
        assert [e.step for e in events if e.kind == "trial"] == list(range(1, 13))

    def test_status_and_best_tell_what_a_run_has(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        assert cli.main(["run", "count", "--out", str(out)]) == 0
        capsys.readouterr()
        assert cli.main(["status", str(out), "--json"]) == 0
        status = json.loads(capsys.readouterr().out)
        assert (status["recipe"], status["state"], status["damage"]) == ("count", "finished", "")
        stage = status["stages"][0]
        assert (stage["name"], stage["step"], stage["total"], stage["finished"]) == (
            "count",
            3,
            3,
            True,
        )
        assert stage["trials"] == {"finished": 3}
        assert stage["best"]["number"] == 2
        assert cli.main(["best", str(out), "--json"]) == 0
        best = json.loads(capsys.readouterr().out)
        assert best["architectures"] == [{"stage": "count", **stage["best"]}]
        assert best["models"] == [str(out / "models" / "count.safetensors")]
        assert cli.main(["best", str(out)]) == 0
        text = capsys.readouterr().out
        assert text.startswith("count, trial 2: ")
        assert '{"width": "2"}' in text
        assert text.endswith(f"model: {out / 'models' / 'count.safetensors'}\n")

    def test_best_of_a_one_shot_search_is_its_latest(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = str(tmp_path / "run")
        assert cli.main(["run", "count", "--out", out, "--set", "one_shot=true"]) == 0
        capsys.readouterr()
        assert cli.main(["best", out, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["architectures"]
        assert [one["architecture"]["choices"] for one in found] == [{"width": "3"}]

    def test_a_run_that_is_worked_on_is_said_to_be_running(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        assert cli.main(["run", "count", "--out", str(out)]) == 0
        capsys.readouterr()
        with FileLock(out / ".lock"):
            assert cli.main(["status", str(out), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "running"

    def test_a_folder_without_a_run_is_the_users_error(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        for command in ("status", "best", "resume"):
            assert cli.main([command, str(tmp_path)]) == 2
            assert capsys.readouterr().err.startswith(f"error: {tmp_path}: not a run folder")

    def test_a_dry_run_estimates_and_makes_no_folder(
        self,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        arguments = ["--dry-run", "--set", "steps=14400", "--workers", "2", "--device", "cpu"]
        assert cli.main(["run", "count", *arguments]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert rows[1] == [
            "count",
            "14400",
            "0.5",
            "2",
            "2",
            "MiB",
            "4",
            "MiB",
            "1.00",
            "on",
            "cpu",
        ]
        assert rows[2] == ["together", "1.00"]
        assert not (tmp_path / "runs").exists()

    def test_an_interrupted_run_is_saved_with_status_130(self, tmp_path: Path) -> None:
        out = tmp_path / "run"
        command = [sys.executable, "-m", "corenas.cli", "run", "count", "--out", str(out)]
        process = subprocess.Popen(
            [*command, "--set", "pause=0.1", "--set", "steps=600"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        path = out / "journal.jsonl"
        while not path.exists() or path.read_text().count("\n") < 3:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err == f"stopped; continue with 'corenas resume {out}'\n"

    def test_an_unexpected_error_is_one_line_without_traceback(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        out = str(tmp_path / "run")
        assert cli.main(["run", "fail", "--out", out]) == 1
        err = capsys.readouterr().err
        assert err == (
            "error: ZeroDivisionError: counted to nothing (unexpected; --traceback shows where)\n"
        )
        assert cli.main(["--traceback", "run", "fail", "--out", out]) == 1
        assert "in fail\n" in capsys.readouterr().err
        assert cli.main(["run", "fail", "--out", out, "--traceback"]) == 1
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d12h", 129600), ("0.5h", 1800), ("", None)],
)
def test_a_time_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["2", "2x", "h", "-1h", "0s", "2h 3m", "3m2h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--max-time .*: expected a time such as 90s"):
        parse_duration(text)


def test_every_kind_of_failure_has_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raising(error: BaseException) -> None:
        def plugins() -> None:
            raise error

        monkeypatch.setattr("corenas.commands.describe.plugins", plugins)

    for error, status, text in [
        (ConfigError("a.b: wrong\nc: wrong"), 2, "error: a.b: wrong\nc: wrong\n"),
        (Stopped("stopped"), 130, "stopped\n"),
        (KeyboardInterrupt(), 130, ""),
        (OSError("odd"), 1, "error: OSError: odd (unexpected; --traceback shows where)\n"),
    ]:
        raising(error)
        assert cli.main(["plugins"]) == status
        assert capsys.readouterr().err == text


def test_a_wrong_command_line_has_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["no-such-command"]) == 2
    assert cli.main(["show"]) == 2
    assert cli.main(["run", "tpsr", "--workers", "0"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.split()[0] == "corenas"


def test_help_names_every_command_and_does_not_import_torch() -> None:
    code = (
        "import sys; from corenas.cli import main; main(['--help']); "
        "print([n for n in ('torch', 'numpy', 'PIL', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    commands = {line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line}
    assert commands > {"run", "resume", "status", "best", "list", "show", "plugins", "doctor"}
    assert done.stdout.endswith("\n[]\n")


def test_help_is_quick() -> None:
    """Wanted is half a second beyond the interpreter's own start; twice that is the bound."""

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert seconds("-m", "corenas.cli", "--help") - seconds("-c", "pass") < 1.0
