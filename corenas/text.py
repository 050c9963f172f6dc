"""Text that came from outside: names of files, messages of libraries."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text on one line without control characters: it may come from anywhere."""
    return "".join(c if c.isprintable() else " " for c in text)


def printable_lines(text: str) -> str:
    """Return text of several lines, each `printable`."""
    return "\n".join(map(printable, text.split("\n")))
