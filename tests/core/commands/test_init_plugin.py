"""``corenas init plugin``: what it writes installs, keeps its contracts, and lints."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from corenas import cli
from corenas.commands import init
from corenas.commands.init import KINDS, LONGEST, check_name, write_plugin
from corenas.errors import InputError
from corenas.plugins.registry import default_registry

NAMES = {kind: f"made-{kind}" for kind in KINDS}
CONTRACTS = {"operation": 20, "strategy": 15, "space": 15, "metric": 5, "recipe": 3, "task": 25}
"""At least so many tests a package comes with: a contract that is not collected would go unseen."""


@pytest.fixture(scope="module")
def packages(
    tmp_path_factory: pytest.TempPathFactory, install_project: Callable[[Path], None]
) -> dict[str, Path]:
    """Write one package of each kind, and put all of them on the path with their entry points."""
    folder = tmp_path_factory.mktemp("plugins")
    made = {}
    for kind, name in NAMES.items():
        words = ["init", "plugin", name, "--kind", kind, "--out", str(folder / name)]
        assert cli.main(words) == 0
        made[kind] = folder / name
        install_project(folder / name)
    return made


def test_every_kind_keeps_its_contracts(packages: dict[str, Path], tmp_path: Path) -> None:
    """All in one process of their own, as their authors would run them, warnings being errors."""
    report = tmp_path / "report.xml"
    words = ["-W", "error", "-q", "-n", "0", "-p", "no:cacheprovider", "--import-mode=importlib"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *words,
            f"--junitxml={report}",
            *map(str, packages.values()),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    text = report.read_text()
    for kind, least in CONTRACTS.items():
        found = len(re.findall(rf'<testcase classname="[^"]*test_{kind}', text))
        assert found >= least, (kind, found)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("kind", KINDS)
def test_the_readmes_second_command_is_one_that_corenas_takes(
    kind: str, packages: dict[str, Path]
) -> None:
    readme = (packages[kind] / "README.md").read_text()
    (block,) = re.findall(r"^```\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    install, use = block.splitlines()
    assert install == "python -m pip install -e ."
    words = shlex.split(use)
    assert words[0] == "corenas"
    assert NAMES[kind] in use
    if words[1] == "run":  # checked as a dry run would, without its timing
        words = ["corenas", "show", *words[2:]]
        assert cli.main(words[1:]) == 0
    else:
        command = get_command(cli.build_app(default_registry()))
        assert words[1] in command.commands  # type: ignore[attr-defined]
        assert words[1] != "show" or cli.main(words[1:]) == 0


SMALLER = {
    "operation": (),
    "metric": (),
    "strategy": (
        "search.steps=2",
        "search.evaluator.training.steps=2",
        "finalists.count=1",
        "training.steps=2",
        "baselines=[]",
    ),
    "space": (
        "stages=generator",
        "search.steps=2",
        "search.evaluator.training.steps=2",
        "fresh.count=1",
        "x2.steps=2",
        "x4.steps=2",
    ),
    "recipe": ("search.steps=2", "search.evaluator.training.steps=2"),
    "task": ("search.steps=2",),
}
"""What makes the READMEs' commands short."""


@pytest.mark.slow
@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("kind", KINDS)
def test_the_readmes_second_command_does_its_work(
    kind: str,
    packages: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (packages[kind] / "README.md").read_text()
    (block,) = re.findall(r"^```\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    words = shlex.split(block.splitlines()[1])[1:]
    words += [f"--set={each}" for each in SMALLER[kind]]
    assert cli.main(words) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    if words[0] == "run":
        (summary,) = tmp_path.glob("runs/*/summary.json")
        assert json.loads(summary.read_text())
    else:
        assert NAMES[kind] in printed


@pytest.mark.parametrize("length", [3, 12, LONGEST])
def test_what_is_written_lints(tmp_path: Path, length: int) -> None:
    pytest.importorskip("ruff", reason="a linter is no dependency of the tests")
    for kind in KINDS:
        name = (f"{kind[:2]}-" * LONGEST)[:length].rstrip("-")
        write_plugin(name.ljust(length, "x"), kind, tmp_path / kind)
    for words in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *words, "--no-cache", str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_pip_installs_it(packages: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="it is what builds the package")
    pytest.importorskip("pip")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    target = ["--target", str(tmp_path / "site"), str(packages["operation"])]
    install = [sys.executable, "-m", "pip", "install", "--quiet", *offline, *target]
    subprocess.run(install, check=True, capture_output=True)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)[1:]  # the first has our fixture's
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *others])}
    listed = subprocess.run(
        [sys.executable, "-m", "corenas.cli", "list", "operations"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [NAMES["operation"]] * 2 in [line.split()[:2] for line in listed.stdout.splitlines()]
    assert (tmp_path / "site" / "made_operation" / "py.typed").exists()


def test_nothing_hidden_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates = shutil.copytree(init._TEMPLATES, tmp_path / "templates")
    for left in ("common/.ruff_cache/0.1/entry", "task/plugin_name/__pycache__/plugin.pyc"):
        (templates / left).parent.mkdir(parents=True)
        (templates / left).write_bytes(b"\xff\xfe")
    monkeypatch.setattr(init, "_TEMPLATES", templates)
    files = write_plugin("gated-conv", "task", tmp_path / "new")
    modules = ("__init__", "config", "data", "evaluator", "plugin", "recipe", "space")
    assert {path.as_posix() for path in files} == {
        "README.md",
        "pyproject.toml",
        "tests/test_task.py",
        "gated_conv/py.typed",
        *(f"gated_conv/{module}.py" for module in modules),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Gated", "lower-case words"),
        ("gated_conv", "lower-case words"),
        ("2fast", "lower-case words"),
        ("../up", "lower-case words"),
        ("", "lower-case words"),
        ("[bold]x", "lower-case words"),
        ("x" * (LONGEST + 1), "longer than"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("json", "a module 'json' already"),
        ("torch", "a module 'torch' already"),
        ("conv3", "'corenas-tpsr' has it among its operations"),
        ("corenas-sr", "module 'corenas_sr' already"),
    ],
)
def test_bad_names_are_refused(name: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        check_name(name, "operation", default_registry())


def test_wrong_input_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there"
    there.mkdir()
    words = ["init", "plugin", "gated-conv"]
    assert cli.main([*words, "--kind", "operation", "--out", str(there)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert cli.main([*words, "--kind", "operator", "--out", str(tmp_path / "new")]) == 2
    assert "did you mean 'operation'?" in capsys.readouterr().err
    assert cli.main([*words, "--kind", "task", "--out", "/proc/nowhere/new"]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_disk_that_fills_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", fail)
    with pytest.raises(Exception, match="No space left"):
        write_plugin("gated-conv", "task", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
