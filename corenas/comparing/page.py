"""A comparison as one HTML page that needs nothing beside it: no script, no network."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from pathlib import Path

from corenas.comparing.comparison import Comparison
from corenas.comparing.tables import Table, tables
from corenas.drawing.figures import write_whole
from corenas.drawing.plots import FrontLine, fronts_picture
from corenas.errors import InputError
from corenas.names import printable

MARK = "<!-- made by corenas compare -->"
"""How a page begins that may be written over."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #8886; }
img { max-width: 100%; height: auto; background: #fff; }
p.note { opacity: .8; }
@media print { body { margin: 0; max-width: none; } }
"""


def write_page(path: Path, comparison: Comparison) -> None:
    """Write the page of a comparison.

    Raises:
        CorenasError: It cannot be written.
        InputError: The file is there and is no such page.
    """
    check_page(path)
    write_whole(path, make_page(comparison).encode("utf-8", "replace"))


def check_page(path: Path) -> None:
    """Refuse to write over what is no page of a comparison.

    Raises:
        InputError: The file is there and is no such page.
    """
    if path.is_dir():
        raise InputError(f"--html {path}: is a folder")
    try:
        with path.open("rb") as file:
            ours = MARK.encode() in file.read(200)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"--html {path}: cannot be read: {error.strerror or error}") from error
    if not ours:
        raise InputError(f"--html {path}: is there already, and no page of 'corenas compare'")


def make_page(comparison: Comparison) -> str:
    """Return the page."""
    return "\n".join(_write(comparison)) + "\n"


def _write(comparison: Comparison) -> Iterator[str]:
    title = f"{len(comparison.runs)} runs compared"
    yield f"<!DOCTYPE html>\n{MARK}"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Even where an escape were forgotten, nothing would be fetched and no script would run.
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
    )
    yield f"<title>{title}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{title}</h1>"
    shown = list(tables(comparison))
    yield from _write_table(shown[0])
    if comparison.warnings:
        yield "<h2>before you compare</h2><ul>"
        yield from (f"<li>{_text(each)}</li>" for each in comparison.warnings)
        yield "</ul>"
    for table in shown[1:]:
        yield from _write_table(table)
    yield from _write_pictures(comparison)
    yield "</body></html>"


def _write_table(table: Table) -> Iterator[str]:
    yield f'<h2>{_text(table.title)}</h2><div class="wide"><table><thead><tr>'
    yield "".join(f'<th scope="col">{_text(cell)}</th>' for cell in table.head)
    yield "</tr></thead><tbody>"
    for row in table.rows:
        yield f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody></table></div>"
    if table.note:
        yield f'<p class="note">{_text(table.note)}</p>'


def _write_pictures(comparison: Comparison) -> Iterator[str]:
    for fronts in comparison.fronts:
        lines = [
            FrontLine(f"{group.letter}, seed {run.seed}", number, fronts.trials.get(run.number, ()))
            for number, group in enumerate(comparison.groups)
            for run in group.runs
        ]
        png = base64.b64encode(fronts_picture(lines, fronts.aims)).decode()
        names = ", ".join(aim.name for aim in fronts.aims)
        yield f"<h2>{_text(fronts.stage)}: fronts</h2>"
        yield (
            f'<img src="data:image/png;base64,{png}" '
            f'alt="The front of each run in {_text(names)}; the tables above have the numbers.">'
        )


def _text(text: str) -> str:
    return escape(printable(text))
