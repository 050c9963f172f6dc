"""What a tracker is, and what it is told: a component of the kind ``trackers``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import frozen

from corenas.runs.journal import Entry
from corenas.values.architecture import Decision

State = Literal["finished", "stopped", "failed"]
"""How a run, or this session of it, ended."""


@frozen
class Tracked:
    """The run that a tracker is to show.

    Args:
        folder: The run's.
        info: What ``run.json`` holds: recipe, preset, seed, versions, hardware and more.
        parameters: The recipe's options by dotted name, lists as JSON text.
        place: A folder below the run's for files of the tracker; it need not exist.
        mark: What the tracker's last `flush` returned, which was before the last entry that it will
            not be given again; None where all of the journal is to come.
        decisions: Returns what a stage decides; nothing where that is not known.
    """

    folder: Path
    info: Mapping[str, Any]
    parameters: Mapping[str, str | int | float | bool]
    place: Path
    mark: Any
    decisions: Callable[[str], Sequence[Decision]]

    @property
    def identity(self) -> str:
        """What tells the run from all others, also after its folder was moved."""
        return f"{self.info['recipe']}-{self.info['seed']}-{self.info['created']}"


class Tracker(Protocol):
    """Shows a run somewhere else.

    All methods are called in one thread, which is the tracker's own. What one raises ends the
    tracking, is said once, and never touches the run.
    """

    def begin(self, run: Tracked) -> None:
        """Begin, or go on from where the last `flush` was: what came behind it will come again."""

    def log(self, entry: Entry) -> None:
        """Take in a line of the journal. Each comes once, in their order."""

    def picture(self, name: str, file: Path) -> None:
        """Take in a PNG file that the recipe drew, once for each content of it."""

    def flush(self) -> Any:
        """Put what was taken in where it is to stay, and return a mark: a small JSON value."""

    def end(self, state: State, summary: Mapping[str, Any]) -> None:
        """End this session; ``summary`` is the table of results, empty where there is none."""


def numbers_of(entry: Entry) -> dict[str, float]:
    """Return the numbers of an event by name: scalars, metrics, score and seconds of its trial."""
    event = entry.event
    found = dict(event.scalars)
    if event.trial is not None:
        if event.trial.measurement is not None:
            found |= event.trial.measurement.metrics
            found["seconds"] = event.trial.measurement.seconds
        if event.trial.score is not None:
            found["score"] = event.trial.score
    return found


def flat_numbers(table: Mapping[str, Any], path: str = "") -> dict[str, float]:
    """Return the numbers of a summary by dotted name; models are called by their names."""
    found: dict[str, float] = {}
    for key, value in table.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, bool):
            continue
        if isinstance(value, int | float):
            found[name] = float(value)
        elif isinstance(value, Mapping):
            found |= flat_numbers(value, name)
        elif key == "models" and isinstance(value, list):
            for each in value:
                if isinstance(each, Mapping):
                    found |= flat_numbers(each, f"{name}.{each.get('name', 'model')}")
    return found
