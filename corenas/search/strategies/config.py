"""Options of the baselines."""

from __future__ import annotations

from attrs import frozen

from corenas.options.structuring import option


@frozen
class EvolutionConfig:
    """Options of ``evolution``."""

    population: int = option(
        100, "how many of the latest architectures may be parents", paper="100", ge=1
    )
    known: bool = option(
        False, "begin with the networks that the space knows by name, then draw at random"
    )
    tournament: int = option(
        25, "how many draws from the population a parent has to win", paper="25", ge=1
    )
