"""What a one-shot search does, from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

from corenas import Rejected, SearchSpace, Supernet
from corenas.supernets.supervision import Supervision
from corenas.training.schedules import Schedule
from corenas.values.architecture import Architecture, DecisionKind
from corenas_oneshot.relaxing.relaxing import Relaxing
from corenas_oneshot.search.step import Learning
from corenas_oneshot.search.terms import Terms

Refuse = Callable[[Architecture], Rejected | None]
"""Says why an architecture is not to be considered, such as its cost; None if it is."""


def refuse_nothing(architecture: Architecture) -> None:
    """Consider every architecture."""


@frozen
class PhasePlan:
    """A phase of training: how long, and how the weights learn in it.

    ``learns`` tells whether the architecture learns as well.
    """

    name: str
    steps: int
    learning_rate: float
    schedule: Schedule
    supervision: Supervision
    learns: bool
    report_every: int = 100
    threads: int = 1


@frozen
class RankingPlan:
    """How random paths are ranked by the supernet's weights.

    Args:
        candidates: How many are ranked.
        batches: Batches by whose mean loss they are.
        report_every: Candidates from one event to the next.
        rejections: So many of them in a row end the search.
    """

    candidates: int
    batches: int
    report_every: int
    rejections: int = 1000


@frozen
class SearchPlan:
    """All that a one-shot search does.

    Args:
        phases: Trainings, in their order; one at least.
        relaxing: How each kind of decision is relaxed.
        learning: How weights and logits learn.
        terms: Makes what the architecture pays for.
        fixed: Options of decisions that are not searched.
        ranking: How paths are ranked at the end; without it, logits choose the architecture.
        refuse: Says which architectures are not to be considered. None of them is ranked; logits
            may choose one all the same, and then the last event says so.
        counted_for: The input of the expected cost, in a few words; empty: the supervision's.
    """

    phases: Sequence[PhasePlan]
    relaxing: Mapping[DecisionKind, Relaxing]
    learning: Learning
    terms: Callable[[SearchSpace, Supernet], Terms]
    fixed: Mapping[str, str] = field(factory=dict)
    ranking: RankingPlan | None = None
    refuse: Refuse = refuse_nothing
    counted_for: str = ""

    @property
    def supervision(self) -> Supervision:
        """Examples and loss of the last phase."""
        return self.phases[-1].supervision
