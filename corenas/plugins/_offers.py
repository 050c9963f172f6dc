"""What a plugin's hooks return: asked once, and checked before anybody relies on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import attrs
import pluggy

from corenas.errors import PluginError
from corenas.names import is_kebab_case
from corenas.plugins._faults import explain
from corenas.plugins.hookspecs import TRACK, Component, Kind, Recipe
from corenas.plugins.needs import Needs

RECIPES = "recipes"
"""Where recipes stand among a plugin's offers; they are not of a kind, as nobody can own theirs."""

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SOURCE = re.compile(r"[\w.]+:[\w.]+")
_ARGUMENTS = re.compile(r"\(config(, .+)?\)")

# A kind of one of these names would have a hook that exists and means something else.
_RESERVED = (RECIPES, "checks", "commands", "event", "kinds", "report_sections")

T = TypeVar("T")


def declared_kinds(hooks: pluggy.HookRelay) -> dict[str, Kind]:
    """Return the kinds that a plugin declares, by name.

    Raises:
        PluginError: The hook fails, or returns what is no kind.
    """
    return _ask_and_check(hooks.corenas_kinds, "declared", _kind_problem)


def offered_components(hooks: pluggy.HookRelay, kind: Kind) -> dict[str, Component]:
    """Return the components of a kind that a plugin offers, by name.

    Raises:
        PluginError: The hook fails, or returns what is no component of this kind.
    """
    return _ask_and_check(
        getattr(hooks, kind.hook), "offered", lambda v: _component_problem(v, kind)
    )


def offered_recipes(hooks: pluggy.HookRelay) -> dict[str, Recipe]:
    """Return the recipes that a plugin offers, by name.

    Raises:
        PluginError: The hook fails, or returns what is no recipe.
    """
    return _ask_and_check(hooks.corenas_recipes, "offered", _recipe_problem)


def _ask_and_check(
    hook: pluggy.HookCaller, done: str, problem_of: Callable[[Any], str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for value in _ask(hook):
        if problem := problem_of(value):
            raise PluginError(f"{hook.name}: {problem}")
        if value.name in found:
            raise PluginError(f"{hook.name}: {value.name!r} is {done} twice")
        found[value.name] = value
    return found


def _ask(hook: pluggy.HookCaller) -> list[Any]:
    try:
        # pluggy leaves out what is None, and a generator runs only when it is read.
        returned: list[Iterable[Any]] = [list(values) for values in hook()]
    except Exception as error:
        raise PluginError(f"{hook.name}: {explain(error)}") from error
    # A forgotten ``return``; an empty list says that there is nothing.
    if hook.get_hookimpls() and not returned:
        raise PluginError(f"{hook.name}: it returned None")
    return [value for values in returned for value in values]


def _kind_problem(value: Any) -> str:
    """Return what is wrong with a kind, or an empty string."""
    if not isinstance(value, Kind):
        return f"expected Kind objects, got {value!r}"
    if not isinstance(value.name, str) or not _SNAKE_CASE.fullmatch(value.name):
        return f"the name {value.name!r} is not snake_case"
    if value.name in _RESERVED:
        return f"no kind can be called {value.name!r}: {value.hook} is another hook"
    problem = _singular_problem(value.singular) or _arguments_problem(value.built_with)
    if value.metadata is not None and not isinstance(value.metadata, type):
        problem = problem or f"metadata must be a class, got {value.metadata!r}"
    return problem and f"{value.name!r}: {problem}"


def _singular_problem(singular: Any) -> str:
    named = isinstance(singular, str) and singular.strip()
    return "" if named else f"singular must say what one of them is called, got {singular!r}"


def _arguments_problem(built_with: Any) -> str:
    if isinstance(built_with, str) and _ARGUMENTS.fullmatch(built_with):
        return ""
    return f"built_with must be like '(config, space)', got {built_with!r}"


def _component_problem(value: Any, kind: Kind) -> str:
    """Return what is wrong with a component, or an empty string."""
    if not isinstance(value, Component):
        return f"expected Component objects, got {value!r}"
    problem = _name_problem(value.name)
    if problem:
        return problem
    problem = _source_problem(value.build) or _config_problem(value.config)
    if value.needs is not None and not isinstance(value.needs, Needs):
        problem = problem or f"needs must be a Needs, got {value.needs!r}"
    if kind.metadata is not None and not isinstance(value.metadata, kind.metadata):
        problem = problem or f"metadata must be a {kind.metadata.__name__}"
    return problem and f"{value.name!r}: {problem}"


def _recipe_problem(value: Any) -> str:
    """Return what is wrong with a recipe, or an empty string."""
    if not isinstance(value, Recipe):
        return f"expected Recipe objects, got {value!r}"
    problem = _name_problem(value.name)
    if problem:
        return problem
    sources = filter(None, (value.run, value.check))
    problem = _source_problem(*sources) or _config_problem(value.config)
    if not problem and TRACK in {each.name for each in attrs.fields(value.config)}:
        problem = f"no option of a recipe can be called {TRACK!r}"
    return problem and f"{value.name!r}: {problem}"


def _name_problem(name: Any) -> str:
    if isinstance(name, str) and is_kebab_case(name):
        return ""
    return f"the name {name!r} is not kebab-case"


def _source_problem(*sources: str) -> str:
    wrong = [source for source in sources if not _SOURCE.fullmatch(str(source))]
    return f"expected 'package.module:attribute', got {wrong[0]!r}" if wrong else ""


def _config_problem(config: Any) -> str:
    if not isinstance(config, type) or not attrs.has(config):
        return f"config must be an attrs class, got {config!r}"
    for attribute in attrs.fields(config):
        # `corenas show` prints every option, and a preset names only a few of them.
        if attribute.default is attrs.NOTHING:
            return f"the option {attribute.name!r} has no default"
        if attribute.name == "use":
            return "no option can be called 'use'"
    return ""
