"""What searches at several fidelities ask of components, beside `corenas.protocols`.

An evaluator that is `Gradual` can train a candidate to a share of its full training. A strategy
that is `Sampling` lends its sampler to another one. A `Scheduler` decides which candidate is
trained next, and how far; `corenas.search.lift` drives it. A component that is none of these is
asked for none of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from corenas.protocols import Job, Problem, Sampler
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Rejected
from corenas.values.fidelity import Proposal, Share
from corenas.values.result import State
from corenas.values.trial import Trial


@runtime_checkable
class Gradual(Protocol):
    """An evaluator whose jobs can end at a share of the full training."""

    @property
    def continues(self) -> bool:
        """Whether its jobs go on from what an earlier one handed back in `Outcome.state`.

        Such a job gives what an uninterrupted training gives, on the CPU bit for bit; others train
        anew to the larger share, which gives the same and takes longer.
        """

    def prepare_share(
        self, architecture: Architecture, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        """Do as `Evaluator.prepare` does, for a job that ends at the share.

        Where the share is not the full training, and the evaluator continues, the job's outcome has
        a ``state``: bytes that run no code when they are read. All jobs of a candidate have the
        seed of its first one.
        """


@runtime_checkable
class Sampling(Protocol):
    """A strategy that draws candidates from a `Sampler`, which another strategy may ask for."""

    def sampler(self, problem: Problem) -> Sampler:
        """Return a new sampler for the problem."""


class Scheduler(Protocol):
    """Decides what a sampling search trains next; no input or output, no training.

    What it answers depends on the calls and their order alone.
    """

    def propose(self, *, new: bool) -> Proposal | None:
        """Return what to train next; None if that depends on trials in flight, or is nothing.

        Args:
            new: Whether the budget allows a new candidate. Once it does not, and nothing is in
                flight, None ends the search.
        """

    def tell(self, trial: Trial) -> None:
        """Take in a finished trial, in the executor's order, its architecture as proposed."""

    def drop(self, trial: Trial) -> None:
        """Take in that a proposal was rejected, or its job failed."""

    def open(self) -> Collection[int]:
        """Return the numbers of the finished trials that a later one may still go on from."""

    def scalars(self) -> dict[str, float]:
        """Return what is worth watching, its sampler's scalars included."""

    def state(self) -> State:
        """Return everything that later proposals depend on, its sampler's state included."""

    def restore(self, state: State) -> None:
        """Continue from a state."""
