"""Other people's networks: the forms of their files, and their use by the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.ESRGAN import ESRGAN
from torch import Tensor

from corenas import DataError, InputError, cli
from corenas_sr.data.images import read_image
from corenas_sr.models._foreign import load_foreign
from corenas_sr.models.files import load_model
from corenas_sr.models.networks import load_network
from corenas_sr.models.upscalers import find_upscaler

pytestmark = pytest.mark.abuse("weights of strangers")

WriteModel = Callable[..., Path]


@pytest.fixture(scope="module")
def network() -> ESRGAN:
    """A network for x2 that works on cells of four pixels, as one of Real-ESRGAN does of two."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = ESRGAN(in_nc=48, out_nc=3, num_filters=4, num_blocks=2, scale=8, shuffle_factor=4)
        with torch.no_grad():
            *_, last = made.parameters()
            last.fill_(0.5)  # the middle of its range
    return made.eval()


@pytest.fixture
def images() -> Tensor:
    return 255 * torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def test_weights_are_found_in_every_form_of_file(
    network: ESRGAN, images: Tensor, tmp_path: Path
) -> None:
    weights = network.state_dict()
    torch.save(weights, tmp_path / "plain.pth")
    torch.save(weights, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    nested = {"params_ema": {f"module.{name}": tensor for name, tensor in weights.items()}}
    torch.save({**nested, "step": 3}, tmp_path / "nested.ckpt")
    save_file(weights, tmp_path / "alone.safetensors")
    with torch.no_grad():
        expected = 255 * network(images / 255)
    for file in tmp_path.iterdir():
        loaded = load_network(file)
        assert loaded.scale == 2
        assert not loaded.module.training
        assert not any(weight.requires_grad for weight in loaded.module.parameters())
        assert torch.allclose(loaded.module(images), expected, atol=1e-3), file


def test_images_of_any_size_are_padded_as_the_network_needs(
    network: ESRGAN, tmp_path: Path
) -> None:
    torch.save(network.state_dict(), tmp_path / "x2.pth")
    upscaler = find_upscaler(str(tmp_path / "x2.pth"), scale=None)
    low = torch.randint(0, 256, (3, 9, 7), dtype=torch.uint8)
    assert upscaler.run(low).shape == (3, 18, 14)


def test_our_model_files_are_read_as_before(write_model: WriteModel, images: Tensor) -> None:
    file = write_model(scale=4)
    loaded = load_network(file)
    assert loaded.scale == 4
    assert torch.equal(loaded.module(images), load_model(file).module(images))


def test_commands_take_a_foreign_network(
    network: ESRGAN, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = str(tmp_path / "x2.pth"), tmp_path / "out"
    torch.save(network.state_dict(), file)
    valid = photographs / "valid"
    assert cli.main(["evaluate", file, str(valid), "--metrics=psnr", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scale"] == 2
    assert 0 < found["mean"]["psnr"] < 60
    image = valid / "valid0.png"
    assert cli.main(["upscale", file, str(image), f"--out={out}"]) == 0
    expected = find_upscaler(file, scale=2).run(read_image(image))
    assert torch.equal(read_image(out / "valid0_x2.png"), expected)
    assert cli.main(["evaluate", file, str(valid), "--scale=4"]) == 2
    assert "x2.pth: its scale is 2, not 4" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    program = torch.jit.script(torch.nn.Conv2d(3, 3, 1))
    program.save(tmp_path / "program.pt")  # type: ignore[no-untyped-call]  # torch has not typed it
    with pytest.raises(DataError, match=r"program\.pt: refused: a TorchScript program"):
        load_foreign(tmp_path / "program.pt")


def test_weights_under_the_name_of_our_model_files_are_looked_at(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "weights.safetensors")
    with pytest.raises(DataError, match="its weights are of no network that spandrel knows"):
        load_network(tmp_path / "weights.safetensors")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "pickle.safetensors")
    with pytest.raises(InputError, match=r"pickle\.safetensors: refused: a pickle"):
        load_network(tmp_path / "pickle.safetensors")
