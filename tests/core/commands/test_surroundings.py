"""What surrounds a command: readers that leave, full disks, hang-ups, little memory, odd input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corenas import cli
from corenas.testing.installed import InstallPlugin

pytestmark = pytest.mark.abuse("odd input, full disks, leaving readers, little memory")

RECIPE = """
import shutil
import time

from attrs import frozen

from corenas import Architecture, Diverged, Event, Measurement, Recipe, Result, Trial
from corenas import hookimpl, option


@frozen
class Options:
    steps: int = option(3, "how far to count", ge=1)
    size: float = option(1.0, "any number", gt=0)
    pause: float = option(0.0, "wait after each", unit="seconds", ge=0)
    end: str = option("", "what happens after the last step")


class Count:
    def __init__(self, run, options):
        self.run, self.options, self.done = run, options, 0

    def events(self):
        one = Architecture("counting", {"width": "1"})
        while self.done < self.options.steps:
            if self.options.end == "fails" and self.done:
                failed = Trial(self.done, one, status="failed", reason="killed: no memory")
                yield Event("failed", 0, self.options.steps, trial=failed)
                self.done += 1
                continue
            self.done += 1
            time.sleep(self.options.pause)
            if self.options.end in ("running", "fails"):
                begun = {"number": self.done}
                yield Event("started", 0, self.options.steps, begun, architecture=one)
            else:
                trial = Trial(self.done, one, Measurement({"size": 1.0}), 1.0)
                yield Event("trial", self.done, self.options.steps, trial=trial)
        if self.options.end == "diverges":
            raise Diverged("the loss is nan at step 3")
        if self.options.end == "fills the memory":
            raise MemoryError
        if self.options.end == "fills the device":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        if self.options.end == "is deleted":
            shutil.rmtree(self.run.folder)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        return Result({"done": self.done})


def run(run, options):
    done = run.stage("count", Count(run, options)).values["done"]
    if options.end == "is deleted at the end":
        shutil.rmtree(run.folder)
    if options.end == "is moved":
        run.folder.rename(run.folder.with_name("moved"))
    return {"counted": done}


@hookimpl
def corenas_recipes():
    return [Recipe("count", "surrounded:run", Options)]
"""


@pytest.fixture(autouse=True)
def _recipe(install_plugin: InstallPlugin) -> None:
    install_plugin("surrounded", RECIPE)


COMMAND = (sys.executable, "-m", "corenas.cli")


def run_into(folder: Path, **options: object) -> list[str]:
    given = [f"--set={key}={value}" for key, value in options.items()]
    return ["run", "count", "--out", str(folder), *given]


@pytest.mark.skipif(shutil.which("head") is None, reason="needs head")
def test_reader_that_leaves_does_not_stop_a_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    head = subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    command = [*COMMAND, *run_into(out, steps=20, pause=0.05)]
    done = subprocess.run(command, stdout=head.stdin, stderr=subprocess.PIPE, check=False)
    first, _ = head.communicate()
    assert first == f"count: writes into {out}\n".encode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads((out / "summary.json").read_text())["counted"] == 20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("command", [["list"], ["--help"], ["run", "count"]])
def test_full_disk_of_the_output_is_a_sentence(
    tmp_path: Path, command: list[str], buffered: bool
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *command],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=os.environ | {"PYTHONUNBUFFERED": "" if buffered else "1"},
            text=True,
            check=False,
        )
    message = "error: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
@pytest.mark.parametrize("hang_ups", [1, 3])
def test_hanging_up_saves_and_hands_over(tmp_path: Path, hang_ups: int) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, *run_into(out, steps=600, pause=0.05)], stdout=subprocess.DEVNULL
    )
    journal = out / "journal.jsonl"
    while not journal.exists() or journal.read_text().count("\n") < 3:
        assert process.poll() is None
        time.sleep(0.02)
    for _ in range(hang_ups):
        process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 130
    assert json.loads((out / "summary.json").read_text())["stopped"] == "interrupted"


@pytest.mark.parametrize("end", ["is deleted", "is deleted at the end", "is moved"])
def test_folder_that_vanishes_is_no_success(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, end: str
) -> None:
    out = tmp_path / "run"
    assert cli.main(run_into(out, end=f'"{end}"')) == 1
    printed, err = capsys.readouterr()
    assert "finished:" not in printed
    assert "was deleted or moved while the run went on" in err
    assert "unexpected" not in err


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("diverges", "stage count: the loss is nan at step 3; a resumed run does the same again"),
        ("fills the memory", "stage count: out of memory; close other programs"),
        ("fills the device", "stage count: out of memory; close other programs"),
    ],
)
def test_failing_stage_names_itself_and_the_way_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, end: str, message: str
) -> None:
    assert cli.main(run_into(tmp_path / "run", end=f'"{end}"')) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.parametrize("end", ["running", "fails"])
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--pareto"], ["--pareto", "--json"]])
def test_best_is_what_was_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, end: str, arguments: list[str]
) -> None:
    out = tmp_path / "run"
    cli.main(run_into(out, end=end))
    capsys.readouterr()
    assert cli.main(["best", str(out), *arguments]) == 1
    printed, err = capsys.readouterr()
    assert printed == ""
    assert err.startswith(f"error: {out}: ")
    assert "measured" in err
    if end == "fails" and "--pareto" not in arguments:
        assert "2 failed" in err
        assert "killed: no memory" in err


def test_directions_that_nobody_knows_are_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cli.main(run_into(out))
    capsys.readouterr()
    assert cli.main(["best", str(out), "--pareto"]) == 2
    assert "--metrics size:higher" in capsys.readouterr().err
    assert cli.main(["best", str(out), "--pareto", "--metrics", "size"]) == 2
    assert "no direction of 'size'" in capsys.readouterr().err
    assert cli.main(["best", str(out), "--pareto", "--metrics", "size:lower"]) == 0
    assert "better: size lower (by hand; " in capsys.readouterr().out


ODD = {
    "integer of 400 digits": ["--set", f"steps={'9' * 400}"],
    "number of 400 digits": ["--set", f"size={'9' * 400}"],
    "integer of 5000 digits": ["--set", f"steps={'9' * 5000}"],
    "key of 400 levels": ["--set", f"{'.'.join('a' * 400)}=1"],
    "key of 5000 levels": ["--set", f"{'.'.join('a' * 5000)}=1"],
    "list of 5000 levels": ["--set", f"steps={'[' * 5000}{']' * 5000}"],
    "seed of 64 bits": ["--seed", "18446744073709551616"],
    "negative seed": ["--seed", "-1"],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_input_is_the_users_error(capsys: pytest.CaptureFixture[str], name: str) -> None:
    status = cli.main(["run", "count", "--dry-run", *ODD[name]])
    err = capsys.readouterr().err
    assert "unexpected" not in err
    assert "Traceback" not in err
    assert status == (1 if name == "list of 5000 levels" else 2)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize("mebibytes", [300, 600])
def test_too_little_memory_for_torch_is_a_sentence(tmp_path: Path, mebibytes: int) -> None:
    limited = f'ulimit -v {mebibytes * 1024} && exec "$@"'
    arguments = run_into(tmp_path / "run")
    done = subprocess.run(
        ["sh", "-c", limited, "sh", *COMMAND, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unexpected" not in done.stderr
    assert "torch" in done.stderr or "memory" in done.stderr
