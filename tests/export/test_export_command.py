"""The command: what it refuses, and formats of strangers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from corenas.testing.installed import InstallPlugin
from corenas_sr.models.files import load_model

Run = Callable[..., str]

STRANGE = """
from attrs import frozen

from corenas import Component, hookimpl, option
from corenas_export.format import Exported, FormatInfo


@frozen
class Options:
    offset: float = option(0.0, "added to every value")
    refused: str = option("", "why it is refused")


@hookimpl
def corenas_export_formats():
    return [Component("strange", "strange_format:Strange", Options, "s", FormatInfo((".odd",)))]


class Strange:
    def __init__(self, config):
        self.config = config

    def check(self, source):
        source.say(f"scale {source.scale}")

    def write(self, source, file):
        file.write_text("odd")

        def run(images):
            return source.module(images) + self.config.offset

        return Exported((file,), run, "itself", refused=self.config.refused)
"""


@pytest.fixture
def strange(install_plugin: InstallPlugin) -> None:
    install_plugin("strange-format", STRANGE)


@pytest.mark.usefixtures("strange")
def test_format_of_a_stranger_is_listed_and_used(corenas: Run, model: Path) -> None:
    assert "strange" in corenas("list", "export-formats")
    printed = corenas("export", model, "--to=strange")
    assert "largest difference from torch: 0 of 255 levels (40x24, 53x37, 64x48; itself)" in printed
    assert Path("net-x2.odd").read_text() == "odd"


@pytest.mark.usefixtures("strange")
def test_export_that_differs_from_torch_is_not_handed_over(fails: Run, model: Path) -> None:
    said = fails(1, "export", model, "--to=strange", "--set=offset=0.1")
    assert "nothing was written: for an image of 40x24 the export differs from torch by 0.1" in said
    assert list(Path().glob("*.odd")) == []


@pytest.mark.usefixtures("strange")
def test_refused_export_is_kept_aside(fails: Run, model: Path) -> None:
    said = fails(1, "export", model, "--to=strange", "--set=refused=bad")
    assert said == "error: bad; the file is kept as net-x2.refused.odd"
    assert [each.name for each in Path().glob("*.odd")] == ["net-x2.refused.odd"]


@pytest.mark.usefixtures("strange")
def test_file_that_exists_is_replaced_by_force_alone(corenas: Run, fails: Run, model: Path) -> None:
    target = Path("a.odd")
    target.write_text("mine")
    said = fails(2, "export", model, "--to=strange", "--out=a.odd")
    assert said == "error: nothing was written: a.odd exists; --force replaces it"
    assert target.read_text() == "mine"
    corenas("export", model, "--to=strange", "--out=a.odd", "--force")
    assert target.read_text() == "odd"


def test_second_file_of_a_format_is_looked_for_too(fails: Run, model: Path) -> None:
    Path("a_weights.safetensors").touch()
    said = fails(2, "export", model, "--to=code", "--out=a.py")
    assert "a_weights.safetensors exists; --force replaces it" in said
    assert not Path("a.py").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to=onxx"], "unknown export format 'onxx'; did you mean 'onnx'?"),
        (["--to=pt2", "--out=gone/a.pt2"], "gone/a.pt2: cannot be written: No such file"),
        (["--to=pt2", "--out=a.onnx"], "--out a.onnx: the name of this format's file ends in .pt2"),
        (["--to=pt2", "--input=48"], "--input '48': expected WIDTHxHEIGHT"),
        (["--to=pt2", "--input=0x4"], "--input '0x4': expected WIDTHxHEIGHT"),
        (["--to=code", "--input=8x8"], "--input: code takes images of any size"),
        (["--to=pt2", "--most-loss=1"], "unknown key 'most_loss'"),
        (["--to=onnx", "--set=opset=9"], "opset: must be at least 18, got 9"),
        (["--to=onnx-int8"], "calibration: a folder of images is needed for ranges"),
        (["--to=onnx-int8", "--calibration=gone", "--validation=gone"], "gone"),
        (["--to=onnx", "--validation=gone"], "gone"),
    ],
)
def test_wrong_arguments_are_said_before_anything_is_done(
    fails: Run, model: Path, arguments: list[str], message: str
) -> None:
    assert message in fails(2, "export", model, *arguments)
    assert list(Path().glob("*.*")) == []


def test_format_without_its_package_says_what_to_install(
    fails: Run, corenas: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corenas.plugins.needs.find_spec", lambda name: None)
    said = fails(2, "export", model, "--to=onnx")
    assert "export format 'onnx' needs corenas[export]: pip install 'corenas[export]'" in said
    assert "needs corenas[export]: an ONNX file" in corenas("list", "export-formats")
    Path("x.onnx").touch()
    said = fails(2, "evaluate", "x.onnx", "embedded")
    assert "network file 'onnx' needs corenas[export]: pip install 'corenas[export]'" in said


def test_model_of_a_missing_plugin_is_said(fails: Run, model: Path) -> None:
    with safe_open(model, "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(file.metadata()["corenas"])
    description["space"]["use"], description["plugin"] = "gone", "corenas-gone"
    save_file(weights, "gone.safetensors", metadata={"corenas": json.dumps(description)})
    said = fails(2, "export", "gone.safetensors", "--to=pt2")
    assert "needs the search space 'gone' of the plugin 'corenas-gone'" in said


@pytest.mark.parametrize("name", ["none.safetensors", "none.onnx", "none.pth"])
def test_model_that_is_not_there_is_said(fails: Run, name: str) -> None:
    assert name in fails(2, "export", name, "--to=pt2")


def test_model_is_never_its_own_target(fails: Run, model: Path) -> None:
    copy = Path("a_weights.safetensors")
    copy.write_bytes(model.read_bytes())
    said = fails(2, "export", copy, "--to=code", "--out=a.py", "--force")
    assert said == "error: a_weights.safetensors: is the model file; give another name with --out"
    assert copy.read_bytes() == model.read_bytes()


def test_names_are_shown_as_they_are(corenas: Run, model: Path) -> None:
    odd = Path("[bold]net\x1b[31m.safetensors")
    odd.write_bytes(model.read_bytes())
    printed = corenas("export", odd, "--to=code", "--out=[red]net\x1b[0m.py")
    assert "[red]net [0m.py" in printed
    assert "\x1b" not in printed


def test_full_disk_leaves_nothing(command: Callable[..., object], model: Path) -> None:
    done = command("export", model, "--to=code", "--out=a.py", file_limit=4096)
    assert done.status in (1, 2)  # type: ignore[attr-defined]
    assert "File too large" in done.err  # type: ignore[attr-defined]
    assert "Traceback" not in done.err  # type: ignore[attr-defined]
    assert not Path("a.py").exists()
    assert not Path("a_weights.safetensors").exists()


def test_program_is_that_of_torch(corenas: Run, model: Path) -> None:
    corenas("export", model, "--to=pt2", "--out=net.pt2")
    images = 255 * torch.rand(2, 3, 31, 17)
    made = torch.export.load("net.pt2").module()(images)
    assert torch.allclose(made, load_model(model).module(images), atol=1e-3)
