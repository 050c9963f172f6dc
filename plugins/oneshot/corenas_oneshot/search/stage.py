"""What is under way in a one-shot search: a phase of training, or the ranking."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Protocol

from corenas import Architecture, Event, State
from corenas.training.loop import Training
from corenas_oneshot.relaxing.logits import Logits
from corenas_oneshot.search.step import OneShotStep


class Stage(Protocol):
    """A part of a search, with events and a state of its own."""

    def events(self) -> Iterator[Event]:
        """Go on; steps count from the beginning of the stage."""

    def scalars(self) -> Mapping[str, float]:
        """Return what is told with each event, besides the event's own numbers."""

    def architecture(self) -> Architecture | None:
        """Return what would be chosen now; None before there is anything to choose by."""

    def measurement(self) -> dict[str, float]:
        """Return ``loss`` and ``expected_cost``; NaN where there is none yet."""

    def counts(self) -> dict[str, int]:
        """Return how often what has happened in this stage, ``steps`` first."""

    def state(self) -> State:
        """Return everything that the next event depends on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


class TrainingStage:
    """A phase of training.

    Args:
        step: The step that is trained by.
        training: The training.
        logits: What the architecture is taken from; None where it is chosen later, by a ranking.
    """

    def __init__(self, step: OneShotStep, training: Training, logits: Logits | None) -> None:
        self._step = step
        self._training = training
        self._logits = logits

    def events(self) -> Iterator[Event]:
        return self._training.events()

    def scalars(self) -> Mapping[str, float]:
        return self._step.report()

    def architecture(self) -> Architecture | None:
        return None if self._logits is None else self._logits.architecture()

    def measurement(self) -> dict[str, float]:
        loss: float = self._training.state()["scalars"].get("loss", math.nan)
        return {"expected_cost": self._step.report()["expected_cost"], "loss": loss}

    def counts(self) -> dict[str, int]:
        return {"steps": self._training.state()["done"]}

    def state(self) -> State:
        return self._training.state()

    def restore(self, state: State) -> None:
        self._training.restore(state)
