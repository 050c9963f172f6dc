"""Reading a journal: all of it, a stage, an outline, or numbers without choices."""

from __future__ import annotations

import hashlib
import json
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import frozen

from corenas.values.trial import Event, Trial

_CHECK = b', "check": "'
_ARCHITECTURE = b', "architecture": {'
_METRICS = b', "metrics": {'
_NO_CHOICES = b', "architecture": {"schema": 1, "space": "", "choices": {}}'
_BLOCK = 1 << 20

T = TypeVar("T")


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
    value: dict[str, Any] = json.loads(_proven(line))
    return value


def _proven(line: bytes) -> bytes:
    """Return the JSON object of a line whose checksum is right."""
    # From the right: a message inside the event may hold the same text.
    body, separator, check = line.rpartition(_CHECK)
    if not separator or check != b'%08x"}\n' % zlib.crc32(body):
        raise ValueError("torn line or wrong checksum")
    return body + b"}"


class Lines(Generic[T]):
    """The lines of a journal, up to the first damaged one; iterated once.

    Each comes as ``read`` makes it from the line's JSON object, with the offset at which the line
    ends. ``size`` grows on the way: it is the offset of what has come. After the last one,
    ``damage`` says what was wrong, if anything, and ``torn`` that it is in the last line, as a kill
    leaves it.

    Args:
        path: The file; a missing one has no lines.
        read: What it cannot read, it raises as a `ValueError`, `KeyError`, `TypeError` or
            `AttributeError`: the line counts as damaged.
        start: Where a line begins, with which to begin.
    """

    def __init__(self, path: Path, read: Callable[[bytes], T], start: int = 0) -> None:
        self._path = path
        self._read = read
        self.size = start
        self.damage = ""
        self.torn = False

    def __iter__(self) -> Iterator[tuple[T, int]]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self.size)
            for line in file:
                try:
                    found = self._read(_proven(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    self._stop(line, error)
                    return
                self.size += len(line)
                yield found, self.size

    def _stop(self, line: bytes, error: Exception) -> None:
        with self._path.open("rb") as file:
            number = file.read(self.size).count(b"\n") + 1
        rest = self._path.stat().st_size - self.size
        self.torn = rest == len(line)
        self.damage = (
            f"line {number} is damaged ({error}); it and what follows, {rest} bytes, is not read"
        )


def read_event(body: bytes) -> Event:
    """Return the event that a line holds, for `Lines`."""
    return Event.from_json(json.loads(body))


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


def read(path: Path) -> Contents:
    """Read a journal up to its first damaged line; a missing one is empty."""
    lines = Lines(path, read_event)
    found = list(lines)
    events, ends = zip(*found, strict=True) if found else ((), ())
    return Contents(events, ends, lines.damage, lines.torn)


def read_stage(path: Path, stage: str) -> Iterator[Event]:
    """Iterate over the events of a stage, up to the first damaged line."""
    mark = f'"stage": {json.dumps(stage, ensure_ascii=False)}'.encode()
    # What cannot be of the stage is not read further: that takes most of the time.
    for body, _ in Lines(path, lambda body: body if mark in body else None):
        event = body and read_event(body)
        if event and event.stage == stage:
            yield event


@frozen
class Outline:
    """How a journal is made up, without what its events say: their lines' end offsets and damage.

    ``finished`` are the stages that came to their end, and where the event ends that says so.
    """

    ends: Sequence[int]
    finished: Sequence[tuple[str, int]]
    damage: str
    torn: bool

    @property
    def size(self) -> int:
        """Length of the valid part in bytes."""
        return self.ends[-1] if self.ends else 0

    def count(self, offset: int) -> int:
        """Return how many events end at or before ``offset``."""
        return bisect_right(self.ends, offset)


def outline(path: Path) -> Outline:
    """Look through a journal: of a long search, a fiftieth of the time that reading it takes."""
    ends, finished = array("q"), []
    lines = Lines(path, _stage_that_ends)
    for stage, end in lines:
        ends.append(end)
        if stage:
            finished.append((stage, end))
    return Outline(ends, finished, lines.damage, lines.torn)


def _stage_that_ends(body: bytes) -> str:
    """Return the name of the stage whose end a line tells, or an empty string."""
    if b'"kind": "stage"' not in body:
        return ""
    event = read_event(body)
    return event.stage if event.kind == "stage" and event.message == "finished" else ""


def trial_numbers(path: Path) -> Iterator[tuple[str, Trial, int]]:
    """Iterate over the measured trials without their choices, which are most of a line.

    Yields:
        The stage, the trial, whose architecture has no choices, and the offset where its line ends.
    """
    for found, end in Lines(path, _read_numbers):
        if found is not None:
            yield *found, end


def _read_numbers(body: bytes) -> tuple[str, Trial] | None:
    if b'"kind": "trial"' not in body:
        return None
    # A quote inside a text is escaped, so these are keys, and of the trial: nothing before them and
    # nothing between them has such ones.
    first, last = body.find(_ARCHITECTURE), body.find(_METRICS)
    if 0 < first < last:
        body = body[:first] + _NO_CHOICES + body[last:]
    value = json.loads(body)
    return value["stage"], Trial.from_json(value["trial"])


def event_before(path: Path, end: int) -> Event:
    """Return the event whose line ends at an offset."""
    with path.open("rb") as file:
        # Lines are short, so a few steps back find the beginning.
        length = 0
        while True:
            length = min(end, 2 * length or 4096)
            file.seek(end - length)
            line = file.read(length)
            start = line.rfind(b"\n", 0, -1)
            if start >= 0 or length == end:
                return read_event(_proven(line[start + 1 :]))


@frozen
class Entry:
    """A line of a journal: its event, its number from 1, when it happened, and where it ends.

    ``time`` is UTC in ISO 8601, and ``line`` the bytes.
    """

    event: Event
    number: int
    time: str
    end: int
    line: bytes


def entries(path: Path, begin: int, end: int, *, number: int = 1) -> Iterator[Entry]:
    """Yield the lines between two offsets, without holding more than one of them.

    Args:
        path: The journal's.
        begin: Where a line begins.
        end: Where one ends.
        number: That of the first line.

    Raises:
        ValueError: A line is damaged.
    """
    with path.open("rb") as file:
        file.seek(begin)
        position = begin
        while position < end and (line := file.readline()):
            value = decode(line)
            position += len(line)
            yield Entry(Event.from_json(value), number, str(value["time"]), position, line)
            number += 1


def finished_trials(events: Iterable[Event]) -> dict[str, list[Trial]]:
    """Return the trials that were measured, by stage, in the order of the events."""
    found: dict[str, list[Trial]] = {}
    for event in events:
        if event.trial is not None and event.trial.status == "finished":
            found.setdefault(event.stage, []).append(event.trial)
    return found


def digest(path: Path, offset: int) -> str:
    """Return what tells the first ``offset`` bytes of a journal from those of any other one."""
    return Prefix(path).digest(offset)


class Prefix:
    """The digests of a journal's beginnings; in the order of their lengths, it is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._length = 0

    def digest(self, offset: int) -> str:
        """Return the digest of the first ``offset`` bytes."""
        return self.hash(offset).hexdigest()

    def hash(self, offset: int) -> hashlib._Hash:
        """Return the hash of the first ``offset`` bytes, as an object that goes on from there."""
        if offset < self._length:
            self._hash, self._length = hashlib.sha256(), 0
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._length)
                while self._length < offset:
                    part = file.read(min(_BLOCK, offset - self._length))
                    if not part:
                        break
                    self._hash.update(part)
                    self._length += len(part)
        return self._hash.copy()
