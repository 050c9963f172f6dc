"""What a search returns, whatever kind of search it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from corenas.values.architecture import Architecture
from corenas.values.quantity import Quantity
from corenas.values.result import Result
from corenas.values.trial import Measurement, Trial


@frozen
class SearchResult:
    """The outcome of a search, at its end or at any event before; JSON both ways.

    Args:
        chosen: The architecture that the search would hand over now; None before there is one.
        measurement: What is known of the chosen one, be it measured or, as after a one-shot
            search, only counted and estimated.
        trials: Candidates that were measured by themselves, the best of each architecture, best
            first; the highest fidelity comes before all others. A one-shot search has none: its
            steps are not trials.
        front: The trials that no other one equals or beats in all quantities, among those of the
            highest fidelity that was reached.
        counts: How often what happened, such as ``finished``, ``rejected`` and ``failed`` trials,
            or ``steps``.
        quantities: Describe the numbers of trials and measurement.
        files: What later stages start from: file names in the folder that the search was given, by
            purpose.
    """

    chosen: Architecture | None = None
    measurement: Measurement | None = None
    trials: tuple[Trial, ...] = ()
    front: tuple[Trial, ...] = ()
    counts: Mapping[str, int] = field(factory=dict)
    quantities: tuple[Quantity, ...] = ()
    files: Mapping[str, str] = field(factory=dict)

    def to_result(self) -> Result:
        """Return it as what a task hands over."""
        return Result(
            {
                "chosen": self.chosen and self.chosen.to_json(),
                "measurement": self.measurement and self.measurement.to_json(),
                "trials": [trial.to_json() for trial in self.trials],
                "front": [trial.to_json() for trial in self.front],
                "counts": dict(self.counts),
                "quantities": [quantity.to_json() for quantity in self.quantities],
            },
            self.files,
        )

    @classmethod
    def from_result(cls, result: Result) -> SearchResult:
        """Read what `to_result` gave, also after it was stored as JSON."""
        values: Mapping[str, Any] = result.values
        chosen, measurement = values["chosen"], values["measurement"]
        return cls(
            None if chosen is None else Architecture.from_json(chosen),
            None if measurement is None else Measurement.from_json(measurement),
            tuple(map(Trial.from_json, values["trials"])),
            tuple(map(Trial.from_json, values["front"])),
            values["counts"],
            tuple(map(Quantity.from_json, values["quantities"])),
            result.files,
        )
