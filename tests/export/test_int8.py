"""Eight-bit integers: what they lose is measured, and too much is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import ModelProto, numpy_helper

from corenas_sr.data.images import quantise, read_image, write_image
from corenas_sr.models.files import load_model

Run = Callable[..., str]


LAYERS = 9
"""Convolutions of the network: head, two of res3, one of rep3, three of next5, fuse, tail."""


@pytest.fixture(scope="session")
def truth(folder: Path, model: Path, photographs: Path) -> Path:
    """Images that the network restores but for noise of two levels, so that any loss shows."""
    network, generator = load_model(model).module, torch.Generator().manual_seed(0)
    for file in sorted((photographs / "valid").glob("*.png")):
        low = read_image(file)
        with torch.no_grad():
            high = network(low[None].float())[0]
        high += 2 * torch.randn(high.shape, generator=generator)
        for place, name, image in (
            ("HR", file.stem, quantise(high)),
            ("LR_bicubic/X2", f"{file.stem}x2", low),
        ):
            (folder / "truth" / place).mkdir(parents=True, exist_ok=True)
            write_image(folder / "truth" / place / f"{name}.png", image)
    return folder / "truth"


@pytest.fixture
def quantising(model: Path, photographs: Path, truth: Path) -> list[str]:
    """Return the arguments of an export that is calibrated and measured in no time."""
    return [
        *("export", str(model), "--to=onnx-int8", "--set=crops=4", "--set=crop=24", "--force"),
        f"--calibration={photographs / 'train'}",
        f"--validation={truth}",
    ]


def integer_layers(graph: ModelProto) -> int:
    """Return how many convolutions take their weights from eight-bit integers."""
    constants = {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}
    weights = {
        node.output[0]: constants[node.input[1]]
        for node in graph.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    found = [node.input[1] for node in graph.graph.node if node.op_type == "Conv"]
    scales = [weights[name] for name in found if name in weights]
    assert all(scale.size > 1 for scale in scales), "one scale for each channel"
    return len(scales)


def test_integers_are_measured_and_the_file_has_those_numbers(
    corenas: Run, quantising: list[str], truth: Path
) -> None:
    numbers = json.loads(corenas(*quantising, "--most-loss=50", "--json"))["numbers"]
    graph = onnx.load("net-x2-int8.onnx")
    assert integer_layers(graph) == LAYERS
    facts = {prop.key: prop.value for prop in graph.metadata_props}
    assert json.loads(facts["corenas.numbers"]) == numbers
    measured = json.loads(corenas("evaluate", "net-x2-int8.onnx", truth, "--json"))["mean"]
    assert numbers["psnr in integers"].startswith(f"{measured['psnr']:.4f} (")
    assert numbers["ssim in integers"].startswith(f"{measured['ssim']:.4f} (")
    before, after = (
        float(numbers[f"psnr in {what}"].split()[0]) for what in ("floating point", "integers")
    )
    assert float(numbers["loss"].split()[0]) == pytest.approx(before - after, abs=2e-4)
    assert before > 35


@pytest.mark.filterwarnings("ignore:the network sees:UserWarning")
def test_loss_of_one_size_is_that_of_integers_alone(
    corenas: Run, fails: Run, quantising: list[str], model: Path, truth: Path
) -> None:
    """Windows change something too, before and after: the network sees more than they overlap."""
    corenas("export", model, "--to=onnx", "--input=8x8", "--out=float.onnx")
    expected = json.loads(corenas("evaluate", "float.onnx", truth, "--json"))["mean"]
    words = [*quantising, "--input=8x8", "--most-loss=50", "--json"]
    numbers = json.loads(corenas(*words))["numbers"]
    assert numbers["psnr in floating point"].startswith(f"{expected['psnr']:.4f} (")
    whole = json.loads(corenas("evaluate", model, truth, "--json"))["mean"]
    assert abs(whole["psnr"] - expected["psnr"]) > 1e-3
    every = '--set=leave_out=["head", "blocks", "fuse", "tail"]'
    said = fails(1, *quantising, "--input=8x8", "--most-loss=0", every)
    assert said.startswith("error: refused: no layer is left that computes with integers")


def test_too_large_a_loss_is_refused_and_kept_aside(fails: Run, quantising: list[str]) -> None:
    said = fails(1, *quantising, "--most-loss=0", "--set=search=false")
    assert "at most 0 dB may be lost (--most-loss)" in said
    assert said.endswith("the file is kept as net-x2-int8.refused.onnx")
    assert [each.name for each in Path().glob("*.onnx")] == ["net-x2-int8.refused.onnx"]


def test_layers_are_left_out_until_the_loss_is_small_enough(
    corenas: Run, quantising: list[str]
) -> None:
    lost = float(
        json.loads(corenas(*quantising, "--most-loss=50", "--json"))["numbers"]["loss"].split()[0]
    )
    assert lost > 0
    limit = f"--most-loss={lost / 2}"
    numbers = json.loads(corenas(*quantising, limit, "--json"))["numbers"]
    left_out = numbers["layers left out"].split(", ")
    assert float(numbers["loss"].split()[0]) <= lost / 2
    assert integer_layers(onnx.load("net-x2-int8.onnx")) == LAYERS - len(left_out)


def test_file_without_integers_is_refused(fails: Run, quantising: list[str]) -> None:
    names = ["head", "blocks", "fuse", "tail"]
    said = fails(1, *quantising, f"--set=leave_out={json.dumps(names)}")
    assert said.startswith("error: refused: no layer is left that computes with integers")
    assert not Path("net-x2-int8.onnx").exists()


def test_layers_are_left_out_by_name(corenas: Run, fails: Run, quantising: list[str]) -> None:
    corenas(*quantising, '--set=leave_out=["head", "blocks.0"]', "--most-loss=5")
    assert integer_layers(onnx.load("net-x2-int8.onnx")) == LAYERS - 1 - 2
    said = fails(2, *quantising, '--set=leave_out=["hed"]')
    assert "leave_out: no layer 'hed'; did you mean 'head'?" in said
