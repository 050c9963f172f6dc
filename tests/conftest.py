"""What tests of several areas need."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from attrs import frozen

from corenas.files import cache_folder
from corenas.plugins.registry import default_registry

# Test processes run side by side; more threads in each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@frozen
class Done:
    """How a command ended; ``status`` is negative for the signal that killed it."""

    status: int
    out: str
    err: str


class Command(Protocol):
    """What the fixture `command` is."""

    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] = {},
        file_limit: int = 0,
        save_always: bool = False,
    ) -> Done:
        """Run ``corenas`` in a process that leads a group of its own.

        Args:
            arguments: Those of the command line.
            env: Added to its environment.
            file_limit: Bytes that a file of it can have; 0 for any size.
            save_always: Write a checkpoint after every event, whatever it costs.
        """


def _write(folder: Path, count: int, *, seed: int) -> None:
    """Write smooth random images of 72x64 pixels."""
    import torch
    import torch.nn.functional as F

    from corenas_sr.data.images import write_image

    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        coarse = 255 * torch.rand(1, 3, 8, 9, generator=generator)
        image = F.interpolate(coarse, size=(64, 72), mode="bicubic")[0]
        write_image(folder / f"{folder.name}{number}.png", image.clamp(0, 255).to(torch.uint8))


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests cache out of the user's folder; fonts are looked for once all the same."""
    with pytest.MonkeyPatch.context() as patch:
        if "MPLCONFIGDIR" not in os.environ:
            patch.setenv("MPLCONFIGDIR", str(cache_folder().with_name("matplotlib")))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folders ``train`` and ``valid``, of three and two small images."""
    folder = tmp_path_factory.mktemp("photographs")
    _write(folder / "train", 3, seed=0)
    _write(folder / "valid", 2, seed=1)
    return folder


@pytest.fixture(scope="session")
def warm_process() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("warm.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate()


@pytest.fixture(scope="session")
def command_in(warm_process: subprocess.Popen[str]) -> Callable[[Path], Command]:
    """Give what runs command lines in a folder."""
    return partial(_command_in, warm_process)


def _command_in(process: subprocess.Popen[str], folder: Path) -> Command:
    def run(
        *arguments: str | Path,
        env: Mapping[str, str] = {},
        file_limit: int = 0,
        save_always: bool = False,
    ) -> Done:
        out, err = folder / "stdout.txt", folder / "stderr.txt"
        request = {
            "arguments": list(map(str, arguments)),
            "cwd": str(folder),
            "out": str(out),
            "err": str(err),
            "path": sys.path,
            "env": {"XDG_CACHE_HOME": str(folder / "cache"), **env},
            "file_limit": file_limit,
            "save_always": save_always,
        }
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        status = int(process.stdout.readline())
        return Done(status, out.read_text(), err.read_text())

    return run


@pytest.fixture
def command(command_in: Callable[[Path], Command], tmp_path: Path) -> Command:
    return command_in(tmp_path)


InstallProject = Callable[[Path], None]
"""Installs the project in a folder, as pip would: its modules, its name and its entry points."""


@pytest.fixture(scope="module")
def install_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstallProject]:
    """Install projects for the tests of one module, and for the processes that they start."""
    site = tmp_path_factory.mktemp("site-packages")
    modules: set[str] = set()

    def install(folder: Path) -> None:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        # Not what is there already: a project has tests as well, and these are ours.
        there = {name.split(".")[0] for name in sys.modules}
        modules.update({path.stem for path in folder.iterdir()} - there)
        shutil.copytree(folder, site, dirs_exist_ok=True)
        stem = project["name"].replace("-", "_")  # what follows a hyphen is the version
        _write_metadata(site / f"{stem}-{project['version']}.dist-info", project)
        importlib.invalidate_caches()
        default_registry.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        yield install
    default_registry.cache_clear()
    for name in list(sys.modules):
        if name.split(".")[0] in modules:
            del sys.modules[name]


def _write_metadata(folder: Path, project: dict[str, Any]) -> None:
    folder.mkdir()
    header = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(header, encoding="utf-8")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {source}" for name, source in entries.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Send the kind of a trial to the process that counts, which may be another one."""
    for mark in item.iter_markers("abuse"):
        item.user_properties.append(("abuse", mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many trials of each kind of abuse held, where these were asked for."""
    if "abuse" not in (terminalreporter.config.getoption("markexpr") or ""):
        return
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, kind in report.user_properties:
                if name == "abuse":
                    counts.setdefault(kind, Counter())[outcome] += 1
    terminalreporter.section("trials of abuse")
    for kind, count in sorted(counts.items()):
        terminalreporter.line(f"{kind:56} held {count['passed']:4}  failed {count['failed']}")
    total = sum(counts.values(), Counter())
    terminalreporter.line(f"{'all':56} held {total['passed']:4}  failed {total['failed']}")
