"""The hooks a plugin may implement, and the descriptions of components that they return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy
from attrs import field, frozen

if TYPE_CHECKING:
    import typer

    from corenas.runs.run import Run
    from corenas.values.trial import Event

PROJECT = "corenas"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


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
        metadata: What is worth knowing without importing torch; a metric's is a `MetricInfo`.
    """

    name: str
    build: str
    config: type[Any] = NoOptions
    summary: str = ""
    metadata: Any = None


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


@hookspec
def corenas_search_spaces() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return search spaces. Built with (config); see `corenas.SearchSpace`."""


@hookspec
def corenas_operations() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return operations. Built with (config, channels): a module that keeps shape.

    One whose ``metadata`` is ``"reduction"`` gives twice the channels at half height and width.
    """


@hookspec
def corenas_strategies() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return strategies. Built with (config); see `corenas.Strategy`."""


@hookspec
def corenas_evaluators() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return evaluators. Built with (config, space, data); see `corenas.Evaluator`."""


@hookspec
def corenas_metrics() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return metrics. Built with (config); ``metadata`` is a `corenas.MetricInfo`."""


@hookspec
def corenas_objectives() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return objectives. Built with (config); see `corenas.Objective`."""


@hookspec
def corenas_rewards() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return rewards. Built with (config); see `corenas.Reward`."""


@hookspec
def corenas_executors() -> Iterable[Component]:  # type: ignore[empty-body]
    """Return executors. Built with (config, stop, *, workers, devices); see `corenas.Executor`."""


@hookspec
def corenas_recipes() -> Iterable[Recipe]:  # type: ignore[empty-body]
    """Return recipes."""


@hookspec
def corenas_commands(app: typer.Typer) -> None:
    """Add commands to the command line; called once, before it is parsed."""


@hookspec
def corenas_event(run: Run, event: Event) -> None:
    """Observe an event, after it is journaled."""
