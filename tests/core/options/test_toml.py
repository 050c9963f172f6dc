from __future__ import annotations

import json
import math
import random
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import tomlkit
from attrs import frozen

from corenas import builtin
from corenas.errors import ConfigError
from corenas.options.structuring import (
    Chosen,
    component,
    components,
    option,
    section,
    structure,
    unstructure,
)
from corenas.options.toml import parse_assignment, read_toml, to_toml
from corenas.plugins.hookspecs import Component, hookimpl
from corenas.plugins.registry import Registry


@frozen
class Kernel:
    side: int = option(3, "odd size", unit="pixels", ge=1)
    padded: bool = option(True, "keep the shape")


@frozen
class Convolution:
    kernel: Kernel = section(Kernel, "the kernel")
    groups: int | None = option(None, "groups; unset: none", ge=1)


@frozen
class Training:
    steps: int = option(1000, "updates", paper="1e6", ge=1)
    rate: float = option(3.5e-4, "step size", paper="3.5e-4", gt=0)
    limit: int | None = option(None, "give up after")
    crop: float | None = option(0.5, "share of the image", gt=0, le=1)


@frozen
class Everything:
    name: str = option("x", "any text")
    note: str | None = option(None, "any text, or none")
    folder: Path = option(Path("data"), "where images are")
    scale: Literal[2, 3, 4] | None = option(2, "enlargement")
    sizes: tuple[int, ...] = option((1, 2), "sizes")
    pair: tuple[float, str] = option((0.5, "a"), "two things")
    weights: Mapping[str, float] = option({"l1": 1.0}, "losses")
    operation: Chosen = component("operations", "convolution", "the first operation")
    extra: Chosen | None = component("operations", None, "another operation")
    operations: tuple[Chosen, ...] = components("operations", ("skip",), "all operations")
    train: Training = section(Training, "the training", steps=20, limit=5)
    final: Training | None = option(None, "the last training")
    stages: tuple[Training, ...] = option((), "further trainings")


@hookimpl
def corenas_operations() -> list[Component]:
    return [
        Component("convolution", "x:y", Convolution, "a plain convolution"),
        Component("skip", "x:y", summary="nothing"),
    ]


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry()
    registry.register("corenas", builtin)
    registry.register("sample", SimpleNamespace(corenas_operations=corenas_operations))
    return registry


def random_layer(rng: random.Random) -> dict[str, Any]:
    """Draw values for some of the options of `Everything`, each from all that it allows."""

    def text() -> str:
        return "".join(rng.choices("ab =#.\"'\\\n\t[]é\U0001f600\x7f", k=rng.randrange(8)))

    def number() -> float:
        return rng.choice([rng.gauss(0, 1), 1e-300, -0.0, 1e22, math.inf, 3])

    def training() -> dict[str, Any]:
        values = {
            "steps": rng.randrange(1, 10**12),
            "rate": abs(rng.gauss(0, 1)) + 1e-9,
            "limit": rng.choice([None, -3]),
            "crop": rng.choice([None, 1, 0.25]),
        }
        return some(values)

    def operation() -> Any:
        kernel = some({"side": rng.randrange(1, 9), "padded": rng.random() < 0.5})
        table = {"use": "convolution", **some({"kernel": kernel, "groups": rng.choice([None, 2])})}
        return rng.choice(["skip", "convolution", table])

    def some(values: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if rng.random() < 0.7}

    return some(
        {
            "name": text(),
            "note": rng.choice([None, text()]),
            "folder": text(),
            "scale": rng.choice([None, 3]),
            "sizes": [rng.randrange(-5, 5) for _ in range(rng.randrange(3))],
            "pair": [number(), text()],
            "weights": {text(): number() for _ in range(rng.randrange(3))},
            "operation": operation(),
            "extra": rng.choice([None, operation()]),
            "operations": [operation() for _ in range(rng.randrange(3))],
            "train": training(),
            "final": rng.choice([None, training()]),
            "stages": [training() for _ in range(rng.randrange(3))],
        }
    )


@pytest.mark.parametrize("seed", range(300))
def test_toml_and_json_load_back_equal(registry: Registry, seed: int) -> None:
    config = structure(Everything, random_layer(random.Random(seed)), registry=registry)
    text = to_toml(config, registry=registry)
    assert structure(Everything, tomllib.loads(text), registry=registry) == config
    assert tomlkit.parse(text).unwrap() == tomllib.loads(text)
    plain = json.loads(json.dumps(unstructure(config)))
    assert structure(Everything, plain, registry=registry) == config


def test_every_option_is_written_with_what_is_known_of_it(registry: Registry) -> None:
    layer = {"operation": {"kernel": {"side": 5}}, "train": {"crop": "none"}, "extra": "skip"}
    text = to_toml(structure(Everything, layer, registry=registry), registry=registry)
    assert text == (
        """\
# any text
name = "x"
# any text, or none
# note =
# where images are
folder = "data"
# enlargement (2, 3, 4)
scale = 2
# sizes
sizes = [1, 2]
# two things
pair = [0.5, "a"]
# losses
weights = { l1 = 1.0 }
# all operations (convolution, skip)
operations = ["skip"]
# the last training
# final =
# further trainings
stages = []

# the first operation (convolution, skip)
[operation]
# a plain convolution
use = "convolution"
# groups; unset: none (>= 1)
# groups =

# the kernel
[operation.kernel]
# odd size (pixels; >= 1)
side = 5
# keep the shape
padded = true

# another operation (convolution, skip)
[extra]
# nothing
use = "skip"

# the training
[train]
# updates (>= 1; paper: 1e6)
steps = 20
# step size (> 0; paper: 3.5e-4)
rate = 0.00035
# give up after
limit = 5
# share of the image (> 0, <= 1)
crop = "none"
"""
    )


def test_components_with_options_are_an_array_of_tables(registry: Registry) -> None:
    layer = {"operations": ["skip", {"use": "convolution", "groups": 2}]}
    text = to_toml(structure(Everything, layer, registry=registry), registry=registry)
    assert (
        """\
# all operations (convolution, skip)
[[operations]]
# nothing
use = "skip"

[[operations]]
# a plain convolution
use = "convolution"
# groups; unset: none (>= 1)
groups = 2

# the kernel
[operations.kernel]
"""
        in text
    )


def test_a_long_meaning_is_wrapped(registry: Registry) -> None:
    text = to_toml(Wordy())
    assert len(text.splitlines()) > 2
    assert all(len(line) <= 100 for line in text.splitlines())
    assert structure(Wordy, tomllib.loads(text)) == Wordy()


@frozen
class Wordy:
    value: int = option(1, "many words " * 20)


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("search.steps=100", {"search": {"steps": 100}}),
        ("rate = 1e-4", {"rate": 1e-4}),
        ("flip=true", {"flip": True}),
        ("data.train=photos/my folder", {"data": {"train": "photos/my folder"}}),
        ('data.train="100"', {"data": {"train": "100"}}),
        ('data.benchmarks=["a","b"]', {"data": {"benchmarks": ["a", "b"]}}),
        ("weights={l1=1,vgg=0.1}", {"weights": {"l1": 1, "vgg": 0.1}}),
        ("search.strategy.use=random", {"search": {"strategy": {"use": "random"}}}),
        ("search.strategy=random", {"search": {"strategy": "random"}}),
        ("run=2026-11-21", {"run": "2026-11-21"}),
        ("note=a=b # c", {"note": "a=b # c"}),
        ("note=", {"note": ""}),
        ("note=1\nother=2", {"note": "1\nother=2"}),
    ],
)
def test_an_assignment_is_a_layer(text: str, layer: dict[str, Any]) -> None:
    assert parse_assignment(text) == layer


@pytest.mark.parametrize("text", ["", "search.steps", "=3", "search.=3", ".steps=3"])
def test_an_assignment_needs_a_key_and_a_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_assignment(text)
    assert str(caught.value) == f"--set {text}: expected key=value, such as search.steps=100"


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("a = 1\nb = = 2\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: not valid TOML: .*line 2"):
        read_toml(file)
    file.write_bytes(b"a = '\xff'\n")
    with pytest.raises(ConfigError, match=r"mine\.toml: not valid TOML: "):
        read_toml(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read: No such file"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_toml(tmp_path)


def test_a_file_is_read_as_a_layer(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[search]\nstrategy = "zufällig"\n', encoding="utf-8")
    assert read_toml(file) == {"search": {"strategy": "zufällig"}}
