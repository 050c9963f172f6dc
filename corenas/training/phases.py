"""A training in phases: each goes on with the network that the one before delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from attrs import evolve, frozen
from torch import nn

from corenas.training.loop import Training
from corenas.values.result import Result, State
from corenas.values.trial import Event


@frozen
class Phase:
    """One phase: how many steps it has, and what makes its training of a network."""

    steps: int
    build: Callable[[nn.Module], Training]


class PhasedTraining:
    """Trainings of one network, one after the other, as one task.

    Optimiser, moving average and schedule begin anew with each phase. Steps are counted through;
    where there are several phases, the scalar ``phase`` counts them from 1.

    Args:
        phases: At least one.
        network: What the first phase starts from.

    Raises:
        ValueError: There is no phase.
    """

    def __init__(self, phases: Sequence[Phase], network: nn.Module) -> None:
        if not phases:
            raise ValueError("a training needs at least one phase")
        self._phases = tuple(phases)
        self._number = 0
        self._updates = 0
        self._training = phases[0].build(network)

    @property
    def steps(self) -> int:
        """How many optimiser steps all phases have."""
        return sum(phase.steps for phase in self._phases)

    def events(self, until: int | None = None, *, annealed: bool = False) -> Iterator[Event]:
        """Train, phase by phase.

        Args:
            until: The step to train up to, counted through; by default the last one.
            annealed: Whether the schedule of the phase that it lies in comes to its end there.

        Raises:
            Diverged: The scalars since the last event are not all finite.
        """
        last = self.steps if until is None else min(until, self.steps)
        yield from self._events(last, annealed)
        while self._begun(self._number + 1) < last:
            network = self._training.deliverable()
            self._updates += self._training.updates
            self._number += 1
            self._training = self._phases[self._number].build(network)
            yield from self._events(last, annealed)

    def _begun(self, number: int) -> int:
        """Return the step at which a phase begins."""
        return sum(phase.steps for phase in self._phases[:number])

    def _events(self, last: int, annealed: bool) -> Iterator[Event]:
        before = self._begun(self._number)
        phase = {"phase": self._number + 1.0} if len(self._phases) > 1 else {}
        for event in self._training.events(last - before, annealed=annealed):
            yield evolve(
                event,
                step=before + event.step,
                total=self.steps,
                scalars={**event.scalars, **phase},
            )

    def deliverable(self) -> nn.Module:
        """Return the network that the training is for, as it is now."""
        return self._training.deliverable()

    def state(self) -> State:
        """Return the number of the phase, and the state of its training."""
        return {
            "phase": self._number,
            "updates": self._updates,
            "training": self._training.state(),
        }

    def restore(self, state: State) -> None:
        """Continue from a state, to the same result as without the interruption."""
        self._updates = state.get("updates", 0)
        if state["phase"] != self._number:
            self._number = state["phase"]
            # Its own weights do not matter: the state has those of the phase.
            self._training = self._phases[self._number].build(self._training.deliverable())
        self._training.restore(state["training"])

    def result(self, folder: Path) -> Result:
        """Return the newest scalars and the files of the phase in progress."""
        result = self._training.result(folder)
        return evolve(
            result,
            values={
                **result.values,
                **self._counts(result),
                "phase": self._number + 1,
            },
        )

    def _counts(self, result: Result) -> dict[str, int]:
        """Return the steps of all phases so far, and the updates where they are another number."""
        counts = {"steps": self._begun(self._number) + result.values["steps"]}
        if "updates" in result.values:
            counts["updates"] = self._updates + result.values["updates"]
        return counts
