"""The thread of one tracker: takes events from the journal to it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import attrs

from corenas.errors import CorenasError
from corenas.runs import journal
from corenas.tracking._cursor import Cursor, read_cursor
from corenas.tracking.tracker import State, Tracked, Tracker

BATCH = 500
"""Events between two cursors; all that a thread has in memory."""


class _Abandoned(Exception):  # noqa: N818 - nothing is wrong
    """The session has ended without this tracker."""


class Pump:
    """Brings the journal to a tracker, as far as it is told to, in a thread of its own.

    Args:
        name: The tracker's.
        tracker: Where events go.
        options: What tells its options from others: with other ones, all is logged again.
        run: What it is told of the run, without the mark.
        say: Tells the user something.
    """

    def __init__(
        self,
        name: str,
        tracker: Tracker,
        options: str,
        run: Tracked,
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self._tracker = tracker
        self._options = options
        self._run = run
        self._say = say
        self._journal = run.folder / "journal.jsonl"
        self._path = run.place.with_name(f"{name}.json")
        self._cursor = read_cursor(self._path)
        self._hash = journal.Prefix(self._journal).hash(0)
        self._goal: int | None = None
        self._ending: tuple[State, Mapping[str, Any]] | None = None
        self._abandoned = False
        self._changed = threading.Condition()
        self._busy_since: float | None = None
        # A daemon: a tracker that hangs must not keep the process.
        self._thread = threading.Thread(target=self._work, name=f"track-{name}", daemon=True)

    def start(self) -> None:
        """Begin to wait for what may be logged."""
        self._thread.start()

    def advance(self, offset: int) -> None:
        """Let the tracker have the journal up to an offset."""
        with self._changed:
            self._goal = offset
            self._changed.notify()

    def finish(self, offset: int | None, state: State, summary: Mapping[str, Any]) -> None:
        """Let the tracker have the rest, and end; None is for what it was promised before."""
        with self._changed:
            self._goal = self._goal if offset is None else offset
            self._ending = state, summary
            self._changed.notify()

    def wait(self, seconds: float) -> bool:
        """Wait until the thread has ended, at most so many seconds; return whether it has."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Let the tracker have nothing more, and write nothing more in the run's folder.

        The run may be another process's from now on. A call that the tracker has not come back from
        cannot be taken back.
        """
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def busy(self) -> float:
        """Return for how many seconds the tracker has not come back from a call."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def left(self) -> int:
        """Return how many events are promised and not logged."""
        try:
            return sum(1 for _ in self._entries(self._goal or 0))
        except (OSError, ValueError):  # the journal is gone or damaged: the run says so itself
            return 0

    def _work(self) -> None:
        try:
            self._follow()
        except _Abandoned:
            pass  # the session has said so
        # Whatever a stranger's tracker raises: the run goes on as without it.
        except (Exception, SystemExit) as error:
            if not self._abandoned:
                self._say(f"tracker {self.name!r} is given up: {_explain(error)}; the run goes on")
        finally:
            self._busy_since = None

    def _follow(self) -> None:
        goal, ending = self._next(-1)
        if not self._promised or self._is_done(goal, ending):
            return
        self._begin()
        while True:
            self._log_until(goal)
            if ending is not None:
                break
            goal, ending = self._next(goal)
        self._show_pictures()
        self._keep()
        self._call(self._tracker.end, *ending)
        self._cursor = attrs.evolve(self._cursor, ended=ending[0] == "finished")
        self._write_cursor()

    def _next(self, done: int) -> tuple[int, tuple[State, Mapping[str, Any]] | None]:
        """Wait until there is more than is done, or the end; return how far to go, and the end."""
        with self._changed:
            while self._ending is None and (self._goal is None or self._goal <= done):
                self._check_wanted()
                self._changed.wait()
            return self._goal or 0, self._ending

    @property
    def _promised(self) -> bool:
        """Whether the run came to its first event: before that there is nothing to show."""
        return self._goal is not None and self._journal.exists()

    def _is_done(self, goal: int, ending: tuple[State, Mapping[str, Any]] | None) -> bool:
        """Return whether a finished run, asked for once more, is here to its end already."""
        known = self._cursor
        return (
            ending is not None
            and known.ended
            and known.offset == goal
            and known.options == self._options
            and known.follows(self._journal)
        )

    def _begin(self) -> None:
        if reason := self._find_reason_to_begin_anew():
            self._say(f"tracker {self.name!r}: {reason}; it is logged again from its beginning")
            self._cursor = Cursor()
        self._cursor = attrs.evolve(self._cursor, options=self._options)
        self._hash = journal.Prefix(self._journal).hash(self._cursor.offset)
        self._call(self._tracker.begin, attrs.evolve(self._run, mark=self._cursor.mark))

    def _find_reason_to_begin_anew(self) -> str:
        known = self._cursor
        if not known.follows(self._journal):
            return "the journal is not the one that was logged"
        if known.offset and known.options != self._options:
            return "the tracker's options are not those that the run was logged with"
        return ""

    def _entries(self, goal: int) -> Iterator[journal.Entry]:
        known = self._cursor
        return journal.entries(self._journal, known.offset, goal, number=known.events + 1)

    def _log_until(self, goal: int) -> None:
        drawn = False
        while batch := list(islice(self._entries(goal), BATCH)):
            for entry in batch:
                self._call(self._tracker.log, entry)
                self._hash.update(entry.line)
                drawn = drawn or entry.event.kind == "stage"
            self._cursor = attrs.evolve(
                self._cursor,
                offset=batch[-1].end,
                events=self._cursor.events + len(batch),
                digest=self._hash.hexdigest(),
            )
            self._keep()
        if drawn:  # recipes draw between stages
            self._show_pictures()

    def _keep(self) -> None:
        """Have the tracker keep what it has, and write down how far it is."""
        mark = self._call(self._tracker.flush)
        self._cursor = attrs.evolve(self._cursor, mark=mark)
        self._write_cursor()

    def _write_cursor(self) -> None:
        with self._changed:  # `abandon` returns before or after this, not within
            self._check_wanted()
            self._cursor.write(self._path)

    def _check_wanted(self) -> None:
        if self._abandoned:
            raise _Abandoned

    def _show_pictures(self) -> None:
        shown = dict(self._cursor.pictures)
        for file in sorted((self._run.folder / "images").glob("*.png")):
            found = hashlib.sha256(file.read_bytes()).hexdigest()
            if shown.get(file.name) != found:
                self._call(self._tracker.picture, file.stem, file)
                shown[file.name] = found
        if shown != self._cursor.pictures:
            self._cursor = attrs.evolve(self._cursor, pictures=shown)
            self._keep()

    def _call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        self._check_wanted()
        self._busy_since = time.monotonic()
        try:
            return method(*arguments)
        finally:
            self._busy_since = None


def _explain(error: BaseException) -> str:
    text = next(iter(str(error).splitlines()), "")
    return text if isinstance(error, CorenasError) else f"{type(error).__name__}: {text}"


def cursor_files(folder: Path) -> dict[str, Path]:
    """Return the cursors in a run's folder by the names of their trackers."""
    return {path.stem: path for path in sorted((folder / "tracking").glob("*.json"))}
