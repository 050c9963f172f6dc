"""What ``doctor`` says of a machine, and what plugins add to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corenas import cli
from corenas.testing.installed import InstallPlugin

PLUGIN = """
from corenas.plugins.checks import Check
from corenas.plugins.hookspecs import hookimpl


@hookimpl
def corenas_checks():
    {body}
"""


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # Where Ray notes the address of the cluster that this machine is in.
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def doctor(capsys: pytest.CaptureFixture[str], *, status: int) -> dict[str, dict[str, Any]]:
    """Return its checks by name."""
    assert cli.main(["doctor", "--json"]) == status
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is (status == 0)
    return {check["name"]: check for check in found["checks"]}


def test_a_sound_machine(capsys: pytest.CaptureFixture[str]) -> None:
    checks = doctor(capsys, status=0)
    names = (
        "python",
        "corenas",
        "torch",
        "cores",
        "free disk",
        "cache",
        "plugin corenas-sr",
        "ray",
    )
    for name in (*names, "pretrained weights", "decoded images"):
        assert checks[name]["found"], name


def test_a_broken_plugin(capsys: pytest.CaptureFixture[str], install_plugin: InstallPlugin) -> None:
    install_plugin("bad-import", "import no_such_library\n")
    checks = doctor(capsys, status=1)
    assert [name for name, check in checks.items() if not check["ok"]] == ["plugin bad-import"]


def test_a_cache_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cli.main(["doctor"]) == 1
    broken = [line for line in capsys.readouterr().out.splitlines() if "cannot be written" in line]
    assert len(broken) == 1
    assert broken[0].split()[:2] == ["BROKEN", "cache"]


@pytest.mark.parametrize(
    ("body", "name", "found", "ok"),
    [
        ("return (Check('phone', 'model 7'),)", "phone", "model 7", True),
        ("return (Check('phone', 'no cable', ok=False),)", "phone", "no cable", False),
        ("raise OSError('no cable')", "checks of phones", "OSError: no cable (", False),
        ("return ('model 7',)", "checks of phones", "a str where a Check is expected", False),
    ],
)
def test_what_a_plugin_adds(
    capsys: pytest.CaptureFixture[str],
    install_plugin: InstallPlugin,
    body: str,
    name: str,
    found: str,
    ok: bool,
) -> None:
    install_plugin("phones", PLUGIN.format(body=body))
    checks = doctor(capsys, status=0 if ok else 1)
    assert checks[name]["found"].startswith(found)
    assert checks[name]["ok"] is ok
    assert checks["cache"]["ok"]
