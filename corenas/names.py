"""The nearest valid name, for the end of an error message."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?``, or else a list of what is allowed."""
    names = list(valid)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; allowed: {', '.join(sorted(names)) or 'nothing'}"
