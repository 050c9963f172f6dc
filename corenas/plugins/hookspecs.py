"""The hooks a plugin may implement, and the descriptions that they return.

A hook for components belongs to their `Kind`, and whoever declares the kind makes it; `specify`
does so. The hooks below exist whatever kinds there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy
from attrs import field, frozen

from corenas.plugins.needs import Needs

if TYPE_CHECKING:
    import typer

    from corenas.plugins.checks import Check
    from corenas.report.record import RunRecord
    from corenas.report.sections import Section
    from corenas.runs.run import Run
    from corenas.values.trial import Event

PROJECT = "corenas"
PREFIX = f"{PROJECT}_"
"""What the name of every hook begins with."""

TRACK = "track"
"""The table of trackers' options on the command line; no recipe has an option of this name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook that has its name."""


@frozen
class NoOptions:
    """The configuration of a component that has nothing to configure."""


@frozen
class Component:
    """Something that a configuration can name, described without importing what builds it.

    Args:
        name: kebab-case, unique in its kind.
        build: ``package.module:attribute``; called with the configuration first, then with what
            components of its kind are given (see ``docs/plugins.md``).
        config: The attrs class of its options.
        summary: One line for lists.
        metadata: What is worth knowing without importing torch; its kind may say of which class.
        needs: Packages without which it cannot be built; it is listed all the same.
    """

    name: str
    build: str
    config: type[Any] = NoOptions
    summary: str = ""
    metadata: Any = None
    needs: Needs | None = None

    @property
    def lacks(self) -> str:
        """What must be installed before it can be built, such as ``corenas[optuna]``."""
        return self.needs.lacking if self.needs else ""


@frozen
class Kind:
    """A kind of component, which the plugin that declares it owns and any plugin adds to.

    Args:
        name: In the plural and snake_case, as in options: ``data_sets``. The hook that adds to the
            kind is called after it: ``corenas_data_sets``.
        singular: What one of them is called in messages: ``data set``.
        built_with: The arguments with which one is built: ``(config)``, ``(config, *, seed)``.
        metadata: The class of every component's metadata; None where it can be anything.
    """

    name: str
    singular: str
    built_with: str = "(config)"
    metadata: type[Any] | None = None

    @property
    def hook(self) -> str:
        """The hook that adds components of this kind."""
        return PREFIX + self.name


@frozen
class Recipe:
    """A whole job by name: a function over a run, its options and its presets.

    Args:
        name: What ``corenas run`` takes.
        run: ``package.module:function``, called with the run and the configuration.
        config: The attrs class of its options; its defaults are the default preset's base.
        summary: One line for lists.
        presets: Changes to the defaults by name, as nested mappings. The first is the default.
        paper: Where the method was published.
        check: ``package.module:function``, called with (config, *, devices, workers) for
            ``--dry-run``; it returns a sequence of `corenas.StagePlan` and raises what is wrong.
    """

    name: str
    run: str
    config: type[Any]
    summary: str = ""
    presets: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    paper: str = ""
    check: str = ""


def specify(kind: Kind) -> Callable[[], Iterable[Component]]:
    """Return the specification of the hook that adds components of a kind."""

    def offer() -> Iterable[Component]:  # type: ignore[empty-body]
        """Return components, which are built when a configuration names them."""

    offer.__name__ = offer.__qualname__ = kind.hook
    return hookspec(offer)


@hookspec
def corenas_kinds() -> Iterable[Kind]:  # type: ignore[empty-body]
    """Return the kinds of components that the plugin owns, each with a hook of its own.

    All plugins are asked for their kinds before any is asked for components.
    """


@hookspec
def corenas_recipes() -> Iterable[Recipe]:  # type: ignore[empty-body]
    """Return recipes."""


@hookspec
def corenas_commands(app: typer.Typer) -> None:
    """Add commands to the command line; called once, before it is parsed."""


@hookspec
def corenas_event(run: Run, event: Event) -> None:
    """Observe an event, after it is journaled."""


@hookspec
def corenas_report_sections(record: RunRecord) -> Iterable[Section]:  # type: ignore[empty-body]
    """Return sections for a run's report; none where the run left nothing to show."""


@hookspec
def corenas_checks() -> Iterable[Check]:  # type: ignore[empty-body]
    """Return what ``corenas doctor`` has to say of what the plugin needs of this machine."""
