"""ONNX files against torch, and through evaluate and upscale."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import corenas_sr
from corenas_export.onnx_files.windows import in_windows
from corenas_sr.data.images import quantise, read_image
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import upscale
from corenas_sr.models.networks import load_network

from .conftest import exported, write_model

Run = Callable[..., str]


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def run(file: Path, images: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"images": images.numpy()})
    return torch.from_numpy(made)


@pytest.mark.parametrize("shape", [(1, 3, 40, 48), (2, 3, 37, 53), (1, 3, 5, 1)])
def test_file_makes_of_bytes_what_torch_makes_rounded(
    onnx_file: Path, model: Path, shape: tuple[int, ...]
) -> None:
    images = noise(*shape)
    with torch.no_grad():
        expected = quantise(load_model(model).module(images.float()))
    made = run(onnx_file, images.permute(0, 2, 3, 1).contiguous()).permute(0, 3, 1, 2)
    assert made.dtype == torch.uint8
    different = made.int() - expected.int()
    # A number on the edge between two levels may go to either.
    assert different.abs().max() <= 1
    assert (different != 0).double().mean() < 1e-3
    assert expected.float().std() > 20


def test_float_file_of_one_size_has_torchs_numbers(fixed_file: Path, model: Path) -> None:
    images = noise(1, 3, 40, 48).float()
    with torch.no_grad():
        expected = load_model(model).module(images)
    assert torch.allclose(run(fixed_file, images), expected, atol=1e-3)
    assert onnxruntime.InferenceSession(fixed_file).get_inputs()[0].shape == [1, 3, 40, 48]


def test_file_says_what_it_is_and_nothing_of_this_machine(onnx_file: Path, model: Path) -> None:
    graph = onnx.load(onnx_file)
    facts = {prop.key: prop.value for prop in graph.metadata_props}
    assert facts["corenas.scale"] == "2"
    assert json.loads(facts["corenas.architecture"])["width"] == 8
    assert facts["corenas.architecture_id"] == load_model(model).architecture.id
    assert facts["corenas.data_licence"] == "CC0"
    assert facts["corenas.source_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    weights = sum(each.numel() for each in load_model(model).module.parameters())
    assert facts["corenas.params"] == str(weights)
    (images,) = graph.graph.input
    named = [each.dim_param or each.dim_value for each in images.type.tensor_type.shape.dim]
    assert named == ["batch", "height", "width", 3]
    assert graph.opset_import[0].version >= 18
    content = onnx_file.read_bytes()
    for place in (Path(corenas_sr.__file__).parents[1], model.parent, Path(torch.__file__).parent):
        assert str(place).encode() not in content
    convolutions = [m for m in load_model(model).module.modules() if isinstance(m, nn.Conv2d)]
    assert [node.op_type for node in graph.graph.node].count("Conv") == len(convolutions)


def test_numbers_of_the_file_are_those_of_the_model(
    corenas: Run, onnx_file: Path, model: Path
) -> None:
    ours, theirs = (
        json.loads(corenas("evaluate", file, "embedded", "--metrics=psnr,ssim", "--json"))
        for file in (model, onnx_file)
    )
    assert theirs["scale"] == 2
    assert theirs["protocol"] == ours["protocol"]
    for one, other in zip(ours["images"], theirs["images"], strict=True):
        assert other["name"] == one["name"]
        assert other["psnr"] == pytest.approx(one["psnr"], abs=1e-3)
        assert other["ssim"] == pytest.approx(one["ssim"], abs=1e-5)


def test_tiles_make_the_whole_image(onnx_file: Path) -> None:
    network = load_network(onnx_file)
    image = noise(3, 90, 110)
    whole = upscale(network.module, image, scale=2)
    assert torch.equal(upscale(network.module, image, scale=2, tile=40), whole)


def test_file_of_one_size_takes_larger_images_in_windows(fixed_file: Path, model: Path) -> None:
    image = noise(3, 77, 131)
    windows = upscale(load_network(fixed_file).module, image, scale=2)
    whole = upscale(load_model(model).module, image, scale=2)
    different = (windows.int() - whole.int()).abs()
    assert different.max() <= 1
    assert (different > 0).double().mean() < 1e-3


def test_windows_keep_in_step_with_a_grid() -> None:
    """A network over cells of 16 pixels, which sees 40 pixels; windows of 112 in a line of 320."""

    class Cells:
        scale, radius, size = 1, 40, (112, 112)

        def run(self, images: torch.Tensor) -> torch.Tensor:
            means = torch.nn.functional.avg_pool2d(images, 16)
            return torch.nn.functional.interpolate(means, scale_factor=16)

    image = noise(1, 3, 112, 320).double()
    assert torch.equal(in_windows(Cells(), image), Cells().run(image))


def test_smaller_image_is_padded_and_that_is_said(fixed_file: Path) -> None:
    with pytest.warns(UserWarning, match="takes images of 48x40 only; one of 20x10 is padded"):
        larger = upscale(load_network(fixed_file).module, noise(3, 10, 20), scale=2)
    assert larger.shape == (3, 20, 40)


def test_upscale_takes_the_file(corenas: Run, onnx_file: Path, photographs: Path) -> None:
    image = photographs / "valid" / "valid0.png"
    corenas("upscale", onnx_file, image, "--out=larger", "--tile=40")
    expected = upscale(load_network(onnx_file).module, read_image(image), scale=2)
    assert torch.equal(read_image("larger/valid0_x2.png"), expected)


def test_network_over_cells_of_a_grid_is_exported_for_any_size(tmp_path: Path) -> None:
    value = {"width": 4, "blocks": ["modulate", "channel-attention"]}
    model = write_model(tmp_path / "grid.safetensors", "tiny", value, widths=(4,), scale=3)
    file = exported(model, tmp_path / "grid.onnx", "onnx", "--set=images=float")
    for height, width in ((32, 32), (37, 53), (7, 100)):
        images = noise(1, 3, height, width).float()
        with torch.no_grad():
            expected = load_model(model).module(images)
        assert np.abs(run(file, images).numpy() - expected.numpy()).max() < 1e-2


def test_validated_file_carries_its_numbers(
    corenas: Run, model: Path, photographs: Path, tmp_path: Path
) -> None:
    out, valid = tmp_path / "valid.onnx", photographs / "valid"
    printed = corenas("export", model, "--to=onnx", "--out", out, "--validation", valid, "--json")
    found = json.loads(printed)
    facts = {prop.key: prop.value for prop in onnx.load(out).metadata_props}
    assert json.loads(facts["corenas.numbers"]) == found["numbers"]
    measured = json.loads(corenas("evaluate", out, valid, "--json"))["mean"]["psnr"]
    assert found["numbers"]["psnr"].startswith(f"{measured:.4f} (Y of BT.601")
    assert [each["input"] for each in found["differences"]] == ["40x24", "53x37", "64x48"]
    assert str(valid.parent) not in facts["corenas.numbers"]
