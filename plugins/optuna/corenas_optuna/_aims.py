"""What a study optimises: the score, or several quantities of the evaluator at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

from corenas.errors import ConfigError
from corenas.names import nearest
from corenas.values.quantity import Quantity
from corenas.values.trial import Trial
from corenas_optuna.config import AimsConfig

Direction = Literal["maximize", "minimize"]


@frozen
class Aims:
    """Quantities to optimise, none for the score alone, and limits to keep with their signs."""

    quantities: tuple[Quantity, ...]
    limits: tuple[tuple[Quantity, float], ...]

    @property
    def directions(self) -> Sequence[Direction]:
        """Return the good direction of each aim."""
        signs = [quantity.sign for quantity in self.quantities] or [1]
        return ["maximize" if sign > 0 else "minimize" for sign in signs]

    def values(self, trial: Trial) -> list[float]:
        """Return one number for each aim; none at all where one is missing or not finite."""
        if not self.quantities:
            return [] if trial.score is None else [trial.score]
        metrics = trial.measurement.metrics if trial.measurement else {}
        values = [metrics.get(quantity.name, math.nan) for quantity in self.quantities]
        return values if all(map(math.isfinite, values)) else []

    def excess(self, trial: Trial) -> dict[str, float]:
        """Return by how much each limit is exceeded, negative where it is kept."""
        metrics = trial.measurement.metrics if trial.measurement else {}
        found = {
            # A quantity without a good direction has a limit above, as a cost has.
            quantity.name: (-quantity.sign or 1) * (metrics.get(quantity.name, math.nan) - limit)
            for quantity, limit in self.limits
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}


def choose_aims(config: AimsConfig, measures: Mapping[str, Quantity]) -> Aims:
    """Return the aims that the options name.

    Raises:
        ConfigError: A quantity is not measured, stands twice, or has no good direction.
    """
    names = config.quantities
    if len(set(names)) != len(names):
        raise ConfigError(f"quantities: one stands twice in {', '.join(names)}")
    quantities = tuple(_find("quantities", name, measures) for name in names)
    for quantity in quantities:
        if not quantity.sign:
            raise ConfigError(f"quantities: {quantity.name!r} has no good direction")
    limits = tuple((_find("limits", n, measures), limit) for n, limit in config.limits.items())
    return Aims(quantities, limits)


def _find(option: str, name: str, measures: Mapping[str, Quantity]) -> Quantity:
    if name not in measures:
        raise ConfigError(
            f"{option}: the evaluator does not measure {name!r}{nearest(name, measures)}"
        )
    return measures[name]
