"""What a run shows while it works: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from corenas.names import printable
from corenas.show._screen import Screen
from corenas.show.progress import (
    RunProgress,
    StageProgress,
    format_duration,
    format_number,
    format_rate,
    trial_numbers,
)
from corenas.values.fidelity import format_share
from corenas.values.trial import Event

PLAIN_SECONDS = 30.0
"""How often plain lines tell the progress of a stage."""

Clock = Callable[[], float]


class Reporter(Protocol):
    """Shows a run to whoever watches it; it decides nothing and writes no file."""

    def start(self, title: str, folder: Path) -> None:
        """Begin to show the run that writes into ``folder``."""

    def stage(self, name: str, note: str = "") -> None:
        """Begin a stage, which ends the one before it.

        Args:
            name: The stage's name.
            note: What is special about it, such as ``already done`` or ``resumed``.
        """

    def recall(self, earlier: Iterable[StageProgress]) -> None:
        """Take in what earlier sessions of the run did: it counts, but takes no time."""

    def event(self, event: Event) -> None:
        """Show what happened."""

    def checkpoint(self) -> None:
        """Show that the state of the stage in progress is saved."""

    def say(self, message: str) -> None:
        """Print lines that stay."""

    def close(self) -> None:
        """Show the last state and give the terminal back."""


def reporter_for(console: Console) -> Reporter:
    """Return the live screen where the console can show one, and plain lines elsewhere."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveReporter(console)
    return PlainReporter(console)


class Quiet:
    """A reporter that shows nothing."""

    def start(self, title: str, folder: Path) -> None: ...

    def recall(self, earlier: Iterable[StageProgress]) -> None: ...

    def stage(self, name: str, note: str = "") -> None: ...

    def event(self, event: Event) -> None: ...

    def checkpoint(self) -> None: ...

    def say(self, message: str) -> None: ...

    def close(self) -> None: ...


class PlainReporter:
    """Lines of plain text, for a log file or a pipe.

    A stage's beginning and end and each new best trial get a line at once; the rest is summed up
    in at most one line every ``seconds``.
    """

    def __init__(
        self, console: Console, *, seconds: float = PLAIN_SECONDS, clock: Clock = time.monotonic
    ) -> None:
        self._console = console
        self._seconds = seconds
        self._clock = clock
        self._progress = RunProgress()
        self._last_line = 0.0

    def start(self, title: str, folder: Path) -> None:
        self.say(f"{title}: writes into {folder}")

    def recall(self, earlier: Iterable[StageProgress]) -> None:
        self._progress.recall(earlier)

    def stage(self, name: str, note: str = "") -> None:
        self.close()
        self._last_line = self._clock()
        self._progress.begin(name, note, self._last_line)
        self.say(f"{name}: {note or 'begins'}")

    def event(self, event: Event) -> None:
        now = self._clock()
        best = self._progress.take(event, now)
        stage = self._progress.current
        if stage is None:
            return
        # The line of its end has all numbers; another one for the event would repeat them.
        if stage.finished:
            self.close()
        elif best and event.trial is not None:
            numbers = ", ".join(f"{name} {n}" for name, n in trial_numbers(event.trial).items())
            trial = f"trial {event.trial.number} ({event.trial.architecture.id})"
            if event.trial.fidelity < 1:
                trial += f", {format_share(event.trial.fidelity)} trained,"
            self.say(f"{stage.name} {stage.position()}: {trial} is the best so far: {numbers}")
        elif now - self._last_line >= self._seconds:
            self._last_line = now
            self.say(f"{stage.name} {stage.position()}: {', '.join(_summarise(stage, now))}")

    def checkpoint(self) -> None:
        """Say nothing: it is no news in a log."""

    def say(self, message: str) -> None:
        self._console.print(_make_printable(self._console, message), soft_wrap=True)

    def close(self) -> None:
        stage = self._progress.end(self._clock())
        if stage is not None and stage.ended is not None and stage.worked:
            numbers = "".join(f", {name} {format_number(n)}" for name, n in stage.scalars.items())
            took = format_duration(stage.ended - stage.began)
            failures = "".join(f", {part}" for part in _describe_failures(stage))
            self.say(f"{stage.name} {stage.position()}: ended after {took}{numbers}{failures}")


def _describe_failures(stage: StageProgress) -> list[str]:
    """Return how the trials went and the last failure; nothing where all went well."""
    if not stage.failure:
        return []
    return [
        *(f"{count} {status}" for count, status in stage.tally()),
        _describe_last_failure(stage),
    ]


def _describe_last_failure(stage: StageProgress) -> str:
    return f"last failure: {printable(stage.failure)}"


def _summarise(stage: StageProgress, now: float) -> list[str]:
    rate, left = stage.rate(), stage.seconds_left(now)
    parts = [] if rate is None else [format_rate(rate)]
    if left is not None:
        parts.append(f"{format_duration(left)} left")
    parts += [f"{name} {format_number(value)}" for name, value in stage.scalars.items()]
    parts += [f"{count} {status}" for count, status in stage.tally()]
    if stage.failure:
        parts.append(_describe_last_failure(stage))
    if stage.message:
        parts.append(printable(stage.message))
    return parts


def _make_printable(console: Console, message: str) -> Text:
    """Return lines without control characters, in what the console's encoding can hold."""
    text = "\n".join(map(printable, message.splitlines()))
    return Text(text.encode(console.encoding, "replace").decode(console.encoding))


class LiveReporter:
    """A screen that is redrawn in place, at most four times a second."""

    def __init__(self, console: Console, *, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._screen = Screen()
        self._lock = threading.Lock()  # a thread of its own draws the screen
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=4,
            vertical_overflow="crop",
        )

    def start(self, title: str, folder: Path) -> None:
        self._screen.title, self._screen.folder = title, str(folder)
        self._live.start()

    def recall(self, earlier: Iterable[StageProgress]) -> None:
        with self._lock:
            self._screen.progress.recall(earlier)

    def stage(self, name: str, note: str = "") -> None:
        with self._lock:
            self._screen.progress.begin(name, note, self._clock())
            self._screen.saved = None

    def event(self, event: Event) -> None:
        with self._lock:
            self._screen.progress.take(event, self._clock())

    def checkpoint(self) -> None:
        with self._lock:
            stage = self._screen.progress.current
            if stage is not None:
                self._screen.saved = (stage.step, self._clock())

    def say(self, message: str) -> None:
        self._console.print(_make_printable(self._console, message))

    def close(self) -> None:
        with self._lock:
            self._screen.progress.end(self._clock())
        self._live.stop()

    def _draw(self) -> Group:
        width, height = self._console.size
        ascii_only = self._console.options.ascii_only
        with self._lock:
            # One line is left for the prompt, which else would push the first one out.
            lines = self._screen.draw(
                width, max(1, height - 1), self._clock(), ascii_only=ascii_only
            )
        return Group(*lines)
