"""The command line: the core's commands, those of plugins, and one line for every error."""

from __future__ import annotations

import errno
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.main import get_command

from corenas.commands import compare, describe, doctor, init, report, results, runs
from corenas.commands.output import lasting_streams
from corenas.errors import CorenasError, Stopped
from corenas.names import printable_lines
from corenas.plugins.registry import Registry, default_registry
from corenas.search.executors.attempt import is_out_of_memory

_TRACEBACK = "--traceback"
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Those after the program's name; by default the process's own.

    Returns:
        The exit status: 0 done, 1 it failed, 2 the input was wrong, 130 interrupted.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    with lasting_streams():
        return _run(given)


def _run(given: Sequence[str]) -> int:
    try:
        # Plugins and torch warn while they are imported, so this has to be around all of it.
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            command = get_command(build_app(default_registry()))
            try:
                command.main([each for each in given if each != _TRACEBACK], prog_name="corenas")
            finally:
                sys.stdout.flush()  # what cannot be written is said here, and not after the end
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
    typer.echo(printable_lines(f"warning: {message}"), err=True)


def _report(error: Exception) -> int:
    """Print what happened on stderr and return the exit status."""
    if isinstance(error, CorenasError):
        prefix = "" if isinstance(error, Stopped) else "error: "
        typer.echo(printable_lines(f"{prefix}{error}"), err=True)
        return error.exit_status
    reason = _find_known_reason(error)
    if reason:
        typer.echo(printable_lines(f"error: {reason}"), err=True)
        return 1
    text = f"error: {type(error).__name__}: {error}"
    text = printable_lines(text)
    typer.echo(f"{text} (unexpected; {_TRACEBACK} shows where)", err=True)
    return 1


def _find_known_reason(error: Exception) -> str:
    """Return what is wrong with the machine or the input, where the error is no defect of ours."""
    if isinstance(error, ImportError | OSError | MemoryError) and _arose_in_torch(error):
        return (
            f"torch cannot be loaded: {str(error) or type(error).__name__}; 'corenas doctor' "
            "checks it, and a limit on memory ('ulimit -v') may be too small for it"
        )
    if is_out_of_memory(error):
        return "out of memory"
    if isinstance(error, OSError) and error.errno in _NOT_WRITTEN:
        return f"{error.filename or 'the output'}: cannot be written: {error.strerror}"
    # It says of itself neither whether a file was read nor whether it was written.
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return f"{error.filename or 'a file'}: {error.strerror}"
    if isinstance(error, RecursionError):
        return "the input is nested too deeply"
    return ""


def _arose_in_torch(error: Exception) -> bool:
    """Return whether an error came up while torch, or a library that it loads, was imported."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(
        frame.f_globals.get("__name__", "").split(".")[0] == "torch"
        and frame.f_code.co_name == "<module>"
        for frame in frames
    )


def build_app(registry: Registry) -> typer.Typer:
    """Return the command line with the commands of every plugin that works."""
    app = typer.Typer(
        help="Neural architecture search with plugins, for tiny super-resolution networks.",
        no_args_is_help=True,
        # Completion would add two options of its own to the help.
        add_completion=False,
        rich_markup_mode=None,
        # Errors are ours to print, on one line.
        pretty_exceptions_enable=False,
    )
    app.callback()(_declare_global_options)
    for module in (runs, results, compare, report, describe, doctor, init):
        module.add_commands(app)
    registry.add_commands(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"corenas {version('corenas')}")
        raise typer.Exit


def _declare_global_options(
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
