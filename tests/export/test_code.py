"""The format ``code``: what is written runs without CoreNAS and gives the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from corenas import InputError
from corenas_export.code.spelling import Spelling
from corenas_sr.models.files import load_model

from .conftest import exported, write_model

Run = Callable[..., str]

WITHOUT_CORENAS = """
import sys

class Refusing:
    def find_spec(self, name, *rest):
        assert not name.startswith("corenas"), name

sys.meta_path.insert(0, Refusing())
sys.path.insert(0, ".")
import torch
import net

network = net.load()
images = torch.load("images.pt")
torch.save({"network": network(images), "upscaled": net.upscale(images[0].to(torch.uint8))}, "a.pt")
assert not any(name in sys.modules for name in ("safetensors", "numpy.random", "spandrel"))

import spandrel
net.register()
net.register()
loaded = spandrel.ModelLoader().load_from_file("net_weights.safetensors")
assert (loaded.scale, loaded.purpose, loaded.input_channels) == (2, "SR", 3)
torch.save(loaded(images / 255) * 255, "b.pt")
"""


def test_code_runs_without_corenas_and_spandrel_loads_it(model: Path, tmp_path: Path) -> None:
    exported(model, tmp_path / "net.py", "code")
    images = torch.randint(0, 256, (2, 3, 19, 23)).float()
    torch.save(images, "images.pt")
    subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", WITHOUT_CORENAS],
        check=True,
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    with torch.no_grad():
        expected = load_model(model).module(images)
    made = torch.load("a.pt")
    assert torch.allclose(made["network"], expected, atol=1e-3)
    rounded = torch.floor(expected[0] + 0.5).clamp(0, 255)
    assert (made["upscaled"].float() - rounded).abs().max() <= 1
    assert torch.allclose(torch.load("b.pt"), expected.clamp(0, 255), atol=1e-2)


@pytest.mark.parametrize(
    ("space", "value", "options"),
    [
        ("tpsr-generator", "tpsr/paper", {"scale": 4}),
        ("tpsr-generator", [["se", 0], ["ca", 1], ["inv3", 2]], {"nodes": 3}),
        ("tiny", {"width": 12, "blocks": ["bsres5", ["gate3", 1], "distil3", "esa"]}, {}),
        ("tiny", {"width": 12, "blocks": ["modulate", "channel-attention", "cca"]}, {}),
        ("trilevel-b", "trilevel-b/table-3", {}),
    ],
)
def test_networks_of_every_space_are_spelled_out(
    tmp_path: Path, space: str, value: Any, options: dict[str, Any]
) -> None:
    model = write_model(tmp_path / "m.safetensors", space, value, **options)
    text = exported(model, tmp_path / "net.py", "code").read_text()
    assert "import corenas" not in text
    assert "from corenas" not in text
    compile(text, "net.py", "exec")
    assert max(map(len, text.splitlines())) < 140


def test_layers_are_spelled_out_with_their_numbers(model: Path, tmp_path: Path) -> None:
    text = exported(model, tmp_path / "net.py", "code").read_text()
    assert "self.head = nn.Conv2d(3, 8, kernel_size=3, padding=1)" in text
    assert "self.fuse = nn.Conv2d(24, 8, kernel_size=1)" in text
    assert "nn.Conv2d(8, 8, kernel_size=5, padding=2, groups=8)" in text


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = {"a": torch.zeros(1)}

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table["a"]


class Two(nn.Module):
    """Holds two convolutions of one class and different widths."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = Inner(3), Inner(5), Inner(3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.third(x)


class Inner(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_what_cannot_be_spelled_out_is_refused() -> None:
    with pytest.raises(InputError, match=r"Stateful\.table: a dict cannot be spelled out"):
        Spelling().module(Stateful(), 0)


class Enlarging(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return upscale(x)


class Helped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(numpy.asarray(x))


def upscale(x: Tensor) -> Tensor:
    return x


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Enlarging(), "'upscale' in the network's code is a name that the file itself uses"),
        (Helped(), "the network's code imports 'numpy'; torch alone can be had"),
    ],
)
def test_code_that_needs_more_than_torch_and_names_of_its_own_is_refused(
    network: nn.Module, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Spelling(reserved=("upscale",)).module(network, 0)


def test_empty_module_of_a_list_keeps_its_place() -> None:
    network = nn.Sequential(nn.Sequential(), nn.ReLU())
    assert Spelling().module(network, 0) == "nn.Sequential(nn.Sequential(), nn.ReLU())"


def test_modules_that_are_alike_share_a_class() -> None:
    spelling = Spelling()
    assert spelling.module(Two(), 0) == "Two()"
    assert list(spelling.classes) == ["Inner", "Inner2", "Two"]
    assert "self.third = Inner()" in spelling.classes["Two"]
