"""``run`` and ``resume``: begin a run, or continue one."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from corenas.commands.describe import (
    Assignments,
    ConfigFile,
    Preset,
    RecipeName,
    apply_assignments,
    choose_preset,
    configure,
)
from corenas.commands.output import print_columns
from corenas.errors import InputError
from corenas.options.structuring import places
from corenas.plugins.registry import default_registry
from corenas.tracking.choosing import choose_trackers, split_assignments

if TYPE_CHECKING:
    from corenas.options.structuring import Chosen
    from corenas.plugins.hookspecs import Recipe
    from corenas.runs.identity import RunOptions
    from corenas.values.plan import StagePlan

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")]
"""The argument that names a run's folder."""

Device = Annotated[
    str, typer.Option(help="torch devices, such as cuda:0,cuda:1; auto takes every GPU.")
]
"""The option ``--device``."""

Workers = Annotated[
    int | None, typer.Option(min=1, help="Candidates at once; default: one per core or GPU.")
]
"""The option ``--workers``."""

MaxTime = Annotated[
    str, typer.Option(metavar="TIME", help="Stop and hand over after 90s, 30m, 2h or 1d12h.")
]
"""The option ``--max-time``; see `parse_duration`."""

Track = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="Show it elsewhere too; see 'list trackers'."),
]
"""The option ``--track``; options of trackers are ``--set track.NAME.KEY=VALUE``."""

Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Default: a new folder below runs/.")]
"""The option ``--out``."""

Seed = Annotated[
    int, typer.Option(min=0, max=2**63 - 1, help="What all random numbers derive from.")
]
"""The option ``--seed``."""

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and estimate; train nothing.")
]
"""The option ``--dry-run``."""

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in _UNITS))


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(run)
    app.command()(resume)


def parse_duration(text: str) -> float | None:
    """Return ``1d12h``, ``30m`` or ``90s`` in seconds; an empty text is None, without a limit.

    Raises:
        InputError: It is no such text, or no time at all.
    """
    if not text:
        return None
    match = _DURATION.fullmatch(text)
    numbers = match.groups(default="0") if match else ()
    # What does not match sums up to zero, as ``0s`` does: both are no time.
    seconds = sum(float(n) * size for n, size in zip(numbers, _UNITS.values(), strict=False))
    if not seconds:
        raise InputError(f"--max-time {text}: expected a time such as 90s, 30m, 2h or 1d12h")
    return seconds


def run(
    recipe: RecipeName,
    preset: Preset = "",
    config: ConfigFile = None,
    assignments: Assignments = None,
    out: Out = None,
    seed: Seed = 0,
    device: Device = "auto",
    workers: Workers = None,
    max_time: MaxTime = "",
    track: Track = None,
    dry_run: DryRun = False,
) -> None:
    """Carry out a recipe, or continue it in --out.

    A run that was begun in that folder with the same configuration goes on where it was.
    """
    from corenas.runs.identity import RunOptions

    found = default_registry().recipe(recipe)
    chosen = choose_preset(found, preset)
    for_trackers, others = split_assignments(assignments or [])
    trackers = choose_trackers(track or [], for_trackers)
    values = configure(found, preset=chosen, file=config, assignments=others)
    options = RunOptions(
        out, chosen, seed, device, workers, parse_duration(max_time), ("corenas", *sys.argv[1:])
    )
    if dry_run:
        _dry_run(found, values, options, trackers)
    else:
        _launch(found, values, options, trackers)


def resume(
    folder: Folder,
    device: Annotated[
        str | None, typer.Option(help="torch devices; default: those that the run began with.")
    ] = None,
    workers: Workers = None,
    max_time: MaxTime = "",
    track: Track = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Where data lie now, or of a tracker."),
    ] = None,
) -> None:
    """Continue an unfinished run."""
    from corenas.runs.identity import move, saved_run

    recipe, begun, options = saved_run(folder, default_registry())
    for_trackers, others = split_assignments(assignments or [])
    trackers = choose_trackers(track or [], for_trackers)
    config = apply_assignments(recipe, begun, others)
    options = attrs.evolve(
        move(options, begun, config, tuple(places(config))),
        device=device or options.device,
        workers=workers or options.workers,
        max_time=parse_duration(max_time),
    )
    _launch(recipe, config, options, trackers)


def _launch(recipe: Recipe, config: Any, options: RunOptions, trackers: Sequence[Chosen]) -> None:
    from rich.console import Console

    from corenas.runs.launch import launch
    from corenas.show.reporter import reporter_for

    launched = launch(
        recipe,
        config,
        registry=default_registry(),
        options=options,
        reporter=reporter_for(Console()),
        trackers=trackers,
    )
    folder = launched.folder
    if launched.stopped:
        typer.echo(f"stopped ({launched.stopped}); continue with 'corenas resume {folder}'")
    else:
        typer.echo(f"finished: {folder}")


def _dry_run(recipe: Recipe, config: Any, options: RunOptions, trackers: Sequence[Chosen]) -> None:
    from corenas.runs.launch import check
    from corenas.tracking.session import build_trackers

    build_trackers(trackers)
    for plugin in default_registry().plugins:
        if plugin.error:
            typer.echo(f"warning: the plugin {plugin.name} is broken: {plugin.error}", err=True)
    plans = check(recipe, config, options)
    if plans:
        print_columns(_plan_rows(plans))
    typer.echo("nothing was trained; the configuration is valid")


def _plan_rows(plans: Sequence[StagePlan]) -> list[tuple[str, ...]]:
    head = ("stage", "steps", "s/step", "workers", "memory each", "in all", "hours", "")
    rows = [
        (
            plan.stage,
            str(plan.steps),
            f"{plan.seconds_per_step:.3g}",
            str(plan.workers),
            _format_memory(plan.memory),
            _format_memory(plan.memory * plan.workers),
            f"{plan.hours:.2f}",
            plan.note,
        )
        for plan in plans
    ]
    total = sum(plan.hours for plan in plans)
    return [head, *rows, ("together", "", "", "", "", "", f"{total:.2f}", "")]


def _format_memory(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size else ""
