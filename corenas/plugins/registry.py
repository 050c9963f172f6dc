"""Finds what plugins offer. Each is loaded on its own, so that a broken one hides no other."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from traceback import extract_tb
from typing import TYPE_CHECKING, Any

import attrs
import pluggy
from attrs import define, field, frozen

from corenas.errors import PluginError, UnknownName
from corenas.metric import MetricInfo
from corenas.names import nearest
from corenas.plugins import hookspecs
from corenas.plugins.hookspecs import PROJECT, Component, Recipe

if TYPE_CHECKING:
    import typer

    from corenas.runs.run import Run
    from corenas.values.trial import Event

KINDS: Mapping[str, str] = {
    "search_spaces": "search space",
    "operations": "operation",
    "strategies": "strategy",
    "evaluators": "evaluator",
    "metrics": "metric",
    "objectives": "objective",
    "rewards": "reward",
    "executors": "executor",
}
"""The kinds of components and what one of each is called."""

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SOURCE = re.compile(r"[\w.]+:[\w.]+")


@frozen
class PluginStatus:
    """A plugin that was found; ``error`` says why it could not be used, and is empty otherwise."""

    name: str
    distribution: str = ""
    version: str = ""
    error: str = ""


@define
class _Plugin:
    status: PluginStatus
    hooks: pluggy.HookRelay | None = None
    offers: dict[str, dict[str, Any]] = field(factory=dict)

    @property
    def name(self) -> str:
        return self.status.name

    def fail(self, reason: str) -> None:
        """Take back all that the plugin offers."""
        self.status = attrs.evolve(self.status, error=reason)
        self.hooks, self.offers = None, {}


class Registry:
    """The components and recipes of all plugins that work.

    A plugin is taken whole or not at all. Where two claim the same name, the first one keeps it
    and the second is broken; core's own comes first, the others follow by name.
    """

    def __init__(self) -> None:
        self._plugins: list[_Plugin] = []

    @classmethod
    def load(cls) -> Registry:
        """Return a registry of every entry point of the group ``corenas``."""
        registry = cls()
        for entry_point in sorted(entry_points(group=PROJECT), key=_order):
            registry._add(entry_point.name, entry_point.load, *_distribution(entry_point))
        return registry

    def register(self, name: str, module: object) -> None:
        """Add a plugin that is no installed package, as a test does.

        Raises:
            PluginError: It is broken; the message says why.
        """
        plugin = self._add(name, lambda: module)
        if plugin.status.error:
            raise PluginError(f"plugin {name!r}: {plugin.status.error}")

    @property
    def plugins(self) -> list[PluginStatus]:
        """All plugins that were found, the broken ones included."""
        return [plugin.status for plugin in self._plugins]

    def components(self, kind: str) -> dict[str, Component]:
        """Return the components of a kind by name, sorted.

        Raises:
            UnknownName: There is no such kind.
        """
        if kind not in KINDS:
            raise UnknownName(f"unknown kind {kind!r}{nearest(kind, KINDS)}")
        return self._offers(kind)

    def component(self, kind: str, name: str) -> Component:
        """Return one component.

        Raises:
            UnknownName: There is none; the message offers the nearest name.
        """
        found = self.components(kind)
        if name not in found:
            raise self._unknown(KINDS[kind], name, found)
        return found[name]

    @property
    def recipes(self) -> dict[str, Recipe]:
        """All recipes by name, sorted."""
        return self._offers("recipes")

    def recipe(self, name: str) -> Recipe:
        """Return one recipe.

        Raises:
            UnknownName: There is none; the message offers the nearest name.
        """
        if name not in self.recipes:
            raise self._unknown("recipe", name, self.recipes)
        return self.recipes[name]

    def owner(self, kind: str, name: str) -> str:
        """Return the name of the plugin that offers a component, or a recipe of ``recipes``."""
        for plugin in self._plugins:
            if name in plugin.offers.get(kind, {}):
                return plugin.name
        raise self._unknown(KINDS.get(kind, "recipe"), name, self._offers(kind))

    def add_commands(self, app: typer.Typer) -> None:
        """Let every plugin add its commands; one that fails adds nothing and is broken."""
        import typer

        for plugin, hooks in self._working():
            own = typer.Typer()
            try:
                hooks.corenas_commands(app=own)
                taken = _commands(own) & _commands(app)
                if taken:
                    raise PluginError(f"the command {min(taken)!r} exists already")
            except Exception as error:
                plugin.fail(f"corenas_commands: {_reason(error)}")
            else:
                app.registered_commands.extend(own.registered_commands)
                app.registered_groups.extend(own.registered_groups)

    def observe(self, run: Run, event: Event) -> None:
        """Show an event to every observer; one that fails is said once and not called again."""
        for plugin, hooks in self._working():
            try:
                hooks.corenas_event(run=run, event=event)
            except Exception as error:
                plugin.hooks = None
                run.say(f"plugin {plugin.name!r} observes no more: {_reason(error)}")

    def _working(self) -> list[tuple[_Plugin, pluggy.HookRelay]]:
        return [(plugin, plugin.hooks) for plugin in self._plugins if plugin.hooks is not None]

    def _offers(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for plugin in self._plugins:
            found |= plugin.offers.get(kind, {})
        return dict(sorted(found.items()))

    def _unknown(self, what: str, name: str, found: Mapping[str, Any]) -> UnknownName:
        broken = [repr(plugin.name) for plugin in self._plugins if plugin.status.error]
        note = f" (broken plugins: {', '.join(broken)}; see 'corenas plugins')" if broken else ""
        return UnknownName(f"unknown {what} {name!r}{note}{nearest(name, found)}")

    def _add(
        self, name: str, load: Callable[[], object], distribution: str = "", version: str = ""
    ) -> _Plugin:
        plugin = _Plugin(PluginStatus(name, distribution, version))
        try:
            if any(other.name == name for other in self._plugins):
                raise PluginError("another plugin has the same name")
            hooks = _hooks(name, load())
            offers = {kind: _offers_of(hooks, kind) for kind in (*KINDS, "recipes")}
            self._check_unclaimed(offers)
            plugin.hooks, plugin.offers = hooks, offers
        # A plugin may even call sys.exit when it is imported.
        except (Exception, SystemExit) as error:
            plugin.fail(_reason(error))
        self._plugins.append(plugin)
        return plugin

    def _check_unclaimed(self, offers: Mapping[str, Mapping[str, Any]]) -> None:
        for kind, offered in offers.items():
            for name in offered.keys() & self._offers(kind).keys():
                what, owner = KINDS.get(kind, "recipe"), self.owner(kind, name)
                raise PluginError(f"{what} {name!r} is already offered by the plugin {owner!r}")


@cache
def default_registry() -> Registry:
    """Return the registry of what is installed, loaded once."""
    return Registry.load()


def load_attribute(source: str, wanted_by: str) -> Any:
    """Import ``package.module:attribute``.

    Args:
        source: What to import.
        wanted_by: Who names it, for the error.

    Raises:
        PluginError: The module cannot be imported or has no such attribute.
    """
    module, _, attribute = source.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except Exception as error:
        raise PluginError(f"{wanted_by}: cannot import {source!r}: {_reason(error)}") from error
    return found


def _order(entry_point: EntryPoint) -> tuple[bool, bool, str, str]:
    """Put the core first, then what comes with it: a stranger cannot take its names away."""
    distribution, _ = _distribution(entry_point)
    foreign, name = distribution != PROJECT, entry_point.name
    return foreign, name != PROJECT, name, distribution


def _distribution(entry_point: EntryPoint) -> tuple[str, str]:
    """Return name and version of a plugin's distribution, as far as its metadata tells."""
    if entry_point.dist is None:
        return "", ""
    metadata = entry_point.dist.metadata
    return metadata.get_all("Name", [""])[0], metadata.get_all("Version", [""])[0]


def _reason(error: BaseException) -> str:
    """Return one line that says what went wrong, and where when it is not our own finding."""
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    frames = [frame for frame in extract_tb(error.__traceback__) if _is_foreign(frame.filename)]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"


def _is_foreign(file: str) -> bool:
    """Return whether a plugin's author may look there, which is not where modules are imported."""
    return file != __file__ and "importlib" not in file


def _hooks(name: str, module: object) -> pluggy.HookRelay:
    """Register a module in a manager of its own, so that its hooks can fail alone."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    known = {hook for hook in vars(hookspecs) if hook.startswith(f"{PROJECT}_")}
    for attribute in dir(module):
        marked = manager.parse_hookimpl_opts(module, attribute) is not None
        if marked and attribute not in known:
            raise PluginError(f"unknown hook {attribute!r}{nearest(attribute, known)}")
        if not marked and attribute in known:
            raise PluginError(f"{attribute}: it is not marked with corenas.hookimpl")
    try:
        manager.register(module, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(" ".join(str(error).split())) from error
    return manager.hook


def _offers_of(hooks: pluggy.HookRelay, kind: str) -> dict[str, Any]:
    hook = f"{PROJECT}_{kind}"
    caller: pluggy.HookCaller = getattr(hooks, hook)
    offered: dict[str, Any] = {}
    try:
        returned = [list(values) for values in caller()]
    except Exception as error:
        raise PluginError(f"{hook}: {_reason(error)}") from error
    if caller.get_hookimpls() and not returned:
        raise PluginError(f"{hook}: it returned None")
    for value in (value for values in returned for value in values):
        if problem := _problem(value, kind):
            raise PluginError(f"{hook}: {problem}")
        if value.name in offered:
            raise PluginError(f"{hook}: {value.name!r} is offered twice")
        offered[value.name] = value
    return offered


def _problem(value: Any, kind: str) -> str:
    """Return what is wrong with what a hook returned, or an empty string."""
    expected = Recipe if kind == "recipes" else Component
    if not isinstance(value, expected):
        return f"expected {expected.__name__} objects, got {value!r}"
    if not isinstance(value.name, str) or not _NAME.fullmatch(value.name):
        return f"the name {value.name!r} is not kebab-case"
    sources = [value.build] if isinstance(value, Component) else [value.run, value.check]
    problem = _source_problem(*filter(None, sources)) or _config_problem(value.config)
    if kind == "metrics" and not isinstance(getattr(value, "metadata", None), MetricInfo):
        problem = problem or "metadata must be a MetricInfo"
    return problem and f"{value.name!r}: {problem}"


def _source_problem(*sources: str) -> str:
    wrong = [source for source in sources if not _SOURCE.fullmatch(str(source))]
    return f"expected 'package.module:attribute', got {wrong[0]!r}" if wrong else ""


def _config_problem(config: Any) -> str:
    if not isinstance(config, type) or not attrs.has(config):
        return f"config must be an attrs class, got {config!r}"
    for attribute in attrs.fields(config):
        if attribute.default is attrs.NOTHING:
            return f"the option {attribute.name!r} has no default"
        if attribute.name == "use":
            return "no option can be called 'use'"
    return ""


def _commands(app: typer.Typer) -> set[str]:
    """Return the names of an app's commands and groups; a malformed one raises here."""
    from typer.main import get_group

    return set(get_group(app).commands)
