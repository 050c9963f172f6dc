from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import frozen
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from corenas import builtin
from corenas.errors import CorenasError, DataError, InputError
from corenas.options.structuring import Chosen, choose, option
from corenas.plugins.hookspecs import Component, hookimpl
from corenas.plugins.registry import Registry
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas_sr.models.files import load_model, save_model


@frozen
class TinyConfig:
    channels: int = option(4, "channels", ge=1)


class TinyNetwork(nn.Module):
    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, channels, kernel, padding=kernel // 2)
        self.tail = nn.Conv2d(channels, 12, 1)
        self.gain: Tensor
        self.register_buffer("gain", torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.tail(self.head(x)), 2) * self.gain


class TinySpace:
    name = "tiny"
    decisions: Sequence[Decision] = (Decision("kernel", ("1", "3", "5")),)
    known: Mapping[str, Architecture] = {}

    def __init__(self, config: TinyConfig) -> None:
        self.config = config

    def build(self, architecture: Architecture) -> nn.Module:
        return TinyNetwork(self.config.channels, int(architecture["kernel"]))

    def check(self, architecture: Architecture) -> str:
        return check_choices(self.name, self.decisions, architecture)

    def format(self, architecture: Architecture) -> Any:
        return {"kernel": int(architecture["kernel"])}


class TinyPlugin:
    @hookimpl
    def corenas_search_spaces(self) -> list[Component]:
        return [Component("tiny", f"{__name__}:TinySpace", TinyConfig)]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register("corenas", builtin)
    registry.register("tiny-plugin", TinyPlugin())
    return registry


@pytest.fixture
def space(registry: Registry) -> Chosen:
    return choose("search_spaces", "tiny", registry=registry)


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(0)
    return TinyNetwork(4, 3)


KERNEL_3 = Architecture("tiny", {"kernel": "3"})
KERNEL_5 = Architecture("tiny", {"kernel": "5"})


@pytest.fixture
def file(tmp_path: Path, space: Chosen, module: nn.Module) -> Path:
    path = tmp_path / "models" / "tiny-x2.safetensors"
    extra = {"psnr": 31.25, "data": "größer"}
    save_model(path, module, space=space, architecture=KERNEL_3, scale=2, extra=extra)
    return path


def change(path: Path, **changes: Any) -> None:
    """Write the file again with another description."""
    with safe_open(path, framework="pt") as opened:
        description = json.loads(opened.metadata()["corenas"])
    save_file(load_file(path), path, {"corenas": json.dumps(description | changes)})


def test_loaded_network_computes_what_the_saved_one_did(
    file: Path, module: nn.Module, space: Chosen, registry: Registry
) -> None:
    loaded = load_model(file, registry=registry)
    image = torch.rand(1, 3, 9, 7)
    assert torch.equal(loaded.module(image), module.eval()(image))
    assert not loaded.module.training
    assert loaded.space == space
    assert loaded.space.plugin == "tiny-plugin"
    assert loaded.architecture == KERNEL_3
    assert loaded.scale == 2
    assert loaded.info == {"psnr": 31.25, "data": "größer"}


def test_options_of_the_space_are_kept(tmp_path: Path, registry: Registry) -> None:
    chosen = choose("search_spaces", "tiny", registry=registry)
    wide = Chosen("search_spaces", "tiny", TinyConfig(channels=7), chosen.component)
    path = tmp_path / "wide.safetensors"
    save_model(path, TinyNetwork(7, 5), space=wide, architecture=KERNEL_5, scale=2)
    loaded = load_model(path, registry=registry)
    assert loaded.space.config == TinyConfig(channels=7)
    assert loaded.module.get_parameter("head.weight").shape == (7, 3, 5, 5)
    assert loaded.info == {}


def test_description_beside_the_file_is_readable(file: Path) -> None:
    value = json.loads(file.with_suffix(".json").read_text())
    assert value["file"] == "tiny-x2.safetensors"
    assert value["readable"] == {"kernel": 3}
    assert value["id"] == KERNEL_3.id
    assert value["space"] == {"use": "tiny", "channels": 4}
    assert value["extra"] == {"scale": 2, "psnr": 31.25, "data": "größer"}


def test_file_is_plain_safetensors(file: Path, module: nn.Module) -> None:
    weights = load_file(file)
    assert weights.keys() == module.state_dict().keys()
    assert all(torch.equal(weights[n], t) for n, t in module.state_dict().items())


def test_any_layout_and_type_of_weights_is_saved(
    tmp_path: Path, space: Chosen, registry: Registry, module: nn.Module
) -> None:
    module.to(torch.bfloat16).to(memory_format=torch.channels_last)
    path = tmp_path / "x.safetensors"
    save_model(path, module, space=space, architecture=KERNEL_3, scale=2)
    loaded = load_model(path, registry=registry)
    for name, tensor in module.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[name], tensor.float())


def test_loading_draws_no_random_numbers(file: Path, registry: Registry) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_model(file, registry=registry)
    assert torch.equal(torch.rand(3), expected)


def test_failed_write_leaves_the_file_before(
    file: Path, space: Chosen, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CorenasError, match=r"tiny-x2\.safetensors: .*No space left"):
        save_model(file, TinyNetwork(4, 3), space=space, architecture=KERNEL_3, scale=2)
    assert load_model(file, registry=registry).info["psnr"] == 31.25
    assert sorted(p.name for p in file.parent.iterdir()) == ["tiny-x2.json", "tiny-x2.safetensors"]


def test_other_suffix_is_refused(tmp_path: Path, space: Chosen, module: nn.Module) -> None:
    with pytest.raises(InputError, match=r"x\.pt: .*ends in \.safetensors"):
        save_model(tmp_path / "x.pt", module, space=space, architecture=KERNEL_3, scale=2)


class Bomb:
    """Whoever unpickles this runs its code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.mark.parametrize("kind", ["torch", "legacy torch", "pickle"])
def test_pickle_is_refused_and_not_executed(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.safetensors"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"w": Bomb()}, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(DataError, match=r"x\.safetensors: refused: a pickle"):
        load_model(path, registry=registry)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("cut", [0, 4, 60, 700, -1])
def test_truncated_file_is_damaged(file: Path, registry: Registry, cut: int) -> None:
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"tiny-x2\.safetensors: damaged"):
        load_model(file, registry=registry)


def test_one_changed_bit_is_noticed(file: Path, registry: Registry) -> None:
    content = bytearray(file.read_bytes())
    content[-9] ^= 4
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged: the weights are not those"):
        load_model(file, registry=registry)


def test_text_is_no_model_file(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "x.safetensors"
    path.write_text("not a model at all")
    with pytest.raises(DataError, match="damaged, or not a model file"):
        load_model(path, registry=registry)


def test_missing_file_and_folder_are_named(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(DataError, match=r"none\.safetensors: .*No such file"):
        load_model(tmp_path / "none.safetensors", registry=registry)
    with pytest.raises(DataError, match="cannot be read"):
        load_model(tmp_path, registry=registry)


def test_safetensors_without_a_description_are_refused(tmp_path: Path, registry: Registry) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": torch.ones(2)}, path)
    with pytest.raises(DataError, match=r"x\.safetensors: holds weights only"):
        load_model(path, registry=registry)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"format": "1"}', '{"format": 1, "space": 3}', "null"]
)
def test_unreadable_description_is_damaged(tmp_path: Path, registry: Registry, text: str) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": torch.ones(2)}, path, {"corenas": text})
    with pytest.raises(DataError, match=r"x\.safetensors: damaged: its description"):
        load_model(path, registry=registry)


def test_newer_format_is_named(file: Path, registry: Registry) -> None:
    change(file, format=3, corenas="9.1")
    with pytest.raises(InputError, match=r"tiny-x2\.safetensors: .*9\.1 in format 3.*up to 2"):
        load_model(file, registry=registry)


def test_newer_architecture_schema_is_named(file: Path, registry: Registry) -> None:
    change(file, architecture={"schema": 7})
    with pytest.raises(InputError, match=r"tiny-x2\.safetensors: architecture: schema 7"):
        load_model(file, registry=registry)


def test_missing_plugin_is_named(file: Path) -> None:
    with pytest.raises(InputError, match=r"tiny-x2.*space 'tiny' of the plugin 'tiny-plugin'"):
        load_model(file, registry=Registry())


def test_unknown_option_of_the_space_is_named(file: Path, registry: Registry) -> None:
    change(file, space={"use": "tiny", "channel": 4})
    with pytest.raises(InputError, match=r"tiny-x2.*'channel'; did you mean 'channels'"):
        load_model(file, registry=registry)


def test_architecture_of_another_space_is_refused(file: Path, registry: Registry) -> None:
    change(file, architecture=Architecture("tiny", {"kernel": "7"}).to_json())
    with pytest.raises(DataError, match=r"tiny-x2.*kernel: unknown option '7'"):
        load_model(file, registry=registry)


def test_weights_of_another_architecture_do_not_fit(file: Path, registry: Registry) -> None:
    change(file, architecture=KERNEL_5.to_json())
    message = r"tiny-x2.*head\.weight has shape \[4, 3, 3, 3\], not \[4, 3, 5, 5\]"
    with pytest.raises(DataError, match=message):
        load_model(file, registry=registry)


def test_missing_and_surplus_weights_are_named(
    tmp_path: Path, space: Chosen, registry: Registry
) -> None:
    path = tmp_path / "x.safetensors"
    other = nn.Sequential(nn.Conv2d(3, 12, 1))
    save_model(path, other, space=space, architecture=KERNEL_3, scale=2)
    message = r"0\.bias is not part.*0\.weight is not part.*gain is missing; and 4 more"
    with pytest.raises(DataError, match=message):
        load_model(path, registry=registry)
