"""One bracket in progress: its rungs, each promoted from when all of it has finished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from attrs import define

from corenas.search.rungs._rung import Entry, Rung
from corenas.search.rungs.ladder import Bracket, Ladder


@define
class Level:
    """A rung of one bracket, and how many trials it will have.

    ``expected`` is None until the level below is complete.
    """

    rung: Rung
    expected: int | None = None

    @property
    def ended(self) -> int:
        """How many trials have a result, or will never have one."""
        return self.rung.finished + self.rung.lost

    @property
    def complete(self) -> bool:
        """Whether no trial is to come."""
        return self.expected is not None and self.ended >= self.expected

    def survivors(self, eta: int) -> int:
        """Return how many go on: one in eta, and one at least if there is any."""
        return min(self.rung.finished, max(1, self.rung.finished // eta))


class Climbing:
    """One bracket in progress.

    ``begun`` is how many new candidates are finished or in flight.
    """

    def __init__(self, bracket: Bracket, ladder: Ladder) -> None:
        self.bracket = bracket
        self._eta = ladder.eta
        self.begun = 0
        most = max(1, bracket.candidates // ladder.eta)
        self.levels = [Level(Rung(most)) for _ in range(bracket.bottom, ladder.rungs)]
        self.levels[0].expected = bracket.candidates

    @property
    def done(self) -> bool:
        """Whether every level is complete."""
        return all(level.complete for level in self.levels)

    @property
    def running(self) -> int:
        """How many new candidates are in flight."""
        return self.begun - self.levels[0].ended

    @property
    def wants_more(self) -> bool:
        """Whether it takes another new candidate."""
        expected = self.levels[0].expected
        return expected is not None and self.begun < expected

    def promote(self) -> tuple[Entry, int] | None:
        """Promote a candidate of a complete level; return it and the rung that it climbs to."""
        for height, (level, above) in enumerate(pairwise(self.levels), 1):
            if not level.complete:
                break
            above.expected = level.survivors(self._eta)
            for entry in level.rung.waiting(above.expected):
                level.rung.promote(entry)
                return entry, self.bracket.bottom + height
        return None

    def close(self) -> None:
        """Go on with the candidates that there are: no other will come."""
        self.levels[0].expected = self.levels[0].ended

    def open(self) -> Iterator[int]:
        """Iterate over the trials that are, or may yet be, among the survivors of their level."""
        for level in self.levels[:-1]:
            best = level.survivors(self._eta) if level.complete else level.rung.most
            yield from (entry.number for entry in level.rung.waiting(best))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value that `from_json` turns back."""
        levels = [[level.rung.to_json(), level.expected] for level in self.levels]
        bracket = self.bracket
        return {
            "bottom": bracket.bottom,
            "candidates": bracket.candidates,
            "begun": self.begun,
            "levels": levels,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], ladder: Ladder) -> Climbing:
        """Read what `to_json` wrote."""
        climbing = cls(Bracket(value["bottom"], value["candidates"]), ladder)
        climbing.begun = value["begun"]
        climbing.levels = [
            Level(Rung.from_json(rung), expected) for rung, expected in value["levels"]
        ]
        return climbing
