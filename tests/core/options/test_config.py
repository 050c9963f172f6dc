from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from attrs import evolve, fields, frozen

from corenas.errors import ConfigError, PluginError
from corenas.options.structuring import (
    Chosen,
    choose,
    component,
    components,
    differences,
    option,
    section,
    structure,
    unstructure,
)
from corenas.plugins.hookspecs import Component, Kind, hookimpl
from corenas.plugins.registry import Registry
from corenas.training.config import TrainingConfig


@frozen
class Reinforce:
    learning_rate: float = option(3.5e-4, "step size of Adam", paper="3.5e-4", gt=0)
    samples: int = option(1, "architectures an update", ge=1)


@frozen
class Window:
    width: int = option(11, "side", unit="pixels", ge=3)
    taps: tuple[float, ...] = option((0.5, 1.5), "weights", gt=0)


@frozen
class Training:
    steps: int = option(1000, "updates", ge=1)
    limit: int | None = option(None, "give up after", ge=1)
    crop: float | None = option(0.5, "share", gt=0, le=1)


@frozen
class Annealed:
    inner: Chosen = component("strategies", "reinforce", "what is annealed")
    train: Training = section(Training, "the training", steps=20)


@frozen
class Job:
    strategy: Chosen = component("strategies", "reinforce", "how to search")
    baseline: Chosen | None = component("strategies", None, "what to compare with")
    metrics: tuple[Chosen, ...] = components("metrics", ("psnr", "ssim"), "what is measured")
    train: Training = section(Training, "the training", steps=20)
    final: Training | None = option(None, "the last training")
    folder: Path = option(Path("data"), "where images are")
    scale: Literal[2, 3, 4] = option(2, "enlargement")
    size: tuple[int, int] = option((48, 48), "patch")
    weights: Mapping[str, float] = option({"l1": 1.0}, "losses", ge=0)
    mode: str = option("fast", "speed", choices=("fast", "exact"))
    flip: bool = option(True, "augment")
    device: int | str = option("cpu", "where")
    text: str | None = option(None, "anything")
    stages: tuple[Training, ...] = option((), "further trainings")


@frozen
class Range:
    low: int = option(1, "from")
    high: int = option(2, "to")

    def __attrs_post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"low: must be at most high ({self.high}), got {self.low}")
        if self.low == self.high:
            raise ValueError("an empty range")


@frozen
class Interval:
    range: Range = section(Range, "which")


@frozen
class Absent:
    strategy: Chosen = component("strategies", "absent", "provided by nobody")


@frozen
class Plain:
    strategy: Chosen = component("strategies", "evolution", "how to search")
    executors: tuple[Chosen, ...] = components("executors", ["serial"], "where")
    train: Training = section(Training, "the training", steps=20)


@hookimpl
def corenas_strategies() -> list[Component]:
    return [
        Component("reinforce", f"{__name__}:built", Reinforce),
        Component("random", f"{__name__}:built"),
        Component("annealed", f"{__name__}:built", Annealed),
        Component("lost", "corenas.no_such_module:built"),
    ]


def built(config: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    return (config, *args, kwargs)


@pytest.fixture
def registry() -> Registry:
    @hookimpl
    def corenas_kinds() -> list[Kind]:
        return [Kind("strategies", "strategy"), Kind("metrics", "metric")]

    @hookimpl
    def corenas_metrics() -> list[Component]:
        return [Component("psnr", "x:y"), Component("ssim", "x:y", Window)]

    registry = Registry()
    registry.register("owner", SimpleNamespace(corenas_kinds=corenas_kinds))
    hooks = {"corenas_strategies": corenas_strategies, "corenas_metrics": corenas_metrics}
    registry.register("sample", SimpleNamespace(**hooks))
    return registry


def test_defaults_come_without_any_layer(registry: Registry) -> None:
    job = structure(Job, registry=registry)
    assert job.strategy == choose("strategies", "reinforce", registry=registry)
    assert job.strategy.config == Reinforce(3.5e-4, 1)
    assert [metric.name for metric in job.metrics] == ["psnr", "ssim"]
    assert job.metrics[1].config == Window()
    assert job.train == Training(20)
    assert job.baseline is None
    assert job.final is None


def test_the_last_layer_wins_and_the_others_fill_in(registry: Registry) -> None:
    preset = {"train": {"steps": 5, "limit": 9}, "mode": "exact"}
    file = {"train": {"steps": 6}, "strategy": {"samples": 3}}
    job = structure(Job, preset, file, {"train": {"crop": 1}}, registry=registry)
    assert job.train == Training(6, 9, 1.0)
    assert job.mode == "exact"
    assert job.strategy.config == Reinforce(samples=3)


def test_another_component_drops_the_options_of_earlier_layers(registry: Registry) -> None:
    first = {"strategy": {"use": "reinforce", "samples": 3, "learning_rate": 0.1}}
    same = structure(
        Job, first, {"strategy": {"use": "reinforce", "samples": 4}}, registry=registry
    )
    assert same.strategy.config == Reinforce(0.1, 4)
    other = structure(Job, first, {"strategy": {"use": "random"}}, registry=registry)
    assert other.strategy == choose("strategies", "random", registry=registry)
    back = structure(
        Job, first, {"strategy": "random"}, {"strategy": "reinforce"}, registry=registry
    )
    assert back.strategy.config == Reinforce()


def test_sections_and_components_inside_a_component_keep_their_defaults(registry: Registry) -> None:
    first = {"strategy": {"use": "annealed", "train": {"limit": 7}}}
    second = {"strategy": {"inner": {"samples": 3}}}
    job = structure(Job, first, second, registry=registry)
    annealed = job.strategy.config
    assert annealed.train == Training(20, 7)
    assert annealed.inner.config == Reinforce(samples=3)
    with pytest.raises(ConfigError, match=r"^strategy\.inner\.samples: expected an integer"):
        structure(Job, first, {"strategy": {"inner": {"samples": "x"}}}, registry=registry)


def test_a_list_and_a_mapping_are_replaced_whole(registry: Registry) -> None:
    first = {"weights": {"l2": 2.0}, "metrics": [{"use": "ssim", "width": 5}]}
    job = structure(Job, first, {"weights": {"vgg": 3}, "metrics": ["ssim"]}, registry=registry)
    assert job.weights == {"vgg": 3.0}
    assert job.metrics == (choose("metrics", "ssim", registry=registry),)


def test_a_table_in_a_list_keeps_its_defaults(registry: Registry) -> None:
    job = structure(Job, {"stages": [{"limit": 3}], "final": {"steps": 2}}, registry=registry)
    assert job.stages == (Training(1000, 3),)
    assert job.final == Training(2)


def test_none_unsets_an_optional_value(registry: Registry) -> None:
    layer = {"train": {"crop": "none"}, "final": {"steps": 2}, "baseline": "random"}
    job = structure(Job, layer, {"final": "none", "baseline": "none"}, registry=registry)
    assert (job.train.crop, job.final, job.baseline) == (None, None, None)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"tran": {}}, "unknown key 'tran'; did you mean 'train'?"),
        ({"train": {"step": 3}}, "train: unknown key 'step'; did you mean 'steps'?"),
        ({"train": {"steps": "ten"}}, "train.steps: expected an integer, got 'ten'"),
        ({"train": {"steps": "3"}}, "train.steps: expected an integer, got '3'"),
        ({"train": {"steps": 3.0}}, "train.steps: expected an integer, got 3.0"),
        ({"train": {"steps": True}}, "train.steps: expected an integer, got True"),
        ({"train": {"steps": None}}, "train.steps: expected an integer, got None"),
        ({"train": {"steps": 0}}, "train.steps: must be at least 1, got 0"),
        ({"train": {"crop": 1.5}}, "train.crop: must be at most 1, got 1.5"),
        ({"train": {"crop": math.nan}}, "train.crop: must be greater than 0, got nan"),
        ({"train": 3}, "train: expected a table, got 3"),
        ({"flip": 1}, "flip: expected true or false, got 1"),
        ({"mode": "fats"}, "mode: unknown value 'fats'; did you mean 'fast'?"),
        ({"mode": 1}, "mode: expected a string, got 1"),
        ({"folder": 2024}, "folder: expected a path, got 2024"),
        ({"scale": 5}, "scale: unknown value 5; allowed: 2, 3, 4"),
        ({"scale": 2.0}, "scale: unknown value 2.0; allowed: 2, 3, 4"),
        ({"size": 3}, "size: expected a list, got 3"),
        ({"size": "34"}, "size: expected a list, got '34'"),
        ({"size": [1, 2, 3]}, "size: expected 2 values, got 3"),
        ({"size": [1, "b"]}, "size[1]: expected an integer, got 'b'"),
        ({"weights": [1]}, "weights: expected a table, got [1]"),
        ({"weights": {"l1": "a"}}, "weights.l1: expected a number, got 'a'"),
        ({"weights": {"l1": -1}}, "weights: must be at least 0, got -1.0"),
        ({"device": 1.5}, "device: expected an integer, got 1.5, or expected a string, got 1.5"),
        ({"stages": [{"stepz": 1}]}, "stages[0]: unknown key 'stepz'; did you mean 'steps'?"),
        (
            {"strategy": {"use": "reinforc"}},
            "strategy.use: unknown strategy 'reinforc'; did you mean 'reinforce'?",
        ),
        (
            {"strategy": "zz"},
            "strategy.use: unknown strategy 'zz'; allowed: annealed, lost, random, reinforce",
        ),
        ({"strategy": 3}, "strategy: expected a name or a table with 'use', got 3"),
        (
            {"strategy": {"use": 3}},
            "strategy.use: expected a name, got 3; allowed: annealed, lost, random, reinforce",
        ),
        ({"strategy": {"sample": 2}}, "strategy: unknown key 'sample'; did you mean 'samples'?"),
        ({"strategy": {"usee": "random"}}, "strategy: unknown key 'usee'; did you mean 'use'?"),
        ({"strategy": {"samples": 0}}, "strategy.samples: must be at least 1, got 0"),
        ({"metrics": "psnr"}, "metrics: expected a list of metrics, got 'psnr'"),
        ({"metrics": ["psn"]}, "metrics[0].use: unknown metric 'psn'; did you mean 'psnr'?"),
        (
            {"metrics": [{"width": 3}]},
            "metrics[0].use: expected a name, got nothing; allowed: psnr, ssim",
        ),
        (
            {"metrics": ["psnr", {"use": "ssim", "taps": [1, -2]}]},
            "metrics[1].taps: must be greater than 0, got -2.0",
        ),
    ],
)
def test_an_error_says_where_what_and_what_is_allowed(
    registry: Registry, layer: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        structure(Job, layer, registry=registry)
    assert str(caught.value) == message


def test_all_errors_of_a_layer_are_told_at_once(registry: Registry) -> None:
    with pytest.raises(ConfigError) as caught:
        structure(Job, {"moda": 1, "train": {"step": 1, "stapes": 2}}, registry=registry)
    assert [line.split(";")[0] for line in str(caught.value).splitlines()] == [
        "unknown key 'moda'",
        "train: unknown key 'step'",
        "train: unknown key 'stapes'",
    ]
    with pytest.raises(ConfigError) as caught:
        structure(Job, {"flip": 0, "train": {"steps": 0, "crop": "a"}}, registry=registry)
    assert len(str(caught.value).splitlines()) == 3


def test_a_check_of_several_options_has_their_path(registry: Registry) -> None:
    low, high = {"range": {"low": 5}}, {"range": {"high": 6}}
    with pytest.raises(ConfigError, match=r"^range\.low: must be at most high \(2\), got 5$"):
        structure(Interval, low, registry=registry)
    assert structure(Interval, low, high, registry=registry).range == Range(5, 6)
    with pytest.raises(ConfigError, match=r"^range: an empty range$"):
        structure(Interval, {"range": {"low": 2}}, registry=registry)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps: must be at least 1, got 0"),
        ({"steps": "ten"}, "steps: expected a number, got 'ten'"),
        ({"crop": 0.0}, "crop: must be greater than 0, got 0.0"),
    ],
)
def test_ranges_hold_at_plain_construction(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Training(**values)
    assert str(caught.value) == message


@frozen
class Bounded:
    above: float = option(1.0, "from below", gt=0)
    least: float = option(1.0, "from below, with the bound", ge=0)
    below: float = option(1.0, "from above", lt=2)
    most: float = option(1.0, "from above, with the bound", le=2)
    unset: float | None = option(None, "may be unset", gt=0)
    listed: tuple[float, ...] = option((1.0,), "each of a list", gt=0)
    pair: tuple[float, float] = option((1.0, 1.0), "each of two", le=2)
    table: Mapping[str, float] = option({}, "each of a table", gt=0)


@pytest.mark.parametrize("name", [attribute.name for attribute in fields(Bounded)])
@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_bounded_option_is_a_finite_number(name: str, number: float, registry: Registry) -> None:
    values = {"listed": [number], "pair": [1.0, number], "table": {"a": number}}
    value = values.get(name, number)
    with pytest.raises(ConfigError, match=rf"^{name}: must be .*, got {number}$"):
        structure(Bounded, {name: value}, registry=registry)
    plain: Any = tuple(value) if isinstance(value, list) else value
    with pytest.raises(ConfigError, match=rf"^{name}: must be .*, got {number}$"):
        Bounded(**{name: plain})


@frozen
class Longer(Training):
    epochs: int = option(3, "rounds")
    steps: int = option(5, "updates in a round", ge=1)


@frozen
class Longest(Longer):
    crop: float | None = option(0.1, "share of an image", gt=0)


def test_an_option_that_is_described_anew_keeps_its_place() -> None:
    expected = {"steps": 5, "limit": None, "crop": 0.1, "epochs": 3}
    assert list(unstructure(Longest()).items()) == list(expected.items())
    assert structure(Longest, {"steps": 7}) == Longest(steps=7)


def test_the_learning_rate_of_a_training_is_finite() -> None:
    with pytest.raises(ConfigError, match="learning_rate: must be a finite number, got inf"):
        structure(TrainingConfig, {"learning_rate": math.inf})


def test_plain_construction_takes_defaults_from_what_is_installed() -> None:
    plain = Plain()
    assert plain.strategy == choose("strategies", "evolution")
    assert plain.strategy.plugin == "corenas"
    assert plain.executors == (choose("executors", "serial"),)
    assert plain.train == Training(20)
    assert structure(Plain) == plain


def test_unset_is_in_every_range() -> None:
    assert Training(limit=None, crop=None).crop is None


def test_an_unknown_default_component_fails_only_when_it_is_used(registry: Registry) -> None:
    job = structure(Absent, {"strategy": "random"}, registry=registry)
    assert job.strategy.name == "random"
    with pytest.raises(ConfigError, match=r"^strategy\.use: unknown strategy 'absent'"):
        structure(Absent, registry=registry)


def test_json_has_everything_to_build_an_equal_configuration(registry: Registry) -> None:
    layer = {
        "strategy": {"samples": 7},
        "baseline": "random",
        "metrics": ["psnr", {"use": "ssim", "width": 5}],
        "train": {"crop": None, "limit": 3},
        "folder": "a/b",
        "stages": [{"steps": 4}],
    }
    job = structure(Job, layer, registry=registry)
    plain = json.loads(json.dumps(unstructure(job)))
    assert plain["metrics"] == ["psnr", {"use": "ssim", "width": 5, "taps": [0.5, 1.5]}]
    assert structure(Job, plain, registry=registry) == job


def test_chosen_builds_with_its_options_first(registry: Registry) -> None:
    chosen = choose("strategies", "reinforce", registry=registry)
    assert chosen.build(3, seed=4) == (Reinforce(), 3, {"seed": 4})


def test_a_component_that_cannot_be_imported_names_itself_and_its_plugin(
    registry: Registry,
) -> None:
    with pytest.raises(PluginError) as caught:
        choose("strategies", "lost", registry=registry).build()
    assert str(caught.value).startswith(
        "strategy 'lost' of the plugin 'sample': cannot import 'corenas.no_such_module:built': "
        "ModuleNotFoundError: "
    )


def test_chosen_is_equal_by_kind_name_and_options(registry: Registry) -> None:
    chosen = choose("strategies", "reinforce", registry=registry)
    assert evolve(chosen, plugin="other", component=Component("reinforce", "a:b")) == chosen
    assert evolve(chosen, config=Reinforce(samples=2)) != chosen
    assert evolve(chosen, name="random") != chosen
    assert hash(evolve(chosen, plugin="other")) == hash(chosen)


def test_chosen_survives_pickle(registry: Registry) -> None:
    chosen = choose("strategies", "reinforce", registry=registry)
    again = pickle.loads(pickle.dumps(chosen))
    assert again == chosen
    assert again.component == chosen.component


def test_differences_name_each_option_that_changed(registry: Registry) -> None:
    before = structure(Job, {"train": {"limit": 3}}, registry=registry)
    layer = {"strategy": {"samples": 2}, "train": {"steps": 200}, "metrics": ["psnr"], "text": "a"}
    after = structure(Job, layer, registry=registry)
    assert differences(before, before) == []
    assert differences(before, after) == [
        "strategy.samples: 1 -> 2",
        'metrics: ["psnr", {"use": "ssim", "width": 11, "taps": [0.5, 1.5]}] -> ["psnr"]',
        "train.steps: 20 -> 200",
        "train.limit: 3 -> unset",
        'text: unset -> "a"',
    ]
    other = structure(Job, {"strategy": "random"}, registry=registry)
    assert differences(after, other)[0] == "strategy: reinforce -> random"
