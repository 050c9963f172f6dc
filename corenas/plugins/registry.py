"""Finds what plugins offer. Each is loaded on its own, so that a broken one hides no other."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import attrs
import pluggy
from attrs import define, field, frozen

from corenas.errors import PluginError, UnknownName
from corenas.names import nearest
from corenas.plugins._faults import explain
from corenas.plugins._hooks import PluginHooks, explain_lost_kind
from corenas.plugins._offers import (
    RECIPES,
    declared_kinds,
    offered_components,
    offered_recipes,
)
from corenas.plugins.answers import Answer, T
from corenas.plugins.hookspecs import PREFIX, PROJECT, Component, Kind, Recipe

if TYPE_CHECKING:
    import typer

    from corenas.runs.run import Run
    from corenas.values.trial import Event


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
    hooks: PluginHooks | None = None
    kinds: dict[str, Kind] = field(factory=dict)
    offers: dict[str, dict[str, Any]] = field(factory=dict)

    @property
    def name(self) -> str:
        return self.status.name

    @property
    def works(self) -> bool:
        return not self.status.error

    def fail(self, why: str) -> None:
        """Take back all that the plugin offers; that kinds were its own stays known."""
        self.status = attrs.evolve(self.status, error=why)
        self.hooks, self.offers = None, {}


_Found = tuple[PluginStatus, Callable[[], object]]
"""A plugin that is not loaded yet, and what imports its module."""


class Registry:
    """The kinds, components and recipes of all plugins that work.

    A plugin is taken whole or not at all. Where two claim the same name, the first one keeps it
    and the second is broken; core's own comes first, the others follow by name.
    """

    def __init__(self) -> None:
        self._plugins: list[_Plugin] = []

    @classmethod
    def load(cls) -> Registry:
        """Return a registry of every entry point of the group ``corenas``."""
        registry = cls()
        registry._add(
            (PluginStatus(entry_point.name, *_read_distribution(entry_point)), entry_point.load)
            for entry_point in sorted(entry_points(group=PROJECT), key=_sort_key)
        )
        return registry

    def register(self, name: str, module: object) -> None:
        """Add a plugin that is no installed package, as a test does.

        The kinds that it adds to must be declared by then, those of the core too, which are those
        of the module `corenas.builtin`.

        Raises:
            PluginError: It is broken; the message says why.
        """
        (plugin,) = self._add([(PluginStatus(name), lambda: module)])
        if plugin.status.error:
            raise PluginError(f"plugin {name!r}: {plugin.status.error}")

    @property
    def plugins(self) -> list[PluginStatus]:
        """All plugins that were found, the broken ones included."""
        return [plugin.status for plugin in self._plugins]

    @property
    def kinds(self) -> dict[str, Kind]:
        """All kinds of components by name, as they were declared: the core's first."""
        return {name: kind for plugin in self._working() for name, kind in plugin.kinds.items()}

    def kind_owner(self, kind: str) -> str:
        """Return the name of the plugin that declares a kind.

        Raises:
            UnknownName: There is no such kind.
        """
        for plugin in self._working():
            if kind in plugin.kinds:
                return plugin.name
        raise self._unknown("kind", kind, self.kinds)

    def components(self, kind: str) -> dict[str, Component]:
        """Return the components of a kind by name, sorted.

        Raises:
            UnknownName: There is no such kind.
        """
        if kind not in self.kinds:
            raise self._unknown("kind", kind, self.kinds)
        return self._offers(kind)

    def component(self, kind: str, name: str) -> Component:
        """Return one component.

        Raises:
            UnknownName: There is none; the message offers the nearest name.
        """
        found = self.components(kind)
        if name not in found:
            raise self._unknown(self.kinds[kind].singular, name, found)
        return found[name]

    @property
    def recipes(self) -> dict[str, Recipe]:
        """All recipes by name, sorted."""
        return self._offers(RECIPES)

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
        raise self._unknown(self._singular(kind), name, self._offers(kind))

    def add_commands(self, app: typer.Typer) -> None:
        """Let every plugin add its commands; one that fails adds nothing and is broken."""
        import typer

        taken, added = _command_names(app), []
        for plugin, hooks in self._hooks():
            # An app of its own, so that a plugin that fails halfway has added nothing.
            own = typer.Typer()
            try:
                hooks.corenas_commands(app=own)
                names = _command_names(own)
                if names & taken:
                    raise PluginError(f"the command {min(names & taken)!r} exists already")
            except Exception as error:
                plugin.fail(f"corenas_commands: {explain(error)}")
            else:
                taken |= names
                added.append((plugin, own))
        self._settle()
        # Only now: a plugin that broke while others were asked must leave no command behind.
        for own in (own for plugin, own in added if plugin.works):
            app.registered_commands.extend(own.registered_commands)
            app.registered_groups.extend(own.registered_groups)

    def observe(self, run: Run, event: Event) -> None:
        """Show an event to every observer; one that fails is said once and not called again."""
        for plugin, hooks in self._hooks():
            try:
                hooks.corenas_event(run=run, event=event)
            # An observer is never worth a run: it is dropped, and its components stay.
            except Exception as error:
                plugin.hooks = None
                run.say(f"plugin {plugin.name!r} observes no more: {explain(error)}")

    def ask(self, hook: str, expected: type[T], **arguments: object) -> Iterator[Answer[T]]:
        """Yield what each plugin answers to a hook that returns several things.

        Args:
            hook: Its name.
            expected: What the things are.
            arguments: The hook's.
        """
        for plugin, hooks in self._hooks():
            try:
                answers = getattr(hooks, hook)(**arguments)
                found = [item for answer in answers for item in answer]
            # What the others answer is worth having.
            except Exception as error:
                yield Answer(plugin.name, error=explain(error))
            else:
                yield Answer.of(plugin.name, found, expected)

    def _working(self) -> list[_Plugin]:
        return [plugin for plugin in self._plugins if plugin.works]

    def _hooks(self) -> list[tuple[_Plugin, pluggy.HookRelay]]:
        return [(plugin, plugin.hooks.call) for plugin in self._plugins if plugin.hooks is not None]

    def _offers(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for plugin in self._plugins:
            found |= plugin.offers.get(kind, {})
        return dict(sorted(found.items()))

    def _singular(self, kind: str) -> str:
        return self.kinds[kind].singular if kind in self.kinds else "recipe"

    def _unknown(self, what: str, name: str, found: Mapping[str, Any]) -> UnknownName:
        broken = [repr(plugin.name) for plugin in self._plugins if plugin.status.error]
        note = f" (broken plugins: {', '.join(broken)}; see 'corenas plugins')" if broken else ""
        return UnknownName(f"unknown {what} {name!r}{note}{nearest(name, found)}")

    def _add(self, found: Iterable[_Found]) -> list[_Plugin]:
        """Add plugins. All declare their kinds first, so that each may add to any other's."""
        added = [self._declare(status, load) for status, load in found]
        for plugin in added:
            self._collect(plugin)
        self._settle()
        return added

    def _declare(self, status: PluginStatus, load: Callable[[], object]) -> _Plugin:
        """Import a plugin and take the kinds that it declares."""
        plugin = _Plugin(status)
        with _breaking(plugin):
            if any(other.name == status.name for other in self._plugins):
                raise PluginError("another plugin has the same name")
            plugin.hooks = PluginHooks(status.name, load())
            plugin.kinds = declared_kinds(plugin.hooks.call)
            self._check_unowned(plugin.kinds)
        self._plugins.append(plugin)
        return plugin

    def _check_unowned(self, kinds: Iterable[str]) -> None:
        for kind in kinds:
            for owner in self._working():
                if kind in owner.kinds:
                    raise PluginError(
                        f"{PREFIX}kinds: the kind {kind!r} is already declared by the plugin "
                        f"{owner.name!r}"
                    )

    def _collect(self, plugin: _Plugin) -> None:
        """Ask a plugin for all that it offers; whether it gets the names is not decided here."""
        if plugin.hooks is None:
            return
        with _breaking(plugin):
            plugin.hooks.add_kinds(self.kinds.values(), self._find_lost_kinds())
            call = plugin.hooks.call
            offers: dict[str, dict[str, Any]] = {
                kind.name: offered_components(call, kind)
                for kind in self.kinds.values()
                if plugin.hooks.implements(kind.hook)
            }
            plugin.offers = {**offers, RECIPES: offered_recipes(call)}

    def _find_lost_kinds(self) -> dict[str, str]:
        """Return the kinds that are not there because their owners, the values, are broken."""
        broken = [plugin for plugin in self._plugins if not plugin.works]
        owners = {kind: plugin.name for plugin in broken for kind in plugin.kinds}
        return {kind: owner for kind, owner in owners.items() if kind not in self.kinds}

    def _settle(self) -> None:
        """Break the plugins that cannot stand beside the others, one at a time.

        One that breaks takes its kinds and its names away, so the others are looked at anew.
        """
        while fault := next(self._find_faults(), None):
            plugin, why = fault
            plugin.fail(why)

    def _find_faults(self) -> Iterator[tuple[_Plugin, str]]:
        # A plugin that loses a kind must not take a name from another first. So the losses come
        # before the claims, and the claims of owners before those of plugins that may lose by them.
        yield from self._find_users_of_lost_kinds()
        yield from sorted(self._find_second_claims(), key=lambda fault: not fault[0].kinds)

    def _find_users_of_lost_kinds(self) -> Iterator[tuple[_Plugin, str]]:
        lost = self._find_lost_kinds()
        for plugin in self._working():
            for kind in (kind for kind in plugin.offers if kind in lost):
                yield plugin, explain_lost_kind(PREFIX + kind, kind, lost[kind])

    def _find_second_claims(self) -> Iterator[tuple[_Plugin, str]]:
        first: dict[tuple[str, str], str] = {}
        for plugin in self._working():
            for kind, offered in plugin.offers.items():
                for name in offered:
                    owner = first.setdefault((kind, name), plugin.name)
                    if owner != plugin.name:
                        claim = f"{self._singular(kind)} {name!r}"
                        yield plugin, f"{claim} is already offered by the plugin {owner!r}"


@contextmanager
def _breaking(plugin: _Plugin) -> Iterator[None]:
    """Break the plugin where its own code fails; it may even call sys.exit when imported."""
    try:
        yield
    # Not BaseException: Ctrl-C while plugins load is meant for the whole program.
    except (Exception, SystemExit) as error:
        plugin.fail(explain(error))


# Loading imports every plugin; building a configuration asks for it many times.
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
        raise PluginError(f"{wanted_by}: cannot import {source!r}: {explain(error)}") from error
    return found


def _sort_key(entry_point: EntryPoint) -> tuple[bool, bool, str, str]:
    """Put the core first, then what comes with it: a stranger cannot take its names away."""
    distribution, _ = _read_distribution(entry_point)
    foreign, name = distribution != PROJECT, entry_point.name
    return foreign, name != PROJECT, name, distribution


def _read_distribution(entry_point: EntryPoint) -> tuple[str, str]:
    """Return name and version of a plugin's distribution, as far as its metadata tells."""
    if entry_point.dist is None:
        return "", ""
    # A package without a name or a version is broken, and still to be listed.
    metadata = entry_point.dist.metadata
    return metadata.get_all("Name", [""])[0], metadata.get_all("Version", [""])[0]


def _command_names(app: typer.Typer) -> set[str]:
    """Return the names of an app's commands and groups; a malformed one raises here."""
    from typer.main import get_group

    return set(get_group(app).commands)
