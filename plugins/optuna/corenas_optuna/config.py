"""Options of everything in this package (no Optuna here)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from corenas.options.structuring import option


@frozen
class AimsConfig:
    """What every strategy of this package has: its aims and limits."""

    quantities: tuple[str, ...] = option(
        (), "what is optimised at once, by name, such as psnr and mult_adds; none: the score"
    )
    limits: Mapping[str, float] = option({}, "what a quantity shall not be worse than, by its name")


@frozen
class TpeConfig(AimsConfig):
    """Options of ``tpe``."""

    startup: int = option(10, "candidates that are drawn at random first", ge=1)
    draws: int = option(24, "how many draws the best of is taken", paper="24", ge=1)
    joint: bool | None = option(
        None, "model decisions together; unset: with one aim they are, with several not"
    )


@frozen
class GpConfig(AimsConfig):
    """Options of ``gp``."""

    startup: int = option(10, "candidates that are drawn at random first", ge=1)


@frozen
class GeneticConfig(AimsConfig):
    """Options of ``nsga2``."""

    population: int = option(50, "candidates of one generation", paper="100", ge=2)
    crossover: float = option(0.9, "how often a child has two parents", paper="0.9", ge=0, le=1)
    swap: float = option(0.5, "how often such a child has an option of its second one", ge=0, le=1)
    mutation: float | None = option(
        None, "how often an option is drawn anew; unset: one in a network", ge=0, le=1
    )


@frozen
class ReferenceConfig(GeneticConfig):
    """Options of ``nsga3``."""

    divisions: int = option(3, "into how many parts reference points divide each axis", ge=1)


@frozen
class StorageConfig:
    """Options of the tracker ``optuna-storage``."""

    address: str = option(
        "", "a URL that SQLAlchemy knows, such as sqlite:///runs.db, or a journal file's path"
    )
