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

from corenas import builtin, cli
from corenas.errors import PluginError, UnknownName
from corenas.options.structuring import choose, structure
from corenas.plugins import hookspecs
from corenas.plugins.hookspecs import Component, Kind, NoOptions, Recipe, hookimpl
from corenas.plugins.registry import PluginStatus, Registry, default_registry, load_attribute
from corenas.testing.installed import InstallPlugin
from corenas.values.trial import Event
from corenas_sr import plugin as sr_plugin

pytestmark = pytest.mark.abuse("broken plugin")

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


def core_kinds() -> Registry:
    """Return a registry that knows the core's kinds, and no component."""
    registry = Registry()
    registry.register("kinds", plugin(corenas_kinds=builtin.corenas_kinds))
    return registry


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
    for kind in registry.kinds:
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
    registry = core_kinds()
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
    registry = core_kinds()
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
    registry = core_kinds()
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
    registry = core_kinds()
    registry.register("images", plugin(corenas_kinds=sr_plugin.corenas_kinds))
    with pytest.raises(PluginError) as caught:
        registry.register("odd", plugin(**{f"corenas_{hook}": lambda: returned}))
    assert f"plugin 'odd': corenas_{hook}: " in str(caught.value)
    assert reason in str(caught.value)


def owning(*kinds: Any, **hooks: Callable[..., Any]) -> SimpleNamespace:
    return plugin(corenas_kinds=lambda: kinds, **hooks)


def data_sets(*names: str) -> Callable[[], list[Component]]:
    return lambda: [Component(name, "x:y") for name in names]


DATA_SETS = Kind("data_sets", "data set", "(config, *, seed)")


def test_a_plugin_owns_a_kind_and_others_add_to_it() -> None:
    registry = core_kinds()
    registry.register("owner", owning(DATA_SETS, corenas_data_sets=data_sets("digits")))
    registry.register("other", plugin(corenas_data_sets=data_sets("letters")))
    assert list(registry.kinds)[-1] == "data_sets"
    assert registry.kinds["data_sets"] == DATA_SETS
    assert list(registry.components("data_sets")) == ["digits", "letters"]
    assert registry.owner("data_sets", "letters") == "other"
    with pytest.raises(UnknownName, match=r"^unknown data set 'digit'; did you mean 'digits'\?$"):
        registry.component("data_sets", "digit")
    with pytest.raises(PluginError, match="data set 'digits' is already offered by the plugin 'ow"):
        registry.register("third", plugin(corenas_data_sets=data_sets("digits")))


class Facts:
    """What a component's metadata must be."""


def test_a_kind_says_what_metadata_is() -> None:
    registry = Registry()
    described = Component("good", "x:y", metadata=Facts())
    kind = Kind("data_sets", "data set", metadata=Facts)
    registry.register("owner", owning(kind, corenas_data_sets=lambda: [described]))
    with pytest.raises(PluginError, match=r"corenas_data_sets: 'bad': metadata must be a Facts$"):
        registry.register("other", plugin(corenas_data_sets=data_sets("bad")))
    assert registry.component("data_sets", "good") is described


def test_an_unknown_kind_tells_of_broken_plugins() -> None:
    registry = core_kinds()
    with pytest.raises(PluginError):
        registry.register("owner", owning(DATA_SETS, corenas_data_sets=lambda: 3))
    with pytest.raises(UnknownName) as caught:
        registry.components("data_sets")
    expected = "unknown kind 'data_sets' (broken plugins: 'owner'; see 'corenas plugins'); allowed:"
    assert str(caught.value).startswith(expected)


HEADER = "from corenas import Component, Kind, hookimpl\n"
OWNER = """
@hookimpl
def corenas_kinds():
    return [Kind("data_sets", "data set")]
"""
ADDER = """
@hookimpl
def corenas_data_sets():
    return [Component(__name__.replace("_", "-"), f"{__name__}:build")]

def build(config):
    return "built"
"""
BREAKS_LATE = (
    OWNER
    + """
@hookimpl
def corenas_data_sets():
    raise KeyError("files")
"""
)
"""A plugin that breaks after it has declared a kind."""


@pytest.mark.parametrize(("owner", "adder"), [("aaa", "zzz"), ("zzz", "aaa")])
def test_the_order_of_loading_does_not_matter(
    install_plugin: InstallPlugin, capsys: pytest.CaptureFixture[str], owner: str, adder: str
) -> None:
    install_plugin(owner, HEADER + OWNER)
    install_plugin(adder, HEADER + ADDER)
    registry = default_registry()
    assert [status.name for status in registry.plugins if status.error] == []
    assert choose("data_sets", adder).build() == "built"
    assert cli.main(["list", "data-sets"]) == 0
    assert capsys.readouterr().out.split() == ["data", "sets:", adder, adder]
    assert cli.main(["list"]) == 0
    assert "\ndata sets:\n" in capsys.readouterr().out


def test_what_builds_a_component_of_a_strangers_kind_is_named_when_missing(
    install_plugin: InstallPlugin,
) -> None:
    install_plugin("owner", HEADER + OWNER)
    install_plugin("other", HEADER + ADDER.replace(":build", ":built"))
    with pytest.raises(PluginError, match=r"^data set 'other' of the plugin 'other': cannot"):
        choose("data_sets", "other").build()


@pytest.mark.parametrize(("owner", "adder"), [("aaa", "zzz"), ("zzz", "aaa")])
def test_a_kind_goes_with_its_broken_owner(
    install_plugin: InstallPlugin, owner: str, adder: str
) -> None:
    install_plugin(owner, HEADER + BREAKS_LATE)
    install_plugin(adder, HEADER + ADDER)
    install_plugin("good-plugin", GOOD)
    registry = Registry.load()
    found = statuses(registry)
    assert found[owner].error.startswith("corenas_data_sets: KeyError: 'files' (")
    assert found[adder].error == (
        f"corenas_data_sets: the kind 'data_sets' belongs to the plugin {owner!r}, which is broken"
    )
    assert "data_sets" not in registry.kinds
    assert registry.owner("strategies", "good") == "good-plugin"


def test_one_broken_owner_after_the_other_gives_names_free(install_plugin: InstallPlugin) -> None:
    """The first falls, so the second loses its kind, so the third does; a fourth gets its name."""
    second = OWNER.replace("data_sets", "losses").replace("data set", "loss")
    third = """
@hookimpl
def corenas_losses():
    return [Component("l1", "x:y")]
"""
    install_plugin("ddd-first", HEADER + BREAKS_LATE)
    install_plugin("ccc-second", HEADER + ADDER + second)
    install_plugin("aaa-third", HEADER + third + GOOD)
    install_plugin("bbb-fourth", GOOD)
    registry = Registry.load()
    found = statuses(registry)
    assert "belongs to the plugin 'ddd-first', which is broken" in found["ccc-second"].error
    assert found["aaa-third"].error == (
        "corenas_losses: the kind 'losses' belongs to the plugin 'ccc-second', which is broken"
    )
    assert found["bbb-fourth"].error == ""
    assert registry.owner("strategies", "good") == "bbb-fourth"


def test_a_plugin_that_falls_with_an_owner_takes_no_name(install_plugin: InstallPlugin) -> None:
    """The owner's claim fails, so the first loses its kind, and the second keeps its name."""
    install_plugin("aaa-adder", HEADER + ADDER + GOOD)
    install_plugin("bbb-same-name", GOOD)
    install_plugin("ccc-first-claim", GOOD.replace('"good"', '"better"'))
    install_plugin("ddd-owner", HEADER + OWNER + GOOD.replace('"good"', '"better"'))
    registry = Registry.load()
    found = statuses(registry)
    assert found["ddd-owner"].error == (
        "strategy 'better' is already offered by the plugin 'ccc-first-claim'"
    )
    assert "belongs to the plugin 'ddd-owner', which is broken" in found["aaa-adder"].error
    assert found["bbb-same-name"].error == found["ccc-first-claim"].error == ""
    assert registry.owner("strategies", "good") == "bbb-same-name"


def test_a_kind_declared_twice_breaks_the_later_plugin(install_plugin: InstallPlugin) -> None:
    install_plugin("aaa", HEADER + OWNER)
    install_plugin("bbb", HEADER + OWNER + GOOD)
    install_plugin("ccc", HEADER + OWNER.replace("data_sets", "strategies"))
    install_plugin("other", HEADER + ADDER)
    found = statuses(registry := Registry.load())
    already = "corenas_kinds: the kind {!r} is already declared by the plugin {!r}"
    assert found["bbb"].error == already.format("data_sets", "aaa")
    assert found["ccc"].error == already.format("strategies", "corenas")
    assert found["aaa"].error == found["other"].error == ""
    assert "good" not in registry.components("strategies")
    assert "random" in registry.components("strategies")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (ADDER, "corenas_data_sets: no plugin declares the kind 'data_sets'; allowed: evaluators"),
        (
            ADDER.replace("data_sets", "strategy"),
            "unknown hook 'corenas_strategy'; did you mean 'corenas_strategies'?",
        ),
        (
            ADDER + OWNER.replace("corenas_kinds", "corenas_kind"),
            "unknown hook 'corenas_kind'; did you mean 'corenas_kinds'?",
        ),
        (
            ADDER.replace("corenas_data_sets", "strategies"),
            "unknown hook 'strategies'; did you mean 'corenas_strategies'?",
        ),
        (
            ADDER.replace("corenas_data_sets", "data_sets"),
            "unknown hook 'data_sets'; allowed: corenas_checks",
        ),
        (OWNER.replace("@hookimpl", ""), "corenas_kinds: it is not marked with corenas.hookimpl"),
        (
            OWNER + ADDER.replace("@hookimpl", ""),
            "corenas_data_sets: it is not marked with corenas.hookimpl",
        ),
        (OWNER + ADDER.replace("sets()", "sets(config)"), "Argument(s) {'config'} are declared"),
        (OWNER.replace("kinds()", "kinds(app)"), "Argument(s) {'app'} are declared"),
        (OWNER.replace("return", "raise KeyError(7)  #"), "corenas_kinds: KeyError: 7 ("),
        (OWNER.replace("return", "pass  #"), "corenas_kinds: it returned None"),
    ],
)
def test_a_wrong_hook_for_a_kind_breaks_its_plugin_only(
    install_plugin: InstallPlugin, source: str, reason: str
) -> None:
    install_plugin("aaa", HEADER + source)
    install_plugin("good-plugin", GOOD)
    registry = Registry.load()
    assert reason in statuses(registry)["aaa"].error
    assert "data_sets" not in registry.kinds
    assert registry.owner("strategies", "good") == "good-plugin"


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (["data_sets"], "expected Kind objects, got 'data_sets'"),
        ([Kind("data-sets", "data set")], "the name 'data-sets' is not snake_case"),
        ([Kind("DataSets", "data set")], "the name 'DataSets' is not snake_case"),
        ([Kind("2d_losses", "loss")], "the name '2d_losses' is not snake_case"),
        *(
            (
                [Kind(name, "thing")],
                f"no kind can be called {name!r}: corenas_{name} is another hook",
            )
            for name in ("recipes", "commands", "event", "kinds")
        ),
        ([Kind("losses", " ")], "'losses': singular must say what one of them is called, got ' '"),
        (
            [Kind("losses", "loss", "config")],
            "'losses': built_with must be like '(config, space)', got 'config'",
        ),
        (
            [Kind("losses", "loss", metadata="str")],  # type: ignore[arg-type] - that is the fault
            "'losses': metadata must be a class, got 'str'",
        ),
        ([Kind("losses", "loss"), Kind("losses", "loss")], "'losses' is declared twice"),
    ],
)
def test_a_malformed_kind_breaks_its_plugin(kinds: list[Any], reason: str) -> None:
    registry = core_kinds()
    registry.register("before", owning(DATA_SETS))
    with pytest.raises(PluginError) as caught:
        registry.register("odd", owning(*kinds, corenas_strategies=data_sets("odd")))
    assert str(caught.value) == f"plugin 'odd': corenas_kinds: {reason}"
    registry.register("after", strategies("fine"))
    assert list(registry.components("strategies")) == ["fine"]
    assert list(registry.kinds)[-1] == "data_sets"


def test_every_fixed_hook_is_no_name_of_a_kind() -> None:
    fixed = {hook.removeprefix("corenas_") for hook in vars(hookspecs) if hook[:8] == "corenas_"}
    for name in fixed:
        with pytest.raises(PluginError, match=f"no kind can be called '{name}'"):
            Registry().register("odd", owning(Kind(name, "thing")))


def test_an_unknown_name_offers_the_nearest() -> None:
    registry = core_kinds()
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

    registry = core_kinds()
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
    registry = core_kinds()
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
    registry = core_kinds()
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


def test_commands_that_fail_take_the_kind_from_others() -> None:
    fails = commands("fails", fails=True)
    fails.corenas_kinds = owning(DATA_SETS).corenas_kinds
    adds = commands("letters")
    adds.corenas_data_sets = plugin(hook=data_sets("letters")).hook
    registry = core_kinds()
    registry.register("owner", fails)
    registry.register("other", adds)
    app = typer.Typer()
    registry.add_commands(app)
    assert app.registered_commands == []
    assert statuses(registry)["other"].error == (
        "corenas_data_sets: the kind 'data_sets' belongs to the plugin 'owner', which is broken"
    )


def test_a_group_of_commands_is_added() -> None:
    def corenas_commands(app: typer.Typer) -> None:
        group = typer.Typer()
        group.command("check")(lambda: None)
        group.command("fetch")(lambda: None)
        app.add_typer(group, name="data")

    registry = core_kinds()
    registry.register("one", plugin(corenas_commands=corenas_commands))
    app = typer.Typer()
    registry.add_commands(app)
    assert [group.name for group in app.registered_groups] == ["data"]


def test_a_malformed_command_breaks_its_plugin_only() -> None:
    def corenas_commands(app: typer.Typer) -> None:
        @app.command("odd")
        def odd(value: int | str) -> None: ...

    registry = core_kinds()
    registry.register("one", plugin(corenas_commands=corenas_commands))
    app = typer.Typer()
    registry.add_commands(app)
    assert app.registered_commands == []
    assert statuses(registry)["one"].error.startswith("corenas_commands: ")
