"""The command line: the core's commands, those of plugins, and one line for every error."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.main import get_command

from corenas.commands import describe, doctor, results, runs
from corenas.errors import CorenasError, Stopped
from corenas.plugins.registry import Registry, default_registry

_TRACEBACK = "--traceback"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Those after the program's name; by default the process's own.

    Returns:
        The exit status: 0 done, 1 it failed, 2 the input was wrong, 130 interrupted.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            command = get_command(build_app(default_registry()))
            command.main([each for each in given if each != _TRACEBACK], prog_name="corenas")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except KeyboardInterrupt:
        return Stopped.exit_status
    except Exception as error:
        if _TRACEBACK in given:
            traceback.print_exc()
        return _report(error)
    return 0


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning for people; the line of code that it came from says them nothing."""
    typer.echo(f"warning: {message}", err=True)


def _report(error: Exception) -> int:
    """Print what happened on stderr and return the exit status."""
    if isinstance(error, CorenasError):
        prefix = "" if isinstance(error, Stopped) else "error: "
        typer.echo(f"{prefix}{error}", err=True)
        return error.exit_status
    text = f"error: {type(error).__name__}: {error}"
    typer.echo(f"{text} (unexpected; {_TRACEBACK} shows where)", err=True)
    return 1


def build_app(registry: Registry) -> typer.Typer:
    """Return the command line with the commands of every plugin that works."""
    app = typer.Typer(
        help="Neural architecture search with plugins, for tiny super-resolution networks.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for module in (runs, results, describe, doctor):
        module.add_commands(app)
    registry.add_commands(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"corenas {version('corenas')}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and leave."),
    ] = False,
    # Taken out by main(), so that it may stand anywhere; here for the help.
    show_traceback: Annotated[
        bool, typer.Option(_TRACEBACK, help="Show where an error arose.")
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
