"""Model files with random weights, what is exported of them once, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import evolve

from corenas import choose, cli
from corenas.testing.installed import install_plugin
from corenas_sr.models.files import save_model

__all__ = ["install_plugin"]

Run = Callable[..., str]
NETWORK = {"width": 8, "blocks": ["res3", "rep3", ["next5", 1]], "fusion": True}


def write_model(file: Path, space: str, value: Any, **options: Any) -> Path:
    """Write a network with random weights, which make more of an image than a fresh one's do."""
    chosen = choose("search_spaces", space)
    chosen = evolve(chosen, config=evolve(chosen.config, **options))
    built = chosen.build()
    architecture = built.known[value] if isinstance(value, str) else built.parse(value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = built.build(architecture)
        if space == "tiny":
            torch.nn.init.normal_(module.tail.weight, std=0.02)
    save_model(file, module, space=chosen, architecture=architecture, scale=chosen.option("scale"))
    return file


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="session")
def model(folder: Path) -> Path:
    """A small network for x2."""
    return write_model(folder / "net-x2.safetensors", "tiny", NETWORK, scale=2, widths=(8,))


@pytest.fixture(scope="session")
def onnx_file(folder: Path, model: Path) -> Path:
    """The network as an ONNX file for images of any size."""
    return exported(model, folder / "net.onnx", "onnx", "--licence=CC0")


@pytest.fixture(scope="session")
def fixed_file(folder: Path, model: Path) -> Path:
    """The network as an ONNX file for float images of 48x40."""
    return exported(model, folder / "fixed.onnx", "onnx", "--input=48x40", "--set=images=float")


def exported(model: Path, out: Path, form: str, *more: str) -> Path:
    assert cli.main(["export", str(model), f"--to={form}", f"--out={out}", *more]) == 0
    return out


@pytest.fixture
def corenas(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must succeed; return what it prints."""

    def run(*arguments: object) -> str:
        assert cli.main([str(each) for each in arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must end with a status; return what it says about that."""

    def run(status: int, *arguments: object) -> str:
        assert cli.main([str(each) for each in arguments]) == status
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.err.splitlines()[-1]

    return run


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
