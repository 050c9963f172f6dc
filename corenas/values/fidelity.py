"""How far a candidate is trained: to a share of its full training, maybe going on from before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from corenas.values.architecture import Architecture


@frozen
class Share:
    """How far one job trains its candidate.

    Args:
        fidelity: The share of the full training, in (0, 1], counted from the candidate's beginning.
        state: What an earlier job of the same candidate handed back in `Outcome.state`, to go on
            from. Without it the training begins anew and runs to the same share.
        annealed: Whether the step size falls to its end at this share. By default it follows the
            schedule of the full training, so that a continued training is the uninterrupted one.
    """

    fidelity: float = 1.0
    state: bytes = field(default=b"", repr=False)
    annealed: bool = False

    @property
    def is_full(self) -> bool:
        """Whether nothing is left to train after it."""
        return self.fidelity >= 1

    def steps(self, full: int) -> int:
        """Return how many of ``full`` optimiser steps have been done at its end; at least one."""
        return max(1, round(self.fidelity * full))


FULL_TRAINING = Share()
"""All of it, from the beginning."""


@frozen
class Proposal:
    """What is to be trained next, and how far.

    Args:
        architecture: The candidate, as the sampler drew it.
        fidelity: The share of its full training, in (0, 1].
        rung: Which of the search's fidelities that is, from 0 for the smallest.
        continues: Number of the trial that it goes on from; None for a new candidate.
        first: Number of the candidate's first trial, whose seed it has; None for a new candidate.
        annealed: See `Share`.
    """

    architecture: Architecture
    fidelity: float = 1.0
    rung: int = 0
    continues: int | None = None
    first: int | None = None
    annealed: bool = False

    @property
    def is_new(self) -> bool:
        """Whether no trial of the same candidate was before it."""
        return self.continues is None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` turns back; a plain one's is its architecture's."""
        value = self.architecture.to_json()
        if not self.is_new:
            value |= {"continues": self.continues, "first": self.first}
        if self.rung or self.fidelity != 1:
            value |= {"rung": self.rung, "fidelity": self.fidelity, "annealed": self.annealed}
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Proposal:
        """Read what `to_json` wrote."""
        return cls(
            Architecture.from_json(value),
            value.get("fidelity", 1.0),
            value.get("rung", 0),
            value.get("continues"),
            value.get("first"),
            value.get("annealed", False),
        )


def format_share(fidelity: float) -> str:
    """Return a share of the full training as people write it: ``1/9``, ``0.4`` or ``all``."""
    if fidelity >= 1:
        return "all"
    parts = round(1 / fidelity)
    return f"1/{parts}" if math.isclose(parts * fidelity, 1) else f"{fidelity:.3g}"
