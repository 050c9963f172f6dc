"""Latency: what is measured, by which engine, and what a command line may answer."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from corenas_sr.latency import measuring
from corenas_sr.latency.measuring import Latency

Run = Callable[..., str]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "SECONDS", 0.0)


def script(text: str) -> str:
    """Return the option that makes a Python program the engine."""
    Path("measure.py").write_text(text)
    return f"--set=command={sys.executable} -S measure.py {{file}}"


def test_quartiles_are_those_of_numpy() -> None:
    seconds = tuple(np.random.default_rng(0).random(14))
    found = Latency(seconds, "e", 1, "p")
    assert found.median == pytest.approx(np.median(seconds))
    assert found.quartiles == pytest.approx(np.percentile(seconds, [25, 75]))


@pytest.mark.parametrize(
    ("engine", "named"), [("torch", "torch 2."), ("onnxruntime", "ONNX Runtime 1.")]
)
def test_engine_is_named_and_more_pixels_take_longer(
    corenas: Run, model: Path, engine: str, named: str
) -> None:
    found = [
        json.loads(corenas("latency", model, "--engine", engine, f"--input={size}", "--json"))
        for size in ("16x12", "320x180")
    ]
    small, large = found
    assert large["median_ms"] > 3 * small["median_ms"] > 0
    low, high = large["quartiles_ms"]
    assert low <= large["median_ms"] <= high
    assert large["engine"].startswith(named)
    assert (large["input"], large["output"]) == ([320, 180], [640, 360])
    assert large["runs"] == measuring.FEWEST
    assert large["threads"] == 1
    assert large["processor"]


def test_command_gets_the_number_of_threads(corenas: Run, model: Path) -> None:
    option = script("import sys\nprint(sys.argv[1])").replace("{file}", "{threads}")
    printed = corenas("latency", model, "--engine=command", "--threads=3", "--input=8x8", option)
    assert "3.000 ms" in printed
    assert "3 threads" in printed


def test_command_gets_a_file_and_its_last_number_counts(corenas: Run, model: Path) -> None:
    option = script("import shutil, sys\nshutil.copy(sys.argv[1], 'got.onnx')\nprint('1 run: 2.5')")
    printed = corenas("latency", model, "--engine=command", "--input=20x12", option)
    assert "2.500 ms (quartiles 2.500 and 2.500; 11 runs)" in printed
    assert "1 thread, a processor that the command knows" in printed
    (images,) = onnx.load("got.onnx").graph.input
    assert [each.dim_value for each in images.type.tensor_type.shape.dim] == [1, 3, 12, 20]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1 run: 2.5ms", 2.5),
        ("took 2.5 ms.", 2.5),
        ("3 runs, 0.0125 s", 12.5),
        ("1x3x12x20: 300us", 0.3),
        ("2nd: 1e1", 10.0),
        ("5.0\n1.2.3", 5.0),
    ],
)
def test_units_behind_a_number_count(
    corenas: Run, model: Path, text: str, milliseconds: float
) -> None:
    words = "latency", model, "--engine=command", "--input=8x8", "--json"
    found = json.loads(corenas(*words, script(f"print({text!r})")))
    assert found["median_ms"] == pytest.approx(milliseconds)


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")
def test_command_that_hangs_leaves_nothing_running(fails: Run, model: Path) -> None:
    hanging = script(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    words = "latency", model, "--engine=command", "--input=8x8", "--set=timeout=3"
    assert "took longer than 3 s" in fails(1, *words, hanging)
    child = int(Path("child").read_text())
    for _ in range(100):
        if not _lives(child):
            return
        time.sleep(0.05)
    pytest.fail("what the command had started goes on")


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("print('no device')", 1, "printed no milliseconds, but 'no device'"),
        ("print('v1.2.3')", 1, "printed no milliseconds"),
        ("print(0)", 1, "printed no milliseconds"),
        ("print('2.5 ms saved: -1')", 1, "printed no milliseconds"),
        ("import sys; sys.exit('not\\nconnected')", 1, "ended with status 1: connected"),
    ],
)
def test_command_that_measures_nothing_is_an_error(
    fails: Run, model: Path, text: str, status: int, message: str
) -> None:
    said = fails(status, "latency", model, "--engine=command", "--input=8x8", script(text))
    assert message in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine=tensorrt"], "unknown latency engine 'tensorrt'"),
        (["--engine=command"], "command: a command line that prints milliseconds is needed"),
        (["--engine=command", "--set=command='"], 'command: "\'": No closing quotation'),
        (["--engine=command", "--set=command=./none"], "'./none': No such file or directory"),
        (["--input=8"], "--input '8': expected WIDTHxHEIGHT"),
        (["--scale=3"], "its scale is 2, not 3"),
    ],
)
def test_wrong_arguments_are_said(
    fails: Run, model: Path, arguments: list[str], message: str
) -> None:
    assert message in fails(2, "latency", model, *arguments)


def test_names_are_shown_as_they_are(fails: Run, model: Path) -> None:
    odd = Path("[bold]net\x1b[31m.safetensors")
    odd.write_bytes(model.read_bytes())
    said = fails(2, "latency", odd, "--scale=3")
    assert said == "error: [bold]net [31m.safetensors: its scale is 2, not 3"


@pytest.mark.abuse("a latency table that cannot be written")
def test_table_for_a_folder_that_is_not_there_is_refused_before_anything_is_timed(
    fails: Run,
) -> None:
    said = fails(2, "latency", "table", "tiny", "--out=/proc/nowhere/t.json")
    assert "there is no folder /proc/nowhere" in said


def test_options_may_come_before_the_network(corenas: Run, model: Path) -> None:
    assert "input 8x8" in corenas("latency", "--input=8x8", model)


def test_published_architecture_is_timed(corenas: Run) -> None:
    printed = corenas("latency", "tpsr/paper", "--scale=2", "--input=24x16")
    assert "input 24x16, output 48x32" in printed
