"""Options of everything in this package; this module imports no torch."""

from __future__ import annotations

from attrs import frozen
from corenas import SearchConfig, option, section
from corenas.training.config import TrainingConfig


@frozen
class SpaceConfig:
    """Options of the search space."""

    layers: int = option(3, "hidden layers that a network has at most", ge=1, le=8)


@frozen
class DataConfig:
    """Options of the data."""

    points: int = option(400, "points for training, and as many for validation", ge=10)
    noise: float = option(0.1, "standard deviation of their positions", ge=0)
    seed: int = option(0, "what the points are drawn with", ge=0)


@frozen
class EvaluatorConfig:
    """Options of the evaluator: how one candidate is trained and measured."""

    training: TrainingConfig = section(
        TrainingConfig, "the training of a candidate", steps=300, batch=64, learning_rate=1e-2
    )
    params_limit: int | None = option(
        2000, "candidates with more parameters are rejected; unset: none is", ge=1
    )


@frozen
class Options:
    """Options of the recipe."""

    data: DataConfig = section(DataConfig, "points")
    search: SearchConfig = section(
        SearchConfig,
        "the search",
        steps=30,
        space="plugin-name",
        strategy={"use": "evolution", "population": 10, "tournament": 3},
        evaluator="plugin-name",
    )
