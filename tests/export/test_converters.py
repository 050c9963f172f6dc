"""Formats of converters that a user installs; each is tested where it is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

Run = Callable[..., str]


def installed(*modules: str) -> pytest.MarkDecorator:
    lacking = [name for name in modules if find_spec(name) is None]
    return pytest.mark.skipif(bool(lacking), reason=f"not installed: {', '.join(lacking)}")


@pytest.mark.parametrize(
    ("arguments", "files", "runtime"),
    [
        pytest.param(
            ["--to=openvino"],
            ["net-x2.xml", "net-x2.bin"],
            "OpenVINO 20",
            marks=installed("openvino"),
        ),
        pytest.param(
            ["--to=ncnn"],
            ["net-x2.ncnn.param", "net-x2.ncnn.bin"],
            "ncnn 1.",
            marks=installed("ncnn", "pnnx"),
        ),
        pytest.param(
            ["--to=executorch", "--input=48x40"],
            ["net-x2.pte"],
            "ExecuTorch 1.",
            marks=installed("executorch"),
        ),
        pytest.param(
            ["--to=coreml"],
            ["net-x2.mlpackage"],
            "Core ML runs on macOS only",
            marks=installed("coremltools"),
        ),
    ],
)
def test_files_of_a_converter_are_compared_with_torch(
    corenas: Run, model: Path, arguments: list[str], files: list[str], runtime: str
) -> None:
    found = json.loads(corenas("export", model, *arguments, "--json"))
    assert found["files"] == files
    assert all(Path(file).exists() for file in files)
    assert found["runs_with"].startswith(runtime)
    assert all(each["levels"] < 0.02 for each in found["differences"])
    assert len(found["differences"]) == (0 if "coreml" in arguments[0] else 3)


@pytest.mark.parametrize("name", ["ncnn", "executorch"])
def test_files_without_a_place_for_a_licence_get_none(
    fails: Run, model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("corenas.plugins.needs.find_spec", lambda module: True)
    words = "export", model, f"--to={name}", "--input=48x40", "--licence=CC0"
    assert f"--licence: {name}'s files have no place for it" in fails(2, *words)


def test_executorch_wants_one_size(
    fails: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What speaks against an export is said without the converter's own modules.
    monkeypatch.setattr("corenas.plugins.needs.find_spec", lambda name: True)
    said = fails(2, "export", model, "--to=executorch")
    assert "executorch: plans its memory for one size of images; give it with --input" in said


@pytest.mark.skipif(
    bool(find_spec("executorch") and find_spec("coremltools")), reason="both are installed"
)
def test_converter_that_is_not_installed_is_named(fails: Run, model: Path) -> None:
    for name, package in (("executorch", "executorch"), ("coreml", "coremltools")):
        if find_spec(package) is None:
            said = fails(2, "export", model, f"--to={name}")
            assert f"export format '{name}' needs {package}: pip install '{package}'" in said
