"""The command ``interpolate``: what it writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attrs import evolve
from torch import Tensor

from corenas import choose, cli
from corenas_sr.models.files import load_model, save_model


def write_model(file: Path, operations: list[str], seed: int) -> Path:
    space = choose("search_spaces", "tpsr-generator")
    space = evolve(space, config=evolve(space.config, nodes=2, channels=4))
    built = space.build()
    architecture = built.parse([[operation, 0] for operation in operations])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = built.build(architecture)
    save_model(file, module, space=space, architecture=architecture, scale=2)
    return file


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("ab"):
        write_model(Path(f"{name}.safetensors"), ["conv3", "se"], seed)
    write_model(Path("c.safetensors"), ["conv3", "conv1"], 0)
    return "a.safetensors", "b.safetensors"


def weights(file: str) -> dict[str, Tensor]:
    return load_model(Path(file)).module.state_dict()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_weights_lie_between(
    two: tuple[str, str], share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["interpolate", *two, f"--share={share}", "--out=mixed.safetensors"]
    assert cli.main(arguments) == 0
    assert "of the way from a.safetensors to b.safetensors" in capsys.readouterr().out
    first, second = map(weights, two)
    for name, tensor in weights("mixed.safetensors").items():
        torch.testing.assert_close(tensor, (1 - share) * first[name] + share * second[name])
    mixed = load_model(Path("mixed.safetensors"))
    assert mixed.info["interpolated"] == {"from": two[0], "to": two[1], "share": share}
    assert Path("mixed.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["a.safetensors", "c.safetensors", "--out=d.safetensors"],
            "not of the space, architecture and scale",
        ),
        (["a.safetensors", "b.safetensors", "--out=c.safetensors"], "--overwrite replaces it"),
        (["a.safetensors", "b.safetensors", "--out=no/d.safetensors"], "there is no folder"),
        (["a.safetensors", "b.safetensors", "--out=d.onnx"], "ends with .safetensors"),
        (["a.safetensors", "none.safetensors", "--out=d.safetensors"], "none.safetensors"),
    ],
)
def test_what_cannot_be_mixed_is_refused(
    two: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    before = Path("c.safetensors").read_bytes()
    assert cli.main(["interpolate", "--share=0.5", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert Path("c.safetensors").read_bytes() == before
    assert not Path("d.safetensors").exists()


def test_share_outside_is_refused(two: tuple[str, str]) -> None:
    assert cli.main(["interpolate", *two, "--share=1.5", "--out=d.safetensors"]) == 2


def test_target_is_replaced_when_asked(two: tuple[str, str]) -> None:
    arguments = ["interpolate", *two, "--share=0.5", "--out=c.safetensors", "--overwrite"]
    assert cli.main(arguments) == 0
    assert load_model(Path("c.safetensors")).info["interpolated"]["share"] == 0.5
