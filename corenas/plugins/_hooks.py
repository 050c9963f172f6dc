"""The hooks of one plugin, apart from those of all others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from types import ModuleType

import pluggy

from corenas.errors import PluginError
from corenas.names import closest, nearest
from corenas.plugins import hookspecs
from corenas.plugins.hookspecs import PREFIX, PROJECT, Kind, specify

_FIXED = frozenset(name for name in vars(hookspecs) if name.startswith(PREFIX))
"""The hooks that exist whatever kinds there are."""


class PluginHooks:
    """A plugin's functions, called through pluggy.

    A manager calls a hook of all its plugins at once, and an error of one ends the call. Each
    plugin therefore has a manager of its own: it fails alone, and its name is known.

    Raises:
        PluginError: A hook that always exists has arguments that nobody gives.
    """

    def __init__(self, name: str, module: object) -> None:
        self._module = module
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        try:
            self._manager.register(module, name)
        except pluggy.PluginValidationError as error:
            raise PluginError(_put_on_one_line(error)) from error

    @property
    def call(self) -> pluggy.HookRelay:
        """The hooks by name, to be called."""
        return self._manager.hook

    def implements(self, hook: str) -> bool:
        """Return whether the plugin has a function for a hook."""
        found = hasattr(self._module, hook)
        return found and self._manager.parse_hookimpl_opts(self._module, hook) is not None

    def add_kinds(self, kinds: Iterable[Kind], broken: Mapping[str, str]) -> None:
        """Make the hooks of all kinds known, and check that all of the plugin's are among them.

        Args:
            kinds: Those of all plugins, which are known only after each was asked for its own.
            broken: The kinds whose owner is broken, with its name.

        Raises:
            PluginError: A hook is unknown, is not marked, or has arguments that nobody gives.
        """
        specs = {kind.hook: specify(kind) for kind in kinds}
        self._check_names(_FIXED | specs.keys(), broken)
        module = ModuleType("specs")  # pluggy reads specifications from a module or a class
        vars(module).update(specs)
        try:
            self._manager.add_hookspecs(module)
        except pluggy.PluginValidationError as error:
            raise PluginError(_put_on_one_line(error)) from error

    def _check_names(self, known: Set[str], broken: Mapping[str, str]) -> None:
        found = dir(self._module)
        strays = [name for name in found if self.implements(name) and name not in known]
        if strays:
            # A misspelt corenas_kinds explains why the kind of another hook is not declared.
            worst = min(strays, key=lambda stray: _find_close_hook(stray, known) is None)
            raise PluginError(_explain_stray(worst, known, broken))
        for name in found:
            if name in known and not self.implements(name):
                raise PluginError(f"{name}: it is not marked with corenas.hookimpl")


def explain_lost_kind(hook: str, kind: str, owner: str) -> str:
    """Return why a plugin has a hook for a kind that is gone."""
    return f"{hook}: the kind {kind!r} belongs to the plugin {owner!r}, which is broken"


def _explain_stray(stray: str, known: Set[str], broken: Mapping[str, str]) -> str:
    """Return why no one calls a function that is marked as a hook."""
    kind = stray.removeprefix(PREFIX)
    if stray != kind and kind in broken:
        return explain_lost_kind(stray, kind, broken[kind])
    if close := _find_close_hook(stray, known):
        return f"unknown hook {stray!r}; did you mean {close!r}?"
    if stray == kind:
        return f"unknown hook {stray!r}{nearest(stray, known)}"
    kinds = [hook.removeprefix(PREFIX) for hook in known - _FIXED]
    return f"{stray}: no plugin declares the kind {kind!r}{nearest(kind, kinds)}"


def _find_close_hook(stray: str, known: Set[str]) -> str | None:
    """Return the hook that was meant; without the prefix, which makes all of them alike."""
    names = [hook.removeprefix(PREFIX) for hook in known]
    close = closest(stray.removeprefix(PREFIX), names)
    return close and PREFIX + close


def _put_on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
