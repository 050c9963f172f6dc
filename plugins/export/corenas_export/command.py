"""The commands of the plugin; what computes is imported when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from corenas.commands.output import Json, print_json, say
from corenas_export.latency.command import add_latency

Format = Annotated[str, typer.Option("--to", help="See 'corenas list export-formats'.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of the format, such as images=float; may be given more than once.",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(export)
    add_latency(app)


def export(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    to: Format,
    out: Annotated[
        Path | None, typer.Option(help="Default: named like the model, in this folder.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option("--input", help="The only size to take, such as 320x180; default: any."),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(help="Images for the ranges of integers, or 'embedded'.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(help="Images on which the export is measured, or 'embedded'.")
    ] = None,
    most_loss: Annotated[
        float | None, typer.Option(help="PSNR in dB that integers may lose; default 0.3.")
    ] = None,
    licence: Annotated[
        str, typer.Option(help="Licence of the training images, for the file to state.")
    ] = "",
    assignments: Assignments = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: Json = False,
) -> None:
    """Write a network for a device or runtime, checked against torch before it is handed over."""
    from corenas_export.exporting import choose_format, export_network

    named = {"calibration": calibration, "validation": validation, "most_loss": most_loss}
    given = {name: value for name, value in named.items() if value is not None}
    result = export_network(
        model,
        choose_format(to, given, assignments or []),
        out=out,
        input_size=input_size,
        licence=licence,
        force=force,
        say=lambda text: say(text, err=True),
    )
    if as_json:
        print_json(result.to_json())
        return
    for name, value in result.numbers.items():
        say(f"{name}: {_shown(value)}")
    say(result.checked)
    for file in result.files:
        say(f"{file}: {file.stat().st_size:,} bytes" if file.is_file() else str(file))


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
