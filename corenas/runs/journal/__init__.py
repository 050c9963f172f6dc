"""The journal of a run: one event a line, each with a checksum.

A kill or a full disk can tear the last line, and nothing else: the damaged tail is cut when the
journal is opened again. Writing is here, reading in `_reading`.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from corenas.errors import CorenasError
from corenas.runs.journal._reading import (
    Contents,
    Entry,
    Lines,
    Outline,
    Prefix,
    decode,
    digest,
    encode,
    entries,
    event_before,
    finished_trials,
    outline,
    read,
    read_event,
    read_stage,
    trial_numbers,
)
from corenas.values.trial import Event

__all__ = [
    "Contents",
    "Entry",
    "Journal",
    "Lines",
    "Outline",
    "Prefix",
    "decode",
    "digest",
    "encode",
    "entries",
    "event_before",
    "finished_trials",
    "outline",
    "read",
    "read_event",
    "read_stage",
    "trial_numbers",
]

# A power cut costs a second of events; syncing each of them would cost milliseconds a step.
SYNC_SECONDS = 1.0


class Journal:
    """The journal, open for appending from ``offset`` on; what lies behind it is cut."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._hash = Prefix(path).hash(offset)
        # Windows would else write two bytes for a line's end, and offsets would not fit.
        flags = os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o644)
        os.ftruncate(self._descriptor, offset)
        os.lseek(self._descriptor, offset, os.SEEK_SET)
        self.offset = offset
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._failure: OSError | None = None

    @property
    def digest(self) -> str:
        """What tells this journal, as it is now, from any other one; see the function `digest`."""
        return self._hash.hexdigest()

    def append(self, event: Event) -> None:
        """Write an event. It reaches the disk within `SYNC_SECONDS`, or at the next `sync`.

        Raises:
            OSError: The disk is full, say. A torn line is cut when the journal is read.
            CorenasError: The file was deleted or moved.
        """
        self._raise_failure()
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = encode({"time": time, **event.to_json()})
        written = 0
        # A write to a nearly full disk may take only a part.
        while written < len(line):
            written += os.write(self._descriptor, line[written:])
        self.offset += len(line)
        self._hash.update(line)
        with self._lock:
            # One timer serves all events of a second. A daemon never holds up the end.
            if self._timer is not None:
                return
            self._timer = threading.Timer(SYNC_SECONDS, self._sync_later)
            self._timer.daemon = True
            self._timer.start()
        self._check_place()  # here, because asking the system at each event would cost a tenth

    def _sync_later(self) -> None:
        """Sync in the timer's thread; whoever calls next is told what went wrong."""
        try:
            self._flush()
        except OSError as error:
            # Kept, because nobody catches what a timer's thread raises.
            self._failure = error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _check_place(self) -> None:
        """Notice that the file is gone: writing to it goes on without an error, and is lost."""
        try:
            there = os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            there = False
        if not there:
            raise CorenasError(
                f"{self._path.parent}: was deleted or moved while the run went on; what it did "
                "since its last checkpoint is lost"
            )

    def sync(self) -> None:
        """Put everything that was appended on the disk.

        Raises:
            OSError: The disk is full, say.
            CorenasError: The file was deleted or moved.
        """
        self._raise_failure()
        self._check_place()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            # No timer runs, so nothing was written since the last sync.
            if self._timer is None:
                return
            self._timer.cancel()
            self._timer = None
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            os.close(self._descriptor)
