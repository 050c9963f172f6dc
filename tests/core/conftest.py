"""Fixtures: plugins that are installed for the length of a test."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corenas.plugins.registry import default_registry
from corenas.testing.installed import install_plugin

__all__ = ["install_plugin"]

InstallProject = Callable[[Path], None]
"""Installs the project in a folder, as pip would: its modules, its name and its entry points."""


@pytest.fixture(scope="module")
def install_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstallProject]:
    """Install projects for the tests of one module, and for the processes that they start."""
    site = tmp_path_factory.mktemp("site-packages")
    modules: set[str] = set()

    def install(folder: Path) -> None:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        modules.update(path.stem for path in folder.iterdir())
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
