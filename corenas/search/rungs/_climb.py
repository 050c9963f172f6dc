"""What the schedulers of this room share: their sampler, and proposals for rungs."""

from __future__ import annotations

from attrs import frozen

from corenas.protocols import Attentive, Sampler
from corenas.search.rungs._rung import Entry
from corenas.search.rungs.ladder import Ladder
from corenas.values.fidelity import Proposal
from corenas.values.trial import Trial


@frozen
class Climb:
    """How candidates are drawn and climb.

    Args:
        ladder: The fidelities.
        sampler: Draws the candidates.
        annealed: See `corenas.values.fidelity.Share`.
        tell_every: Whether the sampler is told of every rung, or of a candidate's first one alone.
    """

    ladder: Ladder
    sampler: Sampler
    annealed: bool = False
    tell_every: bool = False

    def begin(self, rung: int) -> Proposal:
        """Return a new candidate for a rung."""
        fidelity = self.ladder.fidelity(rung)
        return Proposal(self.sampler.ask(), fidelity, rung, annealed=self.annealed)

    def go_on(self, entry: Entry, rung: int) -> Proposal:
        """Return the proposal that brings a candidate to a rung from the one below."""
        return Proposal(
            entry.architecture,
            self.ladder.fidelity(rung),
            rung,
            continues=entry.number,
            first=entry.first,
            annealed=self.annealed,
        )

    def drop(self, trial: Trial) -> None:
        """Tell a sampler that wants to know of a new candidate that was never measured."""
        if trial.continues is None and isinstance(self.sampler, Attentive):
            self.sampler.drop(trial)

    def tell(self, trial: Trial) -> None:
        """Tell the sampler what it is to know."""
        if self.tell_every or trial.continues is None:
            self.sampler.tell(trial)
