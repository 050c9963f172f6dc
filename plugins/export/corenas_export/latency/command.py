"""The command ``corenas latency``; what computes is imported when it is called."""

from __future__ import annotations

from typing import Annotated

import typer

from corenas.commands.output import Json, print_json, say

Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of the engine, such as command='./measure.sh {file}'.",
    ),
]


def latency(
    model: Annotated[
        str, typer.Argument(help="Model file, or published architecture such as tpsr/paper.")
    ],
    engine: Annotated[str, typer.Option(help="See 'corenas list latency-engines'.")] = "torch",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads that compute.")] = 1,
    input_size: Annotated[str, typer.Option("--input", help="Low-resolution size.")] = "320x180",
    scale: Annotated[
        int | None, typer.Option(min=1, help="Of an architecture; default: its own.")
    ] = None,
    assignments: Assignments = None,
    as_json: Json = False,
) -> None:
    """Time one forward pass: median and quartiles, with all that they depend on."""
    from corenas_export.exporting import choose_with
    from corenas_export.latency.measuring import measure_latency
    from corenas_export.reading import network_source
    from corenas_sr.models.costs import parse_size

    size = parse_size("--input", input_size)
    runs = choose_with("latency_engines", engine, {}, assignments or []).build()
    source = network_source(model, size=size, scale=scale, say=lambda text: say(text, err=True))
    found = measure_latency(runs, source, threads=threads)
    if as_json:
        print_json({"model": model, **found.to_json()})
        return
    low, high = found.quartiles
    say(
        f"{1e3 * found.median:.3f} ms (quartiles {1e3 * low:.3f} and {1e3 * high:.3f}; "
        f"{len(found.seconds)} runs)"
    )
    width, height = found.input
    say(f"input {width}x{height}, output {width * found.scale}x{height * found.scale}")
    plural = "s" if found.threads > 1 else ""
    say(f"{found.engine}, {found.threads} thread{plural}, {found.processor}")
