"""Model files of a task that has nothing to do with images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from attrs import frozen
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from corenas import builtin
from corenas.errors import DataError
from corenas.modelfile import FORMAT, holds_weights_only, load_model, save_model
from corenas.options.structuring import Chosen, choose, option
from corenas.plugins.hookspecs import Component, hookimpl
from corenas.plugins.registry import Registry
from corenas.values.architecture import Architecture, Decision, check_choices


@frozen
class LinesConfig:
    inputs: int = option(3, "numbers that go in", ge=1)


class Lines:
    """Linear classifiers, which differ in their bias."""

    name = "lines"
    decisions: Sequence[Decision] = (Decision("bias", ("no", "yes", "broken")),)
    known: Mapping[str, Architecture] = {}

    def __init__(self, config: LinesConfig) -> None:
        self.config = config

    def build(self, architecture: Architecture) -> nn.Module:
        if architecture["bias"] == "broken":
            raise ZeroDivisionError("nobody thought of this")
        BUILT.append(torch.get_default_device().type)
        return nn.Linear(self.config.inputs, 2, bias=architecture["bias"] == "yes")

    def check(self, architecture: Architecture) -> str:
        return check_choices(self.name, self.decisions, architecture)

    def format(self, architecture: Architecture) -> Any:
        return architecture["bias"]


BUILT: list[str] = []
"""Where networks were built."""

WITH_BIAS = Architecture("lines", {"bias": "yes"})


class LinesPlugin:
    @hookimpl
    def corenas_search_spaces(self) -> list[Component]:
        return [Component("lines", f"{__name__}:Lines", LinesConfig)]


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.register("corenas", builtin)
    registry.register("lines-plugin", LinesPlugin())
    return registry


@pytest.fixture
def space(registry: Registry) -> Chosen:
    return choose("search_spaces", "lines", registry=registry)


@pytest.fixture
def file(tmp_path: Path, space: Chosen) -> Path:
    path = tmp_path / "line.safetensors"
    extra = {"classes": ["odd", "even"]}
    save_model(path, nn.Linear(3, 2), space=space, architecture=WITH_BIAS, extra=extra)
    return path


def description(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as opened:
        value: dict[str, Any] = json.loads(opened.metadata()["corenas"])
    return value


def rewrite(path: Path, value: Mapping[str, Any]) -> None:
    save_file(load_file(path), path, {"corenas": json.dumps(value)})


def test_a_file_has_only_what_every_task_has(file: Path) -> None:
    assert list(description(file)) == [
        *("format", "corenas", "plugin", "space", "architecture", "digest", "extra")
    ]
    assert description(file)["format"] == FORMAT == 2


def test_what_a_task_adds_comes_back(file: Path, registry: Registry) -> None:
    loaded = load_model(file, registry=registry)
    assert loaded.info == {"classes": ["odd", "even"]}
    assert not hasattr(loaded, "scale")
    weights = load_file(file)
    x = torch.rand(4, 3)
    assert torch.equal(
        loaded.module(x), nn.functional.linear(x, weights["weight"], weights["bias"])
    )


def test_entries_of_a_task_stood_beside_ours_in_format_1(file: Path, registry: Registry) -> None:
    rewrite(file, {**description(file), "format": 1, "scale": 2})
    assert load_model(file, registry=registry).info == {"classes": ["odd", "even"], "scale": 2}
    rewrite(file, {**description(file), "format": 2, "scale": 2})
    assert load_model(file, registry=registry).info == {"classes": ["odd", "even"]}


def test_a_network_is_built_without_storage_first(file: Path, registry: Registry) -> None:
    BUILT.clear()
    load_model(file, registry=registry)
    assert BUILT == ["meta", "cpu"]
    BUILT.clear()
    value = description(file)
    rewrite(file, {**value, "space": {"use": "lines", "inputs": 10**7}})
    with pytest.raises(DataError, match=r"weight has shape \[2, 3\], not \[2, 10000000\]"):
        load_model(file, registry=registry)
    assert BUILT == ["meta"]


def test_a_space_that_stumbles_over_a_file_is_no_crash(file: Path, registry: Registry) -> None:
    architecture = Architecture("lines", {"bias": "broken"}).to_json()
    rewrite(file, {**description(file), "architecture": architecture})
    with pytest.raises(DataError, match=r"cannot be built \(ZeroDivisionError\('nobody thought"):
        load_model(file, registry=registry)


def test_weights_without_a_description_are_told_from_model_files(file: Path) -> None:
    assert not holds_weights_only(file)
    save_file(load_file(file), file)
    assert holds_weights_only(file)
    file.write_bytes(b"neither")
    assert not holds_weights_only(file)
    assert not holds_weights_only(file.with_name("none.safetensors"))
