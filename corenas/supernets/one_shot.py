"""Which strategies train one supernet instead of candidates (no torch here)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from corenas.errors import SearchError
from corenas.options.structuring import Chosen
from corenas.values.evaluation import Rejected

if TYPE_CHECKING:
    from corenas.search.config import SearchConfig
    from corenas.values.search_result import SearchResult


class OneShot(Protocol):
    """A `Strategy` that says of itself that it trains a supernet: its result has no trials."""

    one_shot: ClassVar[bool]


def is_one_shot(strategy: Chosen) -> bool:
    """Tell whether a strategy, as the options choose it, trains a supernet instead of candidates.

    Recipes ask where they treat trials: the best ones trained again, limits that refuse some.
    """
    return getattr(strategy.build(), "one_shot", False) is True


def check_found(found: SearchResult, config: SearchConfig, *, data: Any, where: str) -> None:
    """Refuse a network that a supernet's search has chosen, and the evaluator does not take.

    Logits know nothing of an evaluator's limits. To be called before the network's long training;
    what has trials was admitted by the evaluator, and is not looked at.

    Args:
        found: What the search found.
        config: The search's options; its evaluator knows the limits.
        data: Where examples come from.
        where: The section of the search's options.

    Raises:
        SearchError: The network is beyond a limit.
    """
    if found.chosen is None or found.trials:
        return
    evaluator = config.evaluator.build(config.space.build(), data)
    job = evaluator.prepare(found.chosen, number=0, seed=0)
    if isinstance(job, Rejected):
        raise SearchError(
            f"{where}: the network found is refused: {job.reason}; in a new run raise that limit, "
            f"let costs weigh more with --set {where}.strategy.cost=..., or take a strategy that "
            "leaves such networks out, as single-path and all that sample do"
        )
    evaluator.drop(0)
