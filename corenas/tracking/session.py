"""Trackers beside a run: told what a checkpoint proves, and waited for only at the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from corenas.options.structuring import Chosen, unstructure
from corenas.runs.identity import flat_options, read_info
from corenas.tracking._pump import Pump, cursor_files
from corenas.tracking.tracker import State, Tracked, Tracker
from corenas.values.architecture import Decision
from corenas.values.trial import Event

if TYPE_CHECKING:
    from corenas.runs.run import Run
    from corenas.show.progress import StageProgress
    from corenas.show.reporter import Reporter

LAST_WORDS = 30.0
"""Seconds that all trackers together are waited for when a run ends."""

SILENCE = 60.0
"""Seconds without an answer after which a tracker is said to hang."""


@frozen
class Ready:
    """A tracker that is built; ``options`` tells those that it was built with from others."""

    name: str
    tracker: Tracker
    options: str = ""


def build_trackers(trackers: Sequence[Chosen]) -> list[Ready]:
    """Build trackers, which imports their packages; nothing is logged yet.

    Raises:
        ConfigError: One needs packages that are not installed, or an option.
        PluginError: One cannot be imported.
    """
    return [Ready(each.name, each.build(), _digest(each)) for each in trackers]


def _digest(chosen: Chosen) -> str:
    # Not the options themselves: an address may hold a password.
    text = json.dumps(unstructure(chosen), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Tracking:
    """Follows a run and lets its trackers have what is certain.

    Events behind the last checkpoint may be done again after a kill, and then differ. So trackers
    get an event once a checkpoint, or the record of a finished stage, is behind it.

    It is the run's reporter as well, because a reporter is told of checkpoints.

    Args:
        folder: The run's.
        trackers: Those that are to show it.
        reporter: Shows the run.
    """

    def __init__(self, folder: Path, trackers: Sequence[Ready], reporter: Reporter) -> None:
        self._reporter = reporter
        self._journal = folder / "journal.jsonl"
        self._decisions: Mapping[str, Sequence[Decision]] = {}
        self._size = 0
        self._finished_stage = False
        self._known = False
        self._end: tuple[State, Mapping[str, Any]] | None = None
        self._hanging: set[str] = set()
        self._pumps = [
            Pump(t.name, t.tracker, t.options, self._describe(folder, t.name), reporter.say)
            for t in trackers
        ]
        for name in cursor_files(folder).keys() - {t.name for t in trackers}:
            reporter.say(f"tracker {name!r} is left where it is; '--track {name}' goes on with it")
        for pump in self._pumps:
            pump.start()

    def _describe(self, folder: Path, name: str) -> Tracked:
        info = read_info(folder)
        return Tracked(
            folder,
            info,
            flat_options(info),
            folder / "tracking" / name,
            None,
            lambda stage: self._decisions.get(stage, ()),
        )

    def observe(self, run: Run, event: Event) -> None:
        """Take notice of an event that is in the journal now."""
        if not self._pumps:
            return
        self._decisions = run.decisions
        size = self._measure()
        # The record of a finished stage is written before the next event comes, and what the run
        # found in the journal when it was opened is proven.
        if not self._known or self._finished_stage:
            self._advance(self._size if self._known or event.stage else size)
        self._known = True
        self._size = size
        self._finished_stage = event.kind == "stage" and event.message == "finished"

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """Say how the run ended; all of its journal is certain then."""
        self._end = state, summary

    def wait(self) -> None:
        """Let the trackers have the rest, and wait a while for them."""
        offset = None if self._end is None else self._measure()
        state, summary = self._end or ("failed", {})
        for pump in self._pumps:
            pump.finish(offset, state, summary)
        until = time.monotonic() + LAST_WORDS
        for pump in self._pumps:
            if not pump.wait(until - time.monotonic()):
                pump.abandon()
                left = pump.left()
                what = f"{left} events are" if left else "its end is"
                self._reporter.say(
                    f"tracker {pump.name!r} is not done after {LAST_WORDS:g} s: {what} not logged; "
                    f"'corenas resume {self._journal.parent} --track {pump.name}' logs the rest"
                )

    def abandon(self) -> None:
        """Let the trackers have nothing more, without waiting for them."""
        for pump in self._pumps:
            pump.abandon()

    def _measure(self) -> int:
        try:
            return self._journal.stat().st_size
        except OSError:  # there is none yet, or it was deleted, of which the run itself speaks
            return 0

    def _advance(self, offset: int) -> None:
        for pump in self._pumps:
            pump.advance(offset)
            if pump.busy() > SILENCE and pump.name not in self._hanging:
                self._hanging.add(pump.name)
                self._reporter.say(
                    f"tracker {pump.name!r} has not answered for {SILENCE:g} s; the run goes on "
                    "without waiting for it"
                )

    # What follows makes it a reporter.

    def start(self, title: str, folder: Path) -> None:
        """Pass on."""
        self._reporter.start(title, folder)

    def stage(self, name: str, note: str = "") -> None:
        """Pass on."""
        self._reporter.stage(name, note)

    def recall(self, earlier: Iterable[StageProgress]) -> None:
        """Pass on."""
        self._reporter.recall(earlier)

    def event(self, event: Event) -> None:
        """Pass on."""
        self._reporter.event(event)

    def checkpoint(self) -> None:
        """Pass on, and let the trackers have all that the journal holds."""
        self._reporter.checkpoint()
        if self._pumps:
            self._advance(self._measure())

    def say(self, message: str) -> None:
        """Pass on."""
        self._reporter.say(message)

    def close(self) -> None:
        """Pass on."""
        self._reporter.close()


@contextmanager
def tracking(folder: Path, trackers: Sequence[Ready], reporter: Reporter) -> Iterator[Tracking]:
    """Follow a run while the context lasts, and wait for the trackers at its end."""
    session = Tracking(folder, trackers, reporter)
    try:
        yield session
    except KeyboardInterrupt:
        raise  # a second Ctrl-C leaves at once
    except BaseException:
        session.wait()
        raise
    else:
        session.wait()
    finally:
        session.abandon()  # the run's lock is released next
