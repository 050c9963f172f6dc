"""A fixture that installs a plugin for the length of a test, as a package would be."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from corenas.plugins.hookspecs import PROJECT
from corenas.plugins.registry import default_registry


class InstallPlugin(Protocol):
    """What the fixture `install_plugin` is."""

    def __call__(self, name: str, source: str | None, *, version: str = "1.0") -> Path:
        """Install a distribution whose entry point names a module of one file.

        Args:
            name: That of the plugin and of its distribution; the module has underscores instead.
            source: The module's text; with None there is no module, as in a broken package.
            version: That of the distribution.

        Returns:
            Where the module is.
        """


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallPlugin]:
    """Install plugins for this process and those that it starts; undone after the test."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    # Worker processes start afresh and find the plugin by it.
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    modules = []

    def install(name: str, source: str | None, *, version: str = "1.0") -> Path:
        module = name.replace("-", "_")
        modules.append(module)
        _write_metadata(site / f"{module}-{version}.dist-info", name, module, version)
        file = site / f"{module}.py"
        if source is not None:
            file.write_text(source, encoding="utf-8")
        importlib.invalidate_caches()
        default_registry.cache_clear()
        return file

    yield install
    default_registry.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


def _write_metadata(folder: Path, name: str, module: str, version: str) -> None:
    folder.mkdir()
    header = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (folder / "METADATA").write_text(header, encoding="utf-8")
    entry_points = f"[{PROJECT}]\n{name} = {module}\n"
    (folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")
