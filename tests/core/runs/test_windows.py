"""Nothing that Windows lacks is needed to start."""

from __future__ import annotations

import ast
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from corenas import stopping
from corenas.search.executors import processes
from corenas.stopping import Stop

ROOT = Path(__file__).parents[3]
POSIX_ONLY = {"fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios", "tty"}


def imported_at_once(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_module_needs_what_windows_lacks_when_it_is_imported() -> None:
    files = [*(ROOT / "corenas").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    assert len(files) > 100
    for file in files:
        found = POSIX_ONLY & set(imported_at_once(ast.parse(file.read_text(encoding="utf-8"))))
        assert not found, f"{file} imports {found}"


def test_workers_start_where_signals_have_no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "pthread_sigmask")
    monkeypatch.setattr(os, "name", "nt")
    with processes._hold_interrupts():
        pass


def test_stopping_works_where_nothing_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_HANG_UP", None)
    with Stop().installed() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
