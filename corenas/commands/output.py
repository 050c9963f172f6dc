"""How commands print: aligned columns for people, JSON for programs, and streams that last.

A reader may leave, and a disk may fill, while a command works.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Annotated, Any, TextIO

import typer

from corenas.errors import CorenasError
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


_NOBODY_READS = (errno.EPIPE, errno.EIO)
"""A pipe whose reader has left; a terminal that was closed."""


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Let the work go on when nobody reads what it prints, as with ``| head -1``."""
    out, err = _LastingStream(sys.stdout, "output"), _LastingStream(sys.stderr, "error output")
    with redirect_stdout(out), redirect_stderr(err):
        yield


class _LastingStream:
    """A stream that outlives its reader: once nobody reads, it discards what is written."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            CorenasError: The disk is full, say.
        """
        if text == "":
            return 0  # others try out with it what kind of stream this is, and hide errors
        with self._surviving():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what was kept back.

        Raises:
            CorenasError: The disk is full, say.
        """
        with self._surviving():
            self._stream.flush()

    @contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._discard_the_rest()
            if error.errno not in _NOBODY_READS:
                reason = error.strerror or error
                raise CorenasError(f"the {self._name} cannot be written: {reason}") from error

    def _discard_the_rest(self) -> None:
        """Let everything from now on vanish, also what Python writes when it ends."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # On the level of the system: Python flushes the original stream once more when it ends, and
        # that would fail again.
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
