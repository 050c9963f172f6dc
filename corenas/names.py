"""Names as messages show them: the nearest valid one, and text from outside made safe to print."""

import re
from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, valid: Iterable[str]) -> str | None:
    """Return the name that was probably meant, or None where none is alike."""
    return next(iter(get_close_matches(name, list(valid), n=1)), None)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?``, or else a list of what is allowed."""
    names = list(valid)
    close = closest(name, names)
    if close is not None:
        return f"; did you mean {close!r}?"
    return f"; allowed: {', '.join(sorted(names)) or 'nothing'}"


def is_kebab_case(name: str) -> bool:
    """Return whether a name is of lower-case words and numbers with hyphens: ``gated-conv``."""
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) is not None


def printable(text: str) -> str:
    """Return text on one line without control characters: it may come from anywhere."""
    return "".join(c if c.isprintable() else " " for c in text)


def printable_lines(text: str) -> str:
    """Return text of several lines, each `printable`."""
    return "\n".join(map(printable, text.split("\n")))
