"""The journal of a run: one event a line, each with a checksum.

A kill or a full disk can tear the last line, and nothing else: the damaged tail is cut when the
journal is opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.errors import CorenasError
from corenas.values.trial import Event, Trial

# A power cut costs a second of events; syncing each of them would cost milliseconds a step.
SYNC_SECONDS = 1.0
_CHECK = b', "check": "'


def encode(value: dict[str, Any]) -> bytes:
    """Return the line for a JSON object: the object with a CRC-32 of the rest as its last key."""
    # No NaN: it is not JSON, and other programs could not read the line.
    body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()[:-1]
    return body + _CHECK + b'%08x"}\n' % zlib.crc32(body)


def decode(line: bytes) -> dict[str, Any]:
    """Read a line back.

    Raises:
        ValueError: It is torn, or its checksum is wrong.
    """
    # From the right: a message inside the event may hold the same text.
    body, separator, check = line.rpartition(_CHECK)
    if not separator or check != b'%08x"}\n' % zlib.crc32(body):
        raise ValueError("torn line or wrong checksum")
    value: dict[str, Any] = json.loads(body + b"}")
    return value


@frozen
class Contents:
    """The valid part of a journal: its events, their lines' end offsets, and what was wrong.

    ``torn`` says that the damage is in the last line, as a kill leaves it.
    """

    events: tuple[Event, ...]
    ends: tuple[int, ...]
    damage: str = ""
    torn: bool = False

    @property
    def size(self) -> int:
        """Length of the valid part in bytes."""
        return self.ends[-1] if self.ends else 0

    def before(self, offset: int) -> Iterator[Event]:
        """Iterate over the events whose lines end at or before ``offset``."""
        return (event for event, end in zip(self.events, self.ends, strict=True) if end <= offset)

    def finished(self) -> Iterator[tuple[str, int]]:
        """Iterate over the stages that came to their end, and where the event ends that says so."""
        for event, end in zip(self.events, self.ends, strict=True):
            if event.kind == "stage" and event.message == "finished":
                yield event.stage, end


def read(path: Path) -> Contents:
    """Read a journal up to its first damaged line; a missing one is empty."""
    events: list[Event] = []
    ends: list[int] = []
    position = 0
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                try:
                    events.append(Event.from_json(decode(line)))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    rest = path.stat().st_size - position
                    return Contents(
                        tuple(events),
                        tuple(ends),
                        f"line {len(events) + 1} is damaged ({error}); it and what follows, "
                        f"{rest} bytes, is not read",
                        torn=rest == len(line),
                    )
                position += len(line)
                ends.append(position)
    return Contents(tuple(events), tuple(ends))


def finished_trials(events: Iterable[Event]) -> dict[str, list[Trial]]:
    """Return the trials that were measured, by stage, in the order of the events."""
    found: dict[str, list[Trial]] = {}
    for event in events:
        if event.trial is not None and event.trial.status == "finished":
            found.setdefault(event.stage, []).append(event.trial)
    return found


def digest(path: Path, offset: int) -> str:
    """Return what tells the first ``offset`` bytes of a journal from those of any other one."""
    content = path.read_bytes()[:offset] if path.exists() else b""
    return hashlib.sha256(content).hexdigest()


class Journal:
    """The journal, open for appending from ``offset`` on; what lies behind it is cut."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._hash = hashlib.sha256(path.read_bytes()[:offset] if path.exists() else b"")
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
