"""How commands print: aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from corenas.names import printable

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
"""The option ``--json``."""


def print_json(value: Any) -> None:
    """Print a JSON value, indented."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    # Half of a pair, as names have that are no UTF-8, cannot be encoded; C1 codes move a cursor.
    typer.echo(re.sub("[\x7f-\x9f\ud800-\udfff]", lambda c: f"\\u{ord(c[0]):04x}", text))


def say(text: str, *, err: bool = False) -> None:
    """Print one line of text that may hold names from outside."""
    typer.echo(printable(text), err=err)


def print_columns(rows: Iterable[Sequence[str]], *, indent: str = "") -> None:
    """Print rows of text, each column as wide as its widest cell; nothing is cut."""
    table = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(f"{indent}{'  '.join(cells)}".rstrip())
