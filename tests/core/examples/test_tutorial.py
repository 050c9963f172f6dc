"""The tutorial is the example: its blocks are the package's files, and its commands run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from corenas import cli

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "digits"
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(kind, body) for kind, body in BLOCK.findall(PAGE)]
FILES = sorted(
    {body.split("\n")[0].removeprefix("# ") for kind, body in BLOCKS if kind != "console"}
)
COMMANDS = [line for kind, body in BLOCKS if kind == "console" for line in body.splitlines()]

QUICK = (
    *("--set", "search.steps=2", "--set", "search.executor=serial"),
    *("--set", "search.evaluator.training.steps=4", "--set", "training.steps=4"),
)
"""What makes the commands of the page short, behind the options that it shows."""


@pytest.fixture(autouse=True, scope="module")
def _installed(install_project: Callable[[Path], None]) -> None:
    install_project(EXAMPLE)


def shown(name: str) -> list[str]:
    """Return the blocks of a file without the line that names it."""
    bodies = [body for kind, body in BLOCKS if kind != "console"]
    return [body.split("\n", 1)[1] for body in bodies if body.split("\n")[0] == f"# {name}"]


def squeezed(text: str) -> str:
    """Return text without empty lines, which blocks lose at their ends."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def test_page_shows_every_file_of_the_package() -> None:
    files = {f"corenas_digits/{file.name}" for file in (EXAMPLE / "corenas_digits").glob("*.py")}
    assert files - {"corenas_digits/__init__.py"} <= set(FILES)


@pytest.mark.parametrize("name", [name for name in FILES if "/" in name or name.endswith("toml")])
def test_blocks_of_a_file_are_the_file(name: str) -> None:
    file = (EXAMPLE / name).read_text(encoding="utf-8")
    assert squeezed("\n".join(shown(name))) == squeezed(file)


def test_the_shown_contract_holds(tmp_path: Path) -> None:
    (body,) = shown("test_digits_space.py")
    (tmp_path / "test_digits_space.py").write_text(body, encoding="utf-8")
    arguments = ["-q", "-p", "no:cacheprovider", "-n", "0", str(tmp_path / "test_digits_space.py")]
    assert pytest.main(arguments) == 0


def test_commands_do_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) > 6
    for line in COMMANDS:
        words = shlex.split(line)[1:]
        refused = "search.evaluator.training.steps=0" in words
        runs = words[0] == "run" and not refused
        assert cli.main([*words, *(QUICK if runs else ())]) == (2 if refused else 0), line
        out, err = capsys.readouterr()
        if refused:
            assert "search.evaluator.training.steps: must be at least 1" in err
        if "--pareto" in words:
            assert out.startswith("better: accuracy higher, params lower, mult_adds lower")
