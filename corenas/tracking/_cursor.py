"""How far a tracker is: a small file in the run's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from corenas.files import write_json
from corenas.runs.journal import digest


@frozen
class Cursor:
    """Where in the journal a tracker is.

    ``offset`` bytes of the journal are logged, and have this ``digest``; ``events`` is how many
    lines that are; ``mark`` is the tracker's own; ``pictures`` are digests by name. ``ended`` says
    that the tracker knows of the run's end, ``options`` what its options were, as a digest.
    """

    offset: int = 0
    events: int = 0
    digest: str = ""
    mark: Any = None
    pictures: dict[str, str] = field(factory=dict)
    ended: bool = False
    options: str = ""

    def follows(self, journal: Path) -> bool:
        """Return whether the journal begins with what was logged."""
        return not self.offset or (
            journal.exists()
            and journal.stat().st_size >= self.offset
            and digest(journal, self.offset) == self.digest
        )

    def write(self, path: Path) -> None:
        """Write it down, whole or not at all."""
        write_json(path, asdict(self))


def read_cursor(path: Path) -> Cursor:
    """Return what a file holds; a cursor at the beginning where there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
        return Cursor(
            int(value["offset"]),
            int(value["events"]),
            str(value["digest"]),
            value["mark"],
            {str(name): str(each) for name, each in value["pictures"].items()},
            bool(value["ended"]),
            str(value["options"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Cursor()
