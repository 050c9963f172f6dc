"""Resumable work: the one idea that searches, trainings and comparisons share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from corenas.values.trial import Event

State = dict[str, Any]
"""Tensors, numbers, strings, dicts and lists: what ``torch.load(weights_only=True)`` accepts."""


@frozen
class Result:
    """What a task hands over: JSON values, and the names of files in the folder it was given."""

    values: Mapping[str, Any]
    files: Mapping[str, str] = field(factory=dict)


class Task(Protocol):
    """Work whose events are journaled, and whose state at each event is enough to continue.

    A task is made, then restored if there is a state, then iterated once.
    """

    def events(self) -> Iterator[Event]:
        """Do the work, from the beginning or from what `restore` set."""

    def state(self) -> State:
        """Return what `restore` needs; called between two events."""

    def restore(self, state: State) -> None:
        """Continue from a state instead of from the beginning."""

    def result(self, folder: Path) -> Result:
        """Return the best so far, writing its files into ``folder``; callable at any event."""
