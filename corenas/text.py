"""Text that came from outside: names of files, messages of libraries."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return text on one line, with escapes such as ``\n`` and ``\x1b`` for control characters.

    Bytes of a file's name that are no UTF-8 appear as ``\xe9``.
    """
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    # os.fsdecode keeps a byte that is no UTF-8 as 0xDC00 plus the byte.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def printable_lines(text: str) -> str:
    """Return text of several lines, each `printable`."""
    return "\n".join(map(printable, text.split("\n")))
