"""How commands print: aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


def print_json(value: Any) -> None:
    """Print a JSON value, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> None:
    """Print rows of text, each column as wide as its widest cell."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(f"{indent}{'  '.join(cells)}".rstrip())
