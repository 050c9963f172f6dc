"""The strategy ``trilevel``: path, operations and widths searched together by gradients.

Wu et al., "Trilevel Neural Architecture Search for Efficient Single Image Super-Resolution"
(arXiv:2101.06658), Algorithm 1 of the supplement. It is the one-shot search of `corenas_oneshot`
with a relaxation for each level, the paper's phases and penalties, and a teacher.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import ClassVar

from attrs import evolve, frozen

from corenas import ConfigError, DataError, Problem, Search, StagePlan, nearest
from corenas.supernets.supervision import Supervision
from corenas.training.schedules import multistep
from corenas.values.architecture import DecisionKind
from corenas_oneshot.relaxing.relaxing import Relaxing
from corenas_oneshot.search.estimate import estimate
from corenas_oneshot.search.plan import PhasePlan, SearchPlan
from corenas_oneshot.search.search import OneShotSearch
from corenas_oneshot.search.step import Learning
from corenas_sr.config import DataConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.preflight import check_data
from corenas_sr.training.losses import FeatureLoss, feature_loss
from corenas_sr.training.supervision import Load, PatchSupervision
from corenas_trilevel.search._terms import TrilevelTerms
from corenas_trilevel.search.config import (
    ArchitectureConfig,
    PerceptualConfig,
    PhaseConfig,
    TrilevelStrategyConfig,
)
from corenas_trilevel.space.decisions import PATH
from corenas_trilevel.space.space import TrilevelSpace
from corenas_trilevel.teacher.checks import CheckedTraining, check_teacher_option, check_trainings
from corenas_trilevel.teacher.config import TeacherConfig
from corenas_trilevel.teacher.images import taught_pairs
from corenas_trilevel.teacher.loss import TeacherLoss

STRATEGY = "the strategy 'trilevel'"
"""Names the strategy in messages."""

PHASES = ("pretrain", "search")

PATH_LOGIT = 0.3
SMALL_LOGIT = 1e-3
"""Initial logits in the authors' code: of paths, and of operations and widths."""


@frozen
class TrilevelStrategy:
    """Searches a space of `TrilevelSpace` by training its supernet."""

    one_shot: ClassVar[bool] = True

    config: TrilevelStrategyConfig

    def check(self, problem: Problem) -> None:
        """Check features, patches, the teacher and all images.

        Raises:
            ConfigError: The space has no supernet of three levels, the recipe gives no images, the
                fixed path is not of the space, or a patch is too small for the features.
            DataError: Weights, the teacher or images cannot be used.
        """
        space, data = self._space(problem), DataConfig.required(problem.data, STRATEGY)
        scale, config = space.config.scale, self.config
        phases = {name: getattr(config, name) for name in PHASES}
        trainings = [
            CheckedTraining(f"search.strategy.{name}", phase.patch, config.features)
            if phase.perceptual
            else CheckedTraining(f"search.strategy.{name}", phase.patch)
            for name, phase in phases.items()
        ]
        # What takes longest comes last: reading all images, and then those of a teacher.
        check_trainings(trainings, scale)
        teacher = config.teacher or TeacherConfig()
        check_teacher_option("search.strategy.teacher", teacher, scale=scale)
        check_data(data, patches={scale: max(phase.patch for phase in phases.values())})
        check_teacher_option("search.strategy.teacher", teacher, scale=scale, source=data.train)

    def plan(self, problem: Problem) -> StagePlan:
        """Time a few steps of both phases; those of the search cover the radius from 0 to 1."""
        # The ground truth has images of the same size and takes no time to make.
        untaught = evolve(self.config, teacher=TeacherConfig())
        return estimate(TrilevelStrategy(untaught)._plan(problem), problem)

    def search(self, problem: Problem) -> Search:
        """Return the search as resumable work.

        Raises:
            ConfigError: The space has no supernet of three levels, the recipe gives no images, or
                the fixed path is not of the space.
            DataError: There are fewer than two images, or images or weights cannot be used.
        """
        plan = self._plan(problem)
        return OneShotSearch(problem.space, plan, seed=problem.seed, device=problem.device)

    def _plan(self, problem: Problem) -> SearchPlan:
        """Return the one-shot search that the options describe."""
        space, source = self._space(problem), DataConfig.required(problem.data, STRATEGY).train
        scale, config = space.config.scale, self.config
        pairs = load_pairs(source, scale=scale, split="train")
        if len(pairs) < 2:
            raise DataError(
                f"{source}: one image; the strategy 'trilevel' needs two at least, because weights "
                "and architecture learn from different ones"
            )
        load = _taught(pairs, config.teacher or TeacherConfig(), scale)
        features = _build_features(config)
        height, width = config.cost.size
        return SearchPlan(
            [
                _phase(
                    name,
                    getattr(config, name),
                    _supervision(getattr(config, name), load, features, scale),
                    learns=name == "search",
                )
                for name in PHASES
            ],
            relaxing_of(config.architecture),
            learning_of(config),
            # The supernet of such a space is one of three levels.
            lambda space, supernet: TrilevelTerms(supernet, config),  # type: ignore[arg-type]
            fixed={PATH: path} if (path := config.architecture.fixed_path) else {},
            counted_for=f"input of {width}x{height}",
        )

    def _space(self, problem: Problem) -> TrilevelSpace:
        space = problem.space
        if not isinstance(space, TrilevelSpace):
            raise ConfigError(
                "space: the strategy 'trilevel' needs a supernet of path, operations and widths, "
                f"as trilevel-a and trilevel-b have it; {space.name!r} has none"
            )
        _check_path(self.config.architecture.fixed_path, space)
        return space


def relaxing_of(config: ArchitectureConfig) -> dict[DecisionKind, Relaxing]:
    """Return how each level is relaxed.

    Widths are drawn while weights are trained alone, whatever they are in the search.
    """
    center, drawn = config.center, config.initial == "random"
    return {
        "path": Relaxing(config.path, center, initial=PATH_LOGIT),
        "operation": Relaxing(config.operations, center, initial=SMALL_LOGIT, random=drawn),
        "width": Relaxing(
            config.widths,
            center,
            config.temperature,
            SMALL_LOGIT,
            random=True,
            drawn_first=True,
        ),
    }


def learning_of(config: TrilevelStrategyConfig) -> Learning:
    """Return how weights and logits learn."""
    return Learning(
        config.clip,
        config.architecture.learning_rate,
        config.architecture.betas,
        config.sandwich,
        config.alternate == "architecture-first",
    )


def _check_path(path: str | None, space: TrilevelSpace) -> None:
    if path is not None and path not in space.candidates:
        raise ConfigError(
            f"architecture.fixed_path: {path!r} is no path of {space.name}"
            f"{nearest(path, space.candidates)}"
        )


def _taught(pairs: Sequence[ImagePair], teacher: TeacherConfig, scale: int) -> Load:
    """Return what makes the teacher's images; both phases learn from the same."""
    return cache(lambda device: taught_pairs(pairs, teacher, scale=scale, device=device))


def _supervision(
    config: PhaseConfig, load: Load, features: FeatureLoss | None, scale: int
) -> PatchSupervision:
    loss = TeacherLoss(config, features)
    return PatchSupervision(load, loss, scale=scale, patch=config.patch, batch=config.batch)


def _phase(name: str, config: PhaseConfig, supervision: Supervision, *, learns: bool) -> PhasePlan:
    return PhasePlan(
        name,
        config.steps,
        config.learning_rate,
        multistep([round(part * config.steps) for part in config.milestones]),
        supervision,
        learns,
        config.report_every,
        config.threads,
    )


def _build_features(config: TrilevelStrategyConfig) -> FeatureLoss | None:
    """Return the feature loss, if a phase gives it a weight."""
    needed = config.pretrain.perceptual or config.search.perceptual
    return feature_loss(config.features or PerceptualConfig()) if needed else None
