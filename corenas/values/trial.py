"""What a search reports: measurements, trials and events. Immutable, and JSON both ways."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from attrs import evolve, field, frozen

from corenas.values.architecture import Architecture
from corenas.values.quantity import Quantity

Status = Literal["finished", "rejected", "failed"]
Kind = Literal["started", "trial", "rejected", "failed", "epoch", "stage"]


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


@frozen
class Measurement:
    """What an evaluator measured of one candidate.

    ``metrics`` are numbers by name, such as ``psnr`` in dB and ``mult_adds``; ``seconds`` is what
    the evaluation took; ``artefacts`` are file names by purpose.
    """

    metrics: Mapping[str, float]
    seconds: float = 0.0
    artefacts: Mapping[str, str] = field(factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` turns back into an equal measurement.

        A metric that is not finite is left out, because JSON has no such number.
        """
        return {
            "metrics": _finite(self.metrics),
            "seconds": self.seconds,
            "artefacts": dict(self.artefacts),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measurement:
        """Read what `to_json` wrote."""
        return cls(value["metrics"], value["seconds"], value["artefacts"])


@frozen
class Trial:
    """One candidate and what became of it; ``score`` is higher for a better one.

    ``fidelity`` is the share of the full training that it had, in (0, 1], and ``rung`` which of the
    search's fidelities that is, from 0 for the smallest. ``continues`` is the number of the trial
    that it went on from, ``repeats`` that of the trial whose measurement it has, untrained.
    """

    number: int
    architecture: Architecture
    measurement: Measurement | None = None
    score: float | None = None
    status: Status = "finished"
    reason: str = ""
    rung: int = 0
    fidelity: float = 1.0
    continues: int | None = None
    repeats: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` turns back into an equal trial.

        A metric that is not finite is left out, because JSON has no such number.
        """
        value: dict[str, Any] = {
            "number": self.number,
            "status": self.status,
            "architecture": self.architecture.to_json(),
        }
        if self.measurement is not None:
            value |= self.measurement.to_json()
        if self.score is not None:
            value["score"] = self.score
        if self.reason:
            value["reason"] = self.reason
        # A plain search has one fidelity, of which its journal says nothing.
        if self.rung or self.fidelity != 1:
            value |= {"rung": self.rung, "fidelity": self.fidelity}
        if self.continues is not None:
            value["continues"] = self.continues
        if self.repeats is not None:
            value["repeats"] = self.repeats
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Trial:
        """Read what `to_json` wrote."""
        measurement = Measurement.from_json(value) if "metrics" in value else None
        return cls(
            value["number"],
            Architecture.from_json(value["architecture"]),
            measurement,
            value.get("score"),
            value["status"],
            value.get("reason", ""),
            value.get("rung", 0),
            value.get("fidelity", 1.0),
            value.get("continues"),
            value.get("repeats"),
        )


@frozen
class Event:
    """One line of the journal: what happened at ``step`` of ``total`` in a stage.

    ``scalars`` are numbers to plot; a non-finite one is left out when it is written, because JSON
    has no such number. The run fills in ``stage``, and into a stage's first event the
    ``quantities`` that it measures.
    """

    kind: Kind
    step: int = 0
    total: int = 0
    scalars: Mapping[str, float] = field(factory=dict)
    architecture: Architecture | None = None
    trial: Trial | None = None
    message: str = ""
    stage: str = ""
    quantities: tuple[Quantity, ...] = ()

    def at(self, stage: str) -> Event:
        """Return the same event as one of ``stage``."""
        return evolve(self, stage=stage)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that are empty."""
        value: dict[str, Any] = {"kind": self.kind, "stage": self.stage, "step": self.step}
        if self.total:
            value["total"] = self.total
        scalars = _finite(self.scalars)
        if scalars:
            value["scalars"] = scalars
        # A trial has its architecture in it: one line of the journal says it once.
        if self.trial is not None:
            value["trial"] = self.trial.to_json()
        elif self.architecture is not None:
            value["architecture"] = self.architecture.to_json()
        if self.message:
            value["message"] = self.message
        if self.quantities:
            value["quantities"] = [quantity.to_json() for quantity in self.quantities]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Event:
        """Read what `to_json` wrote."""
        trial = Trial.from_json(value["trial"]) if "trial" in value else None
        architecture = trial.architecture if trial else None
        if "architecture" in value:
            architecture = Architecture.from_json(value["architecture"])
        return cls(
            value["kind"],
            value["step"],
            value.get("total", 0),
            value.get("scalars", {}),
            architecture,
            trial,
            value.get("message", ""),
            value["stage"],
            tuple(Quantity.from_json(each) for each in value.get("quantities", ())),
        )
