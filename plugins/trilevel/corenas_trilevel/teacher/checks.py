"""Checks of trainings that learn from a teacher: features, patches, and the teacher itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from corenas import ConfigError, CorenasError, DataError
from corenas_sr.data.datasets import load_pairs
from corenas_sr.features.config import FeaturesConfig
from corenas_sr.training.losses import feature_loss
from corenas_trilevel.teacher.config import GROUND_TRUTH, TeacherConfig
from corenas_trilevel.teacher.images import check_teacher


@frozen
class CheckedTraining:
    """A training to check: the section of its options, its patch, and the features it compares."""

    where: str
    patch: int
    features: FeaturesConfig | None = None


def check_trainings(trainings: Sequence[CheckedTraining], scale: int) -> None:
    """Refuse a network of features without weights, and patches that are too small for it.

    Raises:
        ConfigError: A patch is too small.
        DataError: Weights are missing.
    """
    for training in trainings:
        if training.features is None:
            continue
        least, side = max(cut.least for cut in training.features.cuts), training.patch * scale
        if side < least:
            raise ConfigError(
                f"{training.where}.patch: must be at least {-(-least // scale)} for "
                f"{training.features.description}, got {training.patch}"
            )
    for features in dict.fromkeys(training.features for training in trainings):
        if features is not None:
            feature_loss(features)


def check_teacher_option(
    where: str, teacher: TeacherConfig, *, scale: int, source: str | None = None
) -> None:
    """Refuse a teacher that cannot teach.

    Args:
        where: The section of its options; messages begin with it.
        teacher: The options.
        scale: The up-scaling factor.
        source: Training images. If they are given and the teacher is a folder, its images of them
            are read.

    Raises:
        CorenasError: The teacher is not there, or cannot teach.
    """
    path = Path(teacher.source)
    if teacher.source != GROUND_TRUTH and not path.exists():
        raise DataError(
            f"{where}.source: {teacher.source}: no such file or folder; name the teacher with "
            f"--set {where}.source=FILE, or learn from the training images themselves with "
            f"--set {where}.source={GROUND_TRUTH}"
        )
    looked_at = source is not None and path.is_dir()
    pairs = load_pairs(source, scale=scale, split="train") if source and looked_at else ()
    try:
        check_teacher(teacher, scale=scale, pairs=pairs)
    except CorenasError as error:
        raise type(error)(f"{where}.source: {error}") from error
