"""The tracker ``csv``: tables of a run's options, events and results in its folder.

``events.csv`` has a row for each number of each event, and one for an event without numbers; in
``event`` stands its number in the journal. ``parameters.csv`` and ``summary.csv`` have a name and a
value in each row.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from corenas.errors import CorenasError
from corenas.files import atomic_write
from corenas.names import printable
from corenas.runs.journal import Entry
from corenas.tracking.config import TablesConfig
from corenas.tracking.tracker import State, Tracked, flat_numbers, numbers_of

COLUMNS = (
    "event",
    "time",
    "stage",
    "kind",
    "step",
    "total",
    "trial",
    "fidelity",
    "architecture",
    "message",
    "name",
    "value",
)


class Tables:
    """Writes the tables; the mark is the size of ``events.csv``."""

    def __init__(self, config: TablesConfig) -> None:
        self._config = config
        self._rows: list[Sequence[object]] = []

    def begin(self, run: Tracked) -> None:
        """Cut the events to what was logged for certain, and write the options."""
        self._folder = run.place
        self._events = run.place / "events.csv"
        run.place.mkdir(parents=True, exist_ok=True)
        size = 0 if run.mark is None else int(run.mark)
        there = self._events.stat().st_size if self._events.exists() else 0
        if there < size:
            raise CorenasError(
                f"{self._events}: is shorter than what was written into it; delete "
                f"{run.place}.json to have it written again"
            )
        with self._events.open("ab") as file:
            file.truncate(size)
        if not size:
            self._rows.append(COLUMNS)
        facts = {name: run.info[name] for name in ("recipe", "preset", "seed", "created")}
        self._write("parameters.csv", (facts | dict(run.parameters)).items())

    def log(self, entry: Entry) -> None:
        """Keep the rows of an event until `flush`."""
        event, trial = entry.event, entry.event.trial
        message = event.message or (trial.reason if trial is not None else "")
        told = (
            entry.number,
            entry.time,
            event.stage,
            event.kind,
            event.step,
            event.total,
            "" if trial is None else trial.number,
            "" if trial is None else trial.fidelity,
            "" if event.architecture is None else event.architecture.id,
            printable(message),
        )
        numbers: Mapping[str, object] = numbers_of(entry) or {"": ""}
        self._rows += [(*told, name, value) for name, value in numbers.items()]

    def picture(self, name: str, file: Path) -> None:
        """Leave pictures where they are: in the same folder."""

    def flush(self) -> int:
        """Append what was kept, and return the file's size."""
        with self._events.open("ab") as file:
            file.write(self._format(self._rows))
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        self._rows = []
        return size

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Write the results, where there are any."""
        if summary:
            rows = [("state", state), *flat_numbers(summary).items()]
            self._write("summary.csv", rows)

    def _write(self, name: str, rows: Iterable[Sequence[object]]) -> None:
        with atomic_write(self._folder / name) as file:
            file.write(self._format([("name", "value"), *rows]))

    def _format(self, rows: Iterable[Sequence[object]]) -> bytes:
        text = io.StringIO()
        csv.writer(text, delimiter=self._config.separator, lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "surrogateescape")
