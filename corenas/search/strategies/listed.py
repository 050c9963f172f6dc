"""A sampler that goes through given architectures, one trial each."""

from __future__ import annotations

from collections.abc import Sequence

from corenas.protocols import Strategy
from corenas.search.lift import sampled
from corenas.values.architecture import Architecture
from corenas.values.result import State
from corenas.values.trial import Trial


class Listed:
    """Asks for each architecture in turn; one that failed comes again at the end."""

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        self._waiting = list(architectures)

    def ask(self) -> Architecture:
        """Return the next one that has no finished trial."""
        architecture = self._waiting.pop(0)
        # At the end of the line: `tell` takes it off, and a failure leaves it for another try.
        self._waiting.append(architecture)
        return architecture

    def tell(self, trial: Trial) -> None:
        """Take a finished one off the list.

        It may be off already: when another fails, one that is still running can be asked for again.
        """
        if trial.architecture in self._waiting:
            self._waiting.remove(trial.architecture)

    def scalars(self) -> dict[str, float]:
        """Return nothing: there is no policy to watch."""
        return {}

    def state(self) -> State:
        """Return the order of what is left."""
        return {"waiting": [architecture.to_json() for architecture in self._waiting]}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._waiting = [Architecture.from_json(value) for value in state["waiting"]]


def listed(architectures: Sequence[Architecture]) -> Strategy:
    """Return the strategy that measures these architectures, whatever it is asked to search."""
    return sampled(lambda space, seed: Listed(architectures))
