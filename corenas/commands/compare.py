"""``compare``: runs beside each other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corenas.commands.output import Json, print_columns, print_json, say
from corenas.errors import InputError

if TYPE_CHECKING:
    from corenas.comparing.comparison import Comparison
    from corenas.values.quantity import Better


def add_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(compare)


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of two runs or more.")
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures as well.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="The numbers of the fronts, such as psnr,params; 2 to 4.")
    ] = "",
    better: Annotated[
        str,
        typer.Option(help="Directions that no journal names, such as test_accuracy:higher."),
    ] = "",
    reference: Annotated[
        str,
        typer.Option(help="Where volumes end, such as psnr=30,params=9e4; default: the worst."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Compare runs: options, the best of each number over seeds, fronts, wins, agreement."""
    from corenas.comparing.comparison import compare as compare_runs
    from corenas.comparing.fronts import Wanted
    from corenas.comparing.page import check_page, write_page
    from corenas.comparing.reading import read_runs
    from corenas.comparing.tables import to_json

    aims = tuple(name.strip() for name in metrics.split(",")) if metrics else ()
    wanted = Wanted(aims, _parse_better(better), _parse_reference(reference))
    if html is not None:
        check_page(html)
    found = compare_runs(read_runs(folders), wanted)
    if as_json:
        print_json(to_json(found))
    else:
        _print(found)
    if html is not None:
        write_page(html, found)
        say(f"page: {html}", err=as_json)


def _print(found: Comparison) -> None:
    from corenas.comparing.tables import tables

    for number, table in enumerate(tables(found)):
        if number:
            typer.echo()
        say(f"{table.title}:")
        print_columns([table.head, *table.rows], indent="  ")
        if table.note:
            say(f"  {table.note}")
        if not number:
            for warning in found.warnings:
                say(f"note: {warning}")


def _parse_better(text: str) -> dict[str, Better]:
    found: dict[str, Better] = {}
    for each in filter(None, text.split(",")):
        name, _, word = each.strip().rpartition(":")
        if word == "higher" and name:
            found[name] = "higher"
        elif word == "lower" and name:
            found[name] = "lower"
        else:
            raise InputError(f"--better {each}: expected a number and a direction, NAME:higher")
    return found


def _parse_reference(text: str) -> dict[str, float]:
    found = {}
    for each in filter(None, text.split(",")):
        name, _, value = each.strip().rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not name or not math.isfinite(found[name]):
            raise InputError(f"--reference {each}: expected NAME=NUMBER")
    return found
