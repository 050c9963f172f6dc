"""The strategies ``sparsestmax``, ``sparsemax``, ``darts``, ``gumbel`` and ``single-path``.

They search every space that offers a supernet, by the examples and the loss of the evaluator that
is chosen: what its candidates would be trained by, the supernet is.

- sparsestmax: Shao et al. (CVPR 2019), as Wu et al. (arXiv:2101.06658) search with it.
- darts: Liu et al. (arXiv:1806.09055), of first order.
- gumbel: Jang et al. (arXiv:1611.01144), as SNAS and GDAS search with it.
- single-path: Guo et al. (arXiv:1904.00420).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, get_args

import attrs
from attrs import frozen

from corenas import (
    Architecture,
    ConfigError,
    Evaluator,
    Problem,
    Rejected,
    Relaxable,
    Search,
    StagePlan,
    Strategy,
)
from corenas.supernets.supervision import Rehearsing, Supervising, Supervision
from corenas.training.schedules import constant, cosine
from corenas.values.architecture import DecisionKind
from corenas_oneshot.config import (
    DartsConfig,
    Method,
    Mixing,
    OneShotConfig,
    SinglePathConfig,
    WarmUpConfig,
)
from corenas_oneshot.relaxing.relaxing import DRAWN, Relaxing
from corenas_oneshot.search.estimate import estimate
from corenas_oneshot.search.plan import PhasePlan, RankingPlan, SearchPlan
from corenas_oneshot.search.search import OneShotSearch, chosen_space
from corenas_oneshot.search.step import Learning
from corenas_oneshot.search.terms import CostTerm

KINDS: tuple[DecisionKind, ...] = get_args(DecisionKind)


@frozen
class OneShotStrategy:
    """Searches a space by training its supernet.

    Args:
        name: In messages.
        make: Makes the plan of a problem's search.
    """

    one_shot: ClassVar[bool] = True

    name: str
    make: Callable[[Problem, Supervision], SearchPlan]

    def check(self, problem: Problem) -> None:
        """Check space, evaluator and data, and that there are examples for both halves.

        Raises:
            CorenasError: The space has no supernet, the evaluator no supervision, or the data
                cannot be used.
        """
        plan = self._plan(problem, rehearsed=True)
        problem.evaluator.check()
        for part in ("weights", "architecture"):
            plan.supervision.stream(part, split=0, seed=0, device="cpu")

    def plan(self, problem: Problem) -> StagePlan:
        """Time a few steps of each phase."""
        return estimate(self._plan(problem, rehearsed=True), problem)

    def search(self, problem: Problem) -> Search:
        """Return the search as resumable work.

        Raises:
            ConfigError: The space has no supernet, or the evaluator no supervision.
        """
        plan = self._plan(problem)
        return OneShotSearch(problem.space, plan, seed=problem.seed, device=problem.device)

    def _plan(self, problem: Problem, *, rehearsed: bool = False) -> SearchPlan:
        check_relaxable(problem, self.name)
        chosen_space(problem.space)
        evaluator = problem.evaluator
        if not isinstance(evaluator, Supervising):
            raise ConfigError(
                f"evaluator: the strategy {self.name!r} trains a supernet by the evaluator's "
                "examples and loss, and this one does not tell them (supervision); choose another "
                "evaluator, or a strategy that samples, such as evolution"
            )
        if rehearsed and isinstance(evaluator, Rehearsing):
            return self.make(problem, evaluator.rehearsal())
        return self.make(problem, evaluator.supervision())


def check_relaxable(problem: Problem, strategy: str) -> None:
    """Refuse a space without a supernet.

    Raises:
        ConfigError: The space has none.
    """
    if not isinstance(problem.space, Relaxable):
        raise ConfigError(
            f"space: the strategy {strategy!r} trains a supernet, and the space "
            f"{problem.space.name!r} offers none; strategies that sample, such as random, "
            "evolution and tpe, search every space"
        )


def one_shot(config: OneShotConfig, *, name: str, method: Mixing) -> Strategy:
    """Build a strategy whose decisions have one relaxation, but for the kinds that say another."""
    return OneShotStrategy(name, partial(_learnt, config, method))


def sparsestmax(config: OneShotConfig) -> Strategy:
    """Build the strategy ``sparsestmax``."""
    return one_shot(config, name="sparsestmax", method="sparsestmax")


def sparsemax(config: OneShotConfig) -> Strategy:
    """Build the strategy ``sparsemax``."""
    return one_shot(config, name="sparsemax", method="sparsemax")


def darts(config: DartsConfig) -> Strategy:
    """Build the strategy ``darts``."""
    return one_shot(config, name="darts", method="softmax")


def gumbel(config: OneShotConfig) -> Strategy:
    """Build the strategy ``gumbel``."""
    return one_shot(config, name="gumbel", method="gumbel")


def single_path(config: SinglePathConfig) -> Strategy:
    """Build the strategy ``single-path``."""
    return OneShotStrategy("single-path", partial(_sampled, config))


def _learnt(
    config: OneShotConfig, method: Mixing, problem: Problem, supervision: Supervision
) -> SearchPlan:
    """Return the plan of a search in which logits learn."""
    if config.sandwich:
        _check_widths(problem)
    _check_kinds(config, problem)
    logits = config.architecture
    learning = Learning(
        config.clip,
        logits.learning_rate,
        logits.betas,
        config.sandwich,
        config.alternate == "architecture-first",
    )
    return SearchPlan(
        (
            _phase("warmup", config.warmup, supervision, learns=False),
            _phase("search", config.search, supervision, learns=True),
        ),
        _relaxing(config, method),
        learning,
        lambda space, supernet: CostTerm(space, supernet, config.cost),
        refuse=partial(_refuse, problem.evaluator),
    )


def _sampled(config: SinglePathConfig, problem: Problem, supervision: Supervision) -> SearchPlan:
    """Return the plan of a search that ranks paths."""
    ranking = RankingPlan(
        config.candidates,
        config.batches,
        config.report_every,
        problem.budget.rejections,
    )
    return SearchPlan(
        (_phase("train", config.training, supervision, learns=False),),
        dict.fromkeys(KINDS, Relaxing("uniform", drawn_first=True)),
        Learning(config.clip),
        lambda space, supernet: CostTerm(space, supernet, 0.0),
        ranking=ranking,
        refuse=partial(_refuse, problem.evaluator),
    )


def _phase(name: str, config: WarmUpConfig, supervision: Supervision, *, learns: bool) -> PhasePlan:
    schedule = cosine(config.steps) if config.schedule == "cosine" else constant()
    return PhasePlan(
        name,
        config.steps,
        config.learning_rate,
        schedule,
        supervision,
        learns,
        config.report_every,
        config.threads,
    )


def _relaxing(config: OneShotConfig, method: Mixing) -> Mapping[DecisionKind, Relaxing]:
    chosen: dict[DecisionKind, Method] = dict.fromkeys(KINDS, method)
    given = attrs.asdict(config.kinds)
    chosen |= {kind: given[kind] for kind in KINDS if given[kind] is not None}
    logits = config.architecture
    return {
        kind: Relaxing(
            how,
            logits.center,
            logits.temperature,
            logits.initial,
            random=True,
            # What is one option in each step should be so before the search as well.
            drawn_first=how in DRAWN,
        )
        for kind, how in chosen.items()
    }


def _check_kinds(config: OneShotConfig, problem: Problem) -> None:
    """Refuse a relaxation of a kind that no decision has: it would do nothing, and say so nowhere.

    Raises:
        ConfigError: The space has no decision of a kind that the options name.
    """
    there = {decision.kind for decision in problem.space.decisions}
    for kind, method in attrs.asdict(config.kinds).items():
        if method is not None and kind not in there:
            raise ConfigError(
                f"kinds.{kind}: no decision of the space {problem.space.name!r} is of this kind; "
                f"it has {', '.join(sorted(there))}"
            )


def _check_widths(problem: Problem) -> None:
    """Refuse the sandwich rule where it has no widths to take the extremes of.

    Raises:
        ConfigError: The space has no widths, or such as are no numbers.
    """
    if all(decision.kind != "width" for decision in problem.space.decisions):
        raise ConfigError(
            f"sandwich: it takes the widest and the narrowest of each width, and no decision of "
            f"the space {problem.space.name!r} is a width"
        )
    for decision in problem.space.decisions:
        if decision.kind == "width":
            for option in decision.options:
                try:
                    float(option)
                except ValueError:
                    raise ConfigError(
                        f"sandwich: it takes the widest and the narrowest of each width, and the "
                        f"width {decision.name!r} has the option {option!r}, which is no number"
                    ) from None


def _refuse(evaluator: Evaluator, architecture: Architecture) -> Rejected | None:
    """Return the evaluator's refusal of a candidate, which is not trained."""
    job = evaluator.prepare(architecture, number=0, seed=0)
    if isinstance(job, Rejected):
        return job
    evaluator.drop(0)
    return None
