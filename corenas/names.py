"""The nearest valid name, for the end of an error message."""

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
