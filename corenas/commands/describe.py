"""What there is: ``list``, ``show`` and ``plugins``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from corenas.commands.output import Json, print_columns, print_json
from corenas.errors import UnknownName
from corenas.names import nearest
from corenas.options.structuring import structure, unstructure
from corenas.options.toml import parse_assignment, read_toml, to_toml
from corenas.plugins.hookspecs import Component, Recipe
from corenas.plugins.registry import Registry, default_registry

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="See 'corenas list recipes'.")]
"""The argument that names a recipe."""

Preset = Annotated[str, typer.Option(help="Changes to the defaults, by name.")]
"""The option ``--preset``; see `choose_preset`."""

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML with options.")
]
"""The option ``--config``; see `configure`."""

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One option; may be given more than once."),
]
"""The option ``--set``; see `configure`."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("list")(list_)
    app.command()(show)
    app.command()(plugins)


def choose_preset(recipe: Recipe, name: str) -> str:
    """Return the preset's name; by default that of the first one, or nothing.

    Raises:
        UnknownName: There is no such preset; the message offers the nearest.
    """
    if name and name not in recipe.presets:
        raise UnknownName(f"unknown preset {name!r}{nearest(name, recipe.presets)}")
    return name or next(iter(recipe.presets), "")


def configure(recipe: Recipe, *, preset: str, file: Path | None, assignments: Sequence[str]) -> Any:
    """Return a recipe's configuration: defaults < preset < file < assignments."""
    layers: list[Mapping[str, Any]] = [recipe.presets.get(preset, {})]
    if file is not None:
        layers.append(read_toml(file))
    layers += [parse_assignment(text) for text in assignments]
    return structure(recipe.config, *layers)


def apply_assignments(recipe: Recipe, begun: Any, assignments: Sequence[str]) -> Any:
    """Return the configuration that a run began with, with assignments on top of it."""
    layers = [parse_assignment(text) for text in assignments]
    return structure(recipe.config, unstructure(begun), *layers)


def list_(
    kind: Annotated[
        str, typer.Argument(metavar="[KIND]", help="Such as strategies or recipes; default: all.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List components and recipes with their plugins."""
    registry = default_registry()
    known = ["recipes", *registry.kinds]
    wanted = kind.replace("-", "_")
    if wanted and wanted not in known:
        raise UnknownName(f"unknown kind {kind!r}{nearest(wanted, known)}")
    found = {each: _describe_all(registry, each) for each in ([wanted] if wanted else known)}
    if as_json:
        print_json(found)
        return
    for each, described in found.items():
        typer.echo(f"{each.replace('_', ' ')}:{'' if described else ' none'}")
        rows = [(one["name"], one["plugin"], _summarise(one)) for one in described]
        print_columns(rows, indent="  ")


def _describe_all(registry: Registry, kind: str) -> list[dict[str, Any]]:
    offered = registry.recipes if kind == "recipes" else registry.components(kind)
    return [
        {
            "name": name,
            "plugin": registry.owner(kind, name),
            "summary": one.summary,
            **_describe_details(one),
        }
        for name, one in offered.items()
    ]


def _summarise(described: Mapping[str, Any]) -> str:
    needs, summary = described.get("needs"), described["summary"]
    return f"needs {needs}: {summary}" if needs else str(summary)


def _describe_details(offered: Component | Recipe) -> dict[str, Any]:
    if isinstance(offered, Recipe):
        return {"presets": list(offered.presets), "paper": offered.paper}
    metadata = offered.metadata
    plain = unstructure(metadata) if attrs.has(type(metadata)) else metadata
    # Said only where it is lacking: with the packages there, nothing is different.
    return {"metadata": plain, **({"needs": offered.lacks} if offered.lacks else {})}


def show(
    recipe: RecipeName,
    preset: Preset = "",
    config: ConfigFile = None,
    assignments: Assignments = None,
) -> None:
    """Print a recipe's configuration as commented TOML."""
    found = default_registry().recipe(recipe)
    chosen = choose_preset(found, preset)
    values = configure(found, preset=chosen, file=config, assignments=assignments or [])
    typer.echo(f"# {found.name}: {found.summary}")
    if found.paper:
        typer.echo(f"# {found.paper}")
    if chosen:
        typer.echo(f"# preset {chosen}; there are: {', '.join(found.presets)}")
    typer.echo(f"\n{to_toml(values)}", nl=False)


def plugins(as_json: Json = False) -> None:
    """List all plugins; exit status 1 when one is broken."""
    found = default_registry().plugins
    if as_json:
        print_json([attrs.asdict(each) for each in found])
    else:
        print_columns(
            (
                each.name,
                each.distribution,
                each.version,
                f"broken: {each.error}" if each.error else "works",
            )
            for each in found
        )
    if any(each.error for each in found):
        raise typer.Exit(1)
