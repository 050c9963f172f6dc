"""One rung: the results of one fidelity, of which the best may be trained further."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from typing import Any

from attrs import Factory, define, frozen

from corenas.values.architecture import Architecture
from corenas.values.trial import Trial


@frozen
class Entry:
    """A candidate that finished at the rung, as the sampler drew it.

    ``first`` is the number of its first trial.
    """

    number: int
    score: float
    architecture: Architecture
    first: int

    def to_json(self) -> list[Any]:
        """Return a JSON value that `from_json` turns back."""
        return [self.number, self.score, self.architecture.to_json(), self.first]

    @classmethod
    def from_json(cls, value: list[Any]) -> Entry:
        """Read what `to_json` wrote."""
        number, score, architecture, first = value
        return cls(number, score, Architecture.from_json(architecture), first)


def _best_first(entry: Entry) -> tuple[float, int]:
    return -entry.score, entry.number


@define
class Rung:
    """The best results of a rung, how many there were, and which were promoted.

    Of equal scores the earlier trial is better. What is not among the best ``most`` is forgotten:
    ranks only fall, so it can never be promoted. ``lost`` counts trials that gave no result and are
    not replaced; ``promoted`` has the numbers of first trials by those of the trials here.
    """

    most: int
    finished: int = 0
    lost: int = 0
    running: int = 0
    entries: list[Entry] = Factory(list)
    promoted: dict[int, int] = Factory(dict)

    def add(self, trial: Trial, first: int) -> None:
        """Take in a finished trial."""
        self.finished += 1
        score = trial.score or 0.0
        insort(self.entries, Entry(trial.number, score, trial.architecture, first), key=_best_first)
        del self.entries[self.most :]

    def waiting(self, best: int) -> list[Entry]:
        """Return those that are not promoted yet among so many of the best, the best first."""
        return [entry for entry in self.entries[:best] if entry.number not in self.promoted]

    def promote(self, entry: Entry) -> None:
        """Remember that a candidate is trained further."""
        self.promoted[entry.number] = entry.first

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` turns back."""
        return {
            "most": self.most,
            "finished": self.finished,
            "lost": self.lost,
            "running": self.running,
            "entries": [entry.to_json() for entry in self.entries],
            "promoted": dict(self.promoted),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rung:
        """Read what `to_json` wrote."""
        entries = [Entry.from_json(each) for each in value["entries"]]
        counts = value["most"], value["finished"], value["lost"], value["running"]
        return cls(*counts, entries, dict(value["promoted"]))
