from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from attrs import field, frozen

from corenas.errors import PluginError, UnknownName
from corenas.options.structuring import structure
from corenas.plugins.hookspecs import Component, NoOptions, Recipe, hookimpl
from corenas.plugins.registry import KINDS, PluginStatus, Registry, default_registry, load_attribute
from corenas.testing.installed import InstallPlugin
from corenas.values.trial import Event

GOOD = """
from corenas import Component, hookimpl

@hookimpl
def corenas_strategies():
    return [Component("good", "good_plugin:build")]

def build(config):
    return "built"
"""

MISSPELT = """
from corenas import Component, hookimpl

@hookimpl
def corenas_strategy():
    return []

@hookimpl
def corenas_operations():
    return [Component("misspelt", "x:y")]
"""

WRONG_ARGUMENT = """
from corenas import hookimpl

@hookimpl
def corenas_commands(application):
    pass
"""

RAISES = """
from corenas import Component, hookimpl

@hookimpl
def corenas_operations():
    return [Component("half", "x:y")]

@hookimpl
def corenas_strategies():
    yield Component("late", "x:y")
    raise KeyError("weights")
"""


def plugin(**hooks: Callable[..., Any]) -> SimpleNamespace:
    """Return a module with these functions as its hooks."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def strategies(*names: str) -> SimpleNamespace:
    return plugin(corenas_strategies=lambda: [Component(name, "x:y") for name in names])


def statuses(registry: Registry) -> dict[str, PluginStatus]:
    return {status.name: status for status in registry.plugins}


def test_broken_plugins_do_not_hide_the_others(install_plugin: InstallPlugin) -> None:
    install_plugin("good-plugin", GOOD, version="2.3")
    broken = {
        "bad-absent": None,
        "bad-import": "import no_such_library\n",
        "bad-exit": "import sys\nsys.exit(3)\n",
        "bad-syntax": "def (:\n",
        "bad-misspelt": MISSPELT,
        "bad-argument": WRONG_ARGUMENT,
        "bad-raises": RAISES,
        "bad-unmarked": "def corenas_metrics():\n    return []\n",
        "bad-nonsense": MISSPELT.replace("corenas_strategy", "corenas_metrics").replace("[]", "3"),
    }
    for name, source in broken.items():
        install_plugin(name, source, version="0.1")
    registry = Registry.load()

    found = statuses(registry)
    assert found["good-plugin"] == PluginStatus("good-plugin", "good-plugin", "2.3")
    assert registry.owner("strategies", "good") == "good-plugin"
    assert structure_and_build(registry) == "built"
    reasons = {name: found[name].error for name in broken}
    assert {found[name].version for name in broken} == {"0.1"}
    assert reasons["bad-absent"].startswith("ModuleNotFoundError: No module named 'bad_absent'")
    assert "No module named 'no_such_library'" in reasons["bad-import"]
    assert "bad_import.py, line 1)" in reasons["bad-import"]
    assert reasons["bad-exit"].startswith("SystemExit: 3")
    assert reasons["bad-syntax"].startswith("SyntaxError: ")
    assert (
        reasons["bad-misspelt"]
        == "unknown hook 'corenas_strategy'; did you mean 'corenas_strategies'?"
    )
    assert "'application'" in reasons["bad-argument"]
    assert "\n" not in reasons["bad-argument"]
    assert reasons["bad-raises"].startswith("corenas_strategies: KeyError: 'weights' (")
    assert reasons["bad-unmarked"] == "corenas_metrics: it is not marked with corenas.hookimpl"
    assert reasons["bad-nonsense"].startswith("corenas_metrics: TypeError: 'int' object")
    # What a half-broken plugin offers beside is not used.
    assert not {"misspelt", "half"} & registry.components("operations").keys()


def structure_and_build(registry: Registry) -> Any:
    found = registry.component("strategies", "good")
    return load_attribute(found.build, "a test")(structure(found.config, registry=registry))


def test_the_installed_plugins_of_this_project_work() -> None:
    registry = default_registry()
    assert [status.name for status in registry.plugins if status.error] == []
    assert registry.plugins[0].name == "corenas"
    assert registry.owner("strategies", "random") == "corenas"


def test_every_component_that_is_installed_can_be_imported() -> None:
    registry = default_registry()
    for kind in KINDS:
        for name, found in registry.components(kind).items():
            assert callable(load_attribute(found.build, name))
            structure(found.config, registry=registry)
    for name, recipe in registry.recipes.items():
        assert callable(load_attribute(recipe.run, name))


def test_looking_for_plugins_does_not_import_torch() -> None:
    code = (
        "import sys; from corenas.plugins.registry import default_registry; default_registry(); "
        "print([n for n in ('torch', 'numpy', 'tomlkit', 'typer') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_belongs_to_the_first_plugin_that_offers_it() -> None:
    registry = Registry()
    registry.register("first", strategies("search"))
    with pytest.raises(PluginError) as caught:
        registry.register("second", strategies("other", "search"))
    assert (
        str(caught.value)
        == "plugin 'second': strategy 'search' is already offered by the plugin 'first'"
    )
    assert registry.owner("strategies", "search") == "first"
    assert list(registry.components("strategies")) == ["search"]


def test_names_are_unique_in_their_kind_only() -> None:
    registry = Registry()
    registry.register("first", strategies("same"))
    operations = plugin(corenas_operations=lambda: [Component("same", "x:y")])
    registry.register("second", operations)
    assert registry.owner("operations", "same") == "second"


def test_our_own_come_first_and_the_others_by_name(install_plugin: InstallPlugin) -> None:
    taken = GOOD.replace('"good"', '"random"')
    install_plugin("aaa", taken)
    install_plugin("zzz", GOOD)
    install_plugin("mmm", GOOD)
    registry = Registry.load()
    names = [status.name for status in registry.plugins]
    ours = [name for name in names if name.startswith("corenas")]
    assert names[0] == "corenas"
    assert names == [*sorted(ours), "aaa", "mmm", "zzz"]
    assert statuses(registry)["aaa"].error == (
        "strategy 'random' is already offered by the plugin 'corenas'"
    )
    assert registry.owner("strategies", "good") == "mmm"


def test_two_plugins_of_one_name_are_told_apart() -> None:
    registry = Registry()
    registry.register("twice", strategies("a"))
    with pytest.raises(PluginError, match="another plugin has the same name"):
        registry.register("twice", strategies("b"))
    assert list(registry.components("strategies")) == ["a"]


@frozen
class Required:
    steps: int = field()


@frozen
class Uses:
    use: str = "x"


@pytest.mark.parametrize(
    ("hook", "returned", "reason"),
    [
        ("strategies", None, "corenas_strategies: it returned None"),
        ("strategies", ["random"], "expected Component objects, got 'random'"),
        ("recipes", [Component("a", "x:y")], "expected Recipe objects, got Component("),
        ("strategies", [Component("My_Search", "x:y")], "the name 'My_Search' is not kebab-case"),
        (
            "strategies",
            [Component("a", "x.y")],
            "'a': expected 'package.module:attribute', got 'x.y'",
        ),
        (
            "recipes",
            [Recipe("a", "x", NoOptions)],
            "'a': expected 'package.module:attribute', got 'x'",
        ),
        (
            "recipes",
            [Recipe("a", "x:y", NoOptions, check="x")],
            "'a': expected 'package.module:attribute', got 'x'",
        ),
        ("strategies", [Component("a", "x:y", dict)], "'a': config must be an attrs class, got"),
        ("strategies", [Component("a", "x:y", Required)], "'a': the option 'steps' has no default"),
        ("strategies", [Component("a", "x:y", Uses)], "'a': no option can be called 'use'"),
        ("strategies", [Component("a", "x:y")] * 2, "'a' is offered twice"),
        ("metrics", [Component("a", "x:y")], "'a': metadata must be a MetricInfo"),
    ],
)
def test_nonsense_from_a_hook_breaks_the_plugin(hook: str, returned: Any, reason: str) -> None:
    with pytest.raises(PluginError) as caught:
        Registry().register("odd", plugin(**{f"corenas_{hook}": lambda: returned}))
    assert f"plugin 'odd': corenas_{hook}: " in str(caught.value)
    assert reason in str(caught.value)


def test_an_unknown_name_offers_the_nearest() -> None:
    registry = Registry()
    registry.register("sample", strategies("reinforce", "random"))
    with pytest.raises(UnknownName) as caught:
        registry.component("strategies", "reinforc")
    assert str(caught.value) == "unknown strategy 'reinforc'; did you mean 'reinforce'?"
    with pytest.raises(UnknownName) as caught:
        registry.components("strategy")
    assert str(caught.value) == "unknown kind 'strategy'; did you mean 'strategies'?"
    with pytest.raises(UnknownName) as caught:
        registry.recipe("tpsr")
    assert str(caught.value) == "unknown recipe 'tpsr'; allowed: nothing"
    with pytest.raises(UnknownName, match="unknown recipe 'tpsr'"):
        registry.owner("recipes", "tpsr")


def test_an_unknown_name_tells_of_broken_plugins(install_plugin: InstallPlugin) -> None:
    install_plugin("bad-import", "import no_such_library\n")
    with pytest.raises(UnknownName) as caught:
        default_registry().component("strategies", "randon")
    assert str(caught.value).startswith("unknown strategy 'randon' (broken plugins: ")
    assert "'bad-import'" in str(caught.value)
    assert str(caught.value).endswith("; see 'corenas plugins'); did you mean 'random'?")


def test_an_attribute_that_cannot_be_imported_says_who_wants_it() -> None:
    assert load_attribute("pathlib:Path.home", "a test") == Path.home
    for source in ("pathlib:Pth", "no_such_module:x"):
        with pytest.raises(PluginError, match=f"^recipe 'a': cannot import '{source}': "):
            load_attribute(source, "recipe 'a'")


class Spoken:
    """Stands in for a run: keeps what it is told to say."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_an_observer_that_fails_is_said_once_and_left_out() -> None:
    seen: list[tuple[str, str]] = []

    def fails(run: Any, event: Event) -> None:
        seen.append(("fails", event.kind))
        raise ValueError("disk full")

    registry = Registry()
    registry.register("fails", plugin(corenas_event=fails))
    works = plugin(corenas_event=lambda run, event: seen.append(("works", event.kind)))
    registry.register("works", works)
    run: Any = Spoken()
    registry.observe(run, Event("epoch"))
    registry.observe(run, Event("trial"))
    assert seen == [("fails", "epoch"), ("works", "epoch"), ("works", "trial")]
    assert len(run.lines) == 1
    assert run.lines[0].startswith("plugin 'fails' observes no more: ValueError: disk full (")


def test_an_observer_that_fails_keeps_its_components() -> None:
    registry = Registry()
    registry.register(
        "both",
        plugin(
            corenas_event=lambda run, event: 1 / 0,
            corenas_strategies=lambda: [Component("search", "x:y")],
        ),
    )
    run: Any = Spoken()
    registry.observe(run, Event("epoch"))
    assert list(registry.components("strategies")) == ["search"]


def commands(*names: str, fails: bool = False) -> SimpleNamespace:
    def corenas_commands(app: typer.Typer) -> None:
        for name in names:
            app.command(name)(lambda: None)
        if fails:
            raise RuntimeError("later")

    offered = [Component(f"from-{names[0]}", "x:y")]
    return plugin(corenas_commands=corenas_commands, corenas_strategies=lambda: offered)


def test_a_plugin_adds_its_commands_or_none() -> None:
    registry = Registry()
    registry.register("one", commands("train", "cost"))
    registry.register("two", commands("data", fails=True))
    registry.register("three", commands("upscale", "run"))
    registry.register("four", commands("cost"))
    app = typer.Typer()
    app.command("run")(lambda: None)
    registry.add_commands(app)
    assert [command.name for command in app.registered_commands] == ["run", "train", "cost"]
    found = statuses(registry)
    assert found["one"].error == ""
    assert found["two"].error.startswith("corenas_commands: RuntimeError: later (")
    assert found["three"].error == "corenas_commands: the command 'run' exists already"
    assert found["four"].error == "corenas_commands: the command 'cost' exists already"
    assert list(registry.components("strategies")) == ["from-train"]


def test_a_group_of_commands_is_added() -> None:
    def corenas_commands(app: typer.Typer) -> None:
        group = typer.Typer()
        group.command("check")(lambda: None)
        group.command("fetch")(lambda: None)
        app.add_typer(group, name="data")

    registry = Registry()
    registry.register("one", plugin(corenas_commands=corenas_commands))
    app = typer.Typer()
    registry.add_commands(app)
    assert [group.name for group in app.registered_groups] == ["data"]


def test_a_malformed_command_breaks_its_plugin_only() -> None:
    def corenas_commands(app: typer.Typer) -> None:
        @app.command("odd")
        def odd(value: int | str) -> None: ...

    registry = Registry()
    registry.register("one", plugin(corenas_commands=corenas_commands))
    app = typer.Typer()
    registry.add_commands(app)
    assert app.registered_commands == []
    assert statuses(registry)["one"].error.startswith("corenas_commands: ")
