"""Options of everything in this package (no torch here)."""

from __future__ import annotations

from attrs import frozen

from corenas import SearchConfig, option, section
from corenas.training.config import TrainingConfig


@frozen
class SpaceConfig:
    """Options of the search space."""

    most_blocks: int = option(4, "blocks that a network has at most", ge=1, le=16)


@frozen
class DataConfig:
    """Options of the data: scikit-learn's digits, 1,797 images of 8x8 pixels."""

    split_seed: int = option(0, "decides which images are for training, validation and test", ge=0)


@frozen
class EvaluatorConfig:
    """Options of the evaluator: how one candidate is trained and measured."""

    training: TrainingConfig = section(
        TrainingConfig,
        "the training of a candidate, on the training images",
        steps=300,
        batch=64,
        learning_rate=5e-3,
        schedule="cosine",
    )
    params_limit: int | None = option(
        10_000, "candidates with more parameters are rejected; unset: none is", ge=1
    )


@frozen
class DigitsConfig:
    """Options of the recipe ``digits``."""

    data: DataConfig = section(DataConfig, "images")
    search: SearchConfig = section(
        SearchConfig,
        "the search",
        steps=40,
        space="digits-cnn",
        strategy={"use": "evolution", "population": 16, "tournament": 4},
        evaluator="digits-accuracy",
    )
    training: TrainingConfig = section(
        TrainingConfig,
        "the training of the network found, on the images for training and validation",
        steps=2500,
        batch=64,
        learning_rate=5e-3,
        schedule="cosine",
        report_every=250,
    )
