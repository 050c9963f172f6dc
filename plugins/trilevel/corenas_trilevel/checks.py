"""What is checked before a run begins: metrics, objective, features, teacher and images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from corenas import ConfigError, CorenasError, DataError, nearest
from corenas_sr.config import ShortTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.data.preflight import check_data
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.training.feature_config import FeaturesConfig
from corenas_sr.training.losses import feature_loss
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.supernet.config import TrilevelStrategyConfig
from corenas_trilevel.teacher.config import GROUND_TRUTH, TeacherConfig
from corenas_trilevel.teacher.images import check_teacher


def check(config: TrilevelConfig) -> None:
    """Refuse what would fail only after hours; what takes longest to check comes last.

    Raises:
        CorenasError: Metrics, objective, features, teacher or images cannot be used.
    """
    scale = config.search.space.config.scale
    build_metrics(config.metrics)
    _check_objective(config)
    works = tuple(_works(config))
    _check_features(works, scale)
    teachers = tuple(_teachers(config))
    for teacher in teachers:
        _check_teacher(teacher, scale=scale)
    check_data(config.data, patches={scale: max(work.patch for work in works)})
    for teacher in teachers:
        if Path(teacher.source).is_dir():
            pairs = load_pairs(config.data.train, scale=scale, split="train")
            _check_teacher(teacher, scale=scale, pairs=pairs)


@frozen
class _Work:
    """A training, where its options stand, and what its loss compares beside pixels."""

    where: str
    patch: int
    features: FeaturesConfig | None = None


def _works(config: TrilevelConfig) -> Iterator[_Work]:
    strategy, evaluator = config.strategy.config, config.search.evaluator.config
    if isinstance(strategy, TrilevelStrategyConfig):
        for name in ("pretrain", "search"):
            phase = getattr(strategy, name)
            features = strategy.features if phase.perceptual else None
            yield _Work(f"search.strategy.{name}", phase.patch, features)
    elif isinstance(evaluator, ShortTrainingConfig):
        yield _Work("search.evaluator.training", evaluator.training.patch)
    for name, training in config.trainings.items():
        yield _Work(name, training.patch, config.features if training.perceptual else None)


def _teachers(config: TrilevelConfig) -> Iterator[TeacherConfig]:
    yield config.teacher
    strategy = config.strategy.config
    if isinstance(strategy, TrilevelStrategyConfig) and strategy.teacher not in (
        None,
        config.teacher,
    ):
        yield strategy.teacher


def _check_objective(config: TrilevelConfig) -> None:
    """Refuse an objective that reads what no candidate is measured by."""
    search = config.search
    if isinstance(search.strategy.config, TrilevelStrategyConfig):
        return  # which has a loss instead
    measured = search.evaluator.build(search.space.build(), config.data).measures
    for name in search.objective.build().needs:
        if name not in measured:
            raise ConfigError(
                f"search.objective: {search.objective.name!r} needs {name!r}, which "
                f"search.evaluator does not measure{nearest(name, measured)}"
            )


def _check_features(works: tuple[_Work, ...], scale: int) -> None:
    """Refuse a network without weights, and patches that are too small for it."""
    for work in works:
        if work.features is None:
            continue
        least, side = max(cut.least for cut in work.features.cuts), work.patch * scale
        if side < least:
            raise ConfigError(
                f"{work.where}.patch: must be at least {-(-least // scale)} for "
                f"{work.features.description}, got {work.patch}"
            )
    for features in dict.fromkeys(work.features for work in works):
        if features is not None:
            feature_loss(features)


def _check_teacher(
    teacher: TeacherConfig, *, scale: int, pairs: tuple[ImagePair, ...] = ()
) -> None:
    """Refuse a teacher that cannot teach; of a folder, the images of the pairs are looked at."""
    if teacher.source != GROUND_TRUTH and not Path(teacher.source).exists():
        raise DataError(
            f"teacher.source: {teacher.source}: no such file or folder; name the teacher with "
            "--set teacher.source=FILE, or learn from the training images themselves with "
            f"--set teacher.source={GROUND_TRUTH}"
        )
    try:
        check_teacher(teacher, scale=scale, pairs=pairs)
    except CorenasError as error:
        raise type(error)(f"teacher.source: {error}") from error
