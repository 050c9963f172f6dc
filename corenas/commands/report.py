"""``report`` and ``watch``: a run as one page, in a file or served while the run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from corenas.commands.output import say
from corenas.commands.runs import Folder
from corenas.plugins.registry import default_registry

PORT = 8377
"""Where `watch` serves by default."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(report)
    app.command()(watch)


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Default: report.html in DIR.")
    ] = None,
) -> None:
    """Write a run's report, one HTML file, also while the run goes on."""
    from corenas.report.page import write_report
    from corenas.runs.launch import failure_of, state_of

    path = write_report(
        folder,
        registry=default_registry(),
        state=state_of(folder),
        out=out,
        failure=failure_of(folder),
    )
    say(f"report: {path}")


def watch(
    folder: Folder,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On this machine alone; 0 takes a free one.")
    ] = PORT,
) -> None:
    """Serve a run's report on this machine; the page renews itself as the run goes on."""
    from corenas.commands._serving import serve

    serve(folder, port=port, registry=default_registry())
