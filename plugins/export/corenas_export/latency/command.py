"""The commands ``corenas latency``; what computes is imported when they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from corenas.commands.output import Json, print_json, say

_DEFAULT = "of"
"""The command that is meant where none is named."""

Engine = Annotated[str, typer.Option(help="See 'corenas list latency-engines'.")]
Threads = Annotated[int, typer.Option(min=1, max=1024, help="Threads that compute.")]
InputSize = Annotated[str, typer.Option("--input", help="Low-resolution size.")]


class _OfByDefault(TyperGroup):
    """A group whose name may be followed by a network at once."""

    default = _DEFAULT

    # Any: typer brings a click of its own, whose classes are not public.
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def add_latency(app: typer.Typer) -> None:
    """Add ``latency MODEL``, which is ``latency of MODEL``, and ``latency table SPACE``."""
    group = typer.Typer(cls=_OfByDefault, no_args_is_help=True)
    group.command(_DEFAULT)(latency)
    group.command("table")(table)
    app.add_typer(
        group,
        name="latency",
        help="Time a network ('corenas latency MODEL'; 'latency of --help' has its options), or "
        "all parts of a space's networks.",
    )


def latency(
    model: Annotated[
        str, typer.Argument(help="Model file, or published architecture such as tpsr/paper.")
    ],
    engine: Engine = "torch",
    threads: Threads = 1,
    input_size: InputSize = "320x180",
    scale: Annotated[
        int | None, typer.Option(min=1, help="Of an architecture; default: its own.")
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the engine, such as command='./measure.sh {file}'.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time one forward pass: median and quartiles, with all that they depend on."""
    from corenas_export.exporting import choose_with
    from corenas_export.reading import network_source
    from corenas_sr.latency.measuring import measure_latency
    from corenas_sr.models.costs import parse_size

    width, height = size = parse_size("--input", input_size)
    runs = choose_with("latency_engines", engine, {}, assignments or []).build()
    source = network_source(model, size=size, scale=scale, say=_say)
    found = measure_latency(runs, source.module, (1, 3, height, width), threads=threads)
    output = [side * source.scale for side in size]
    if as_json:
        print_json({"model": model, **found.to_json(), "input": list(size), "output": output})
        return
    low, high = found.quartiles
    say(
        f"{1e3 * found.median:.3f} ms (quartiles {1e3 * low:.3f} and {1e3 * high:.3f}; "
        f"{len(found.seconds)} runs)"
    )
    say(f"input {width}x{height}, output {output[0]}x{output[1]}")
    plural = "s" if found.threads > 1 else ""
    say(f"{found.engine}, {found.threads} thread{plural}, {found.processor}")


def table(
    space: Annotated[str, typer.Argument(help="See 'corenas list search-spaces'.")],
    out: Annotated[Path, typer.Option(help="The file; what it has already is not timed again.")],
    engine: Engine = "torch",
    threads: Threads = 1,
    input_size: InputSize = "320x180",
    networks: Annotated[
        int, typer.Option(min=0, max=1000, help="Random networks that sums are compared with.")
    ] = 30,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="An option of the space or the engine, such as space.widths=[16], or "
            "engine.command='./measure.sh {file}'.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Time every part of a space's networks once, for searches that add them up."""
    from corenas_export.exporting import choose_parts
    from corenas_export.latency.building import build_table, check_out, describe
    from corenas_sr.models.costs import parse_size

    size = parse_size("--input", input_size)
    check_out(out)
    kinds = {"space": ("search_spaces", space), "engine": ("latency_engines", engine)}
    chosen = choose_parts(kinds, assignments or [])
    found = build_table(
        chosen["space"].build(),
        chosen["engine"].build(),
        size=size,
        threads=threads,
        out=out,
        members=networks,
        say=_say,
    )
    if as_json:
        print_json({"file": str(out), "parts": len(found.seconds), **found.agreement})
        return
    say(f"{out}: {len(found.seconds)} parts, {found.protocol}")
    say(describe(found))


def _say(text: str) -> None:
    say(text, err=True)
