"""Checks before a run begins: metrics, objective, features, teacher and images."""

from __future__ import annotations

from collections.abc import Callable

from corenas import ConfigError, check_search
from corenas_sr.data.preflight import check_data
from corenas_sr.results.evaluation import build_metrics
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.teacher.checks import CheckedTraining, check_teacher_option, check_trainings


def check_options(
    config: TrilevelConfig, *, check_images: Callable[..., object] = check_data
) -> None:
    """Refuse options with which the run would fail after hours; slow checks come last.

    Args:
        config: The options.
        check_images: What looks at all images; a run's also remembers them.

    Raises:
        CorenasError: Metrics, objective, features, teacher or images cannot be used.
    """
    build_metrics(config.metrics)
    scale = config.search.space.option("scale")
    if scale is None:
        raise ConfigError(
            f"search.space: {config.search.space.name!r} has no option 'scale'; allowed are only "
            "spaces of super-resolution networks"
        )
    # The teacher twice: whether it is there at once, whether its images are whole at the end.
    check_trainings(checked_trainings(config), scale)
    check_teacher_option("teacher", config.teacher, scale=scale)
    check_search("search", config.taught_search, data=config.data)
    patch = max(training.largest_patch for training in config.trainings.values())
    check_images(config.data, patches={scale: patch})
    check_teacher_option("teacher", config.teacher, scale=scale, source=config.data.train)


def checked_trainings(config: TrilevelConfig) -> list[CheckedTraining]:
    """Return the trainings of the network found, as the checks see them."""
    return [
        CheckedTraining(name, training.patch, config.features if training.perceptual else None)
        for name, training in config.trainings.items()
    ]
