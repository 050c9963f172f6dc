"""Files of a run's folder, as links that lead nowhere else."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from attrs import frozen

_LISTED = ("models", "images")
_MOST_FILES = 60

MOST_DIAGRAMS = 400_000
"""How many bytes all drawings of a page may have; a third more as they stand in it."""


@frozen
class FileLink:
    """A file: its name within the folder, where a browser finds it, and how many bytes it has.

    ``size`` is None where it is missing.
    """

    name: str
    href: str
    size: int | None

    @property
    def weight(self) -> str:
        """Return its size for people."""
        if self.size is None:
            return "missing"
        return f"{self.size / 1000:.3g} kB" if self.size < 1e6 else f"{self.size / 1e6:.3g} MB"


def link(folder: Path, name: str) -> FileLink | None:
    """Return the link to a file of a folder; None where the name leads out of it or is none."""
    path = Path(os.path.normpath(name))
    if path.is_absolute() or ".." in path.parts:
        return None
    target = folder / path
    try:
        size = target.stat().st_size if target.is_file() else None
    except (OSError, ValueError):
        size = None
    try:
        encoded = os.fsencode(path.as_posix())
    except UnicodeEncodeError:  # no file has such a name
        return None
    # Quoted, so that no name is a scheme such as javascript: or holds a quotation mark.
    return FileLink(path.as_posix(), "./" + quote(encoded), size)


def list_files(folder: Path) -> tuple[list[FileLink], int]:
    """Return the files that a run left for its user, and how many more there are."""
    names = [*(n for n in ("summary.json", "config.toml", "run.json", "journal.jsonl"))]
    names += [path.relative_to(folder).as_posix() for path in _find_results(folder)]
    links = [found for name in names if (found := link(folder, name)) and found.size is not None]
    return links[:_MOST_FILES], max(0, len(links) - _MOST_FILES)


def _find_results(folder: Path) -> Iterator[Path]:
    for name in _LISTED:
        # Hidden ones are being written.
        yield from (
            path
            for path in sorted((folder / name).rglob("*"))
            if path.is_file() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
        )


@frozen
class Diagram:
    """A drawing, to be embedded."""

    name: str
    source: str


def find_diagrams(folder: Path) -> tuple[list[Diagram], list[str]]:
    """Return the drawings of architectures, and the names of those for which there is no room.

    A recipe leaves them in ``images`` with a DOT file.
    """
    found, left_out, room = list[Diagram](), list[str](), MOST_DIAGRAMS
    for path in sorted((folder / "images").glob("*.dot")):
        drawing = path.with_suffix(".svg")
        try:
            size = drawing.stat().st_size
            if size > room:
                left_out.append(drawing.name)
                continue
            content = drawing.read_bytes()
        except OSError:
            continue
        room -= size
        # As an image, not as a part of the page: nothing in it can act.
        encoded = base64.b64encode(content).decode()
        found.append(Diagram(path.stem, f"data:image/svg+xml;base64,{encoded}"))
    return found, left_out
