"""The evaluator ``sr-training``: every candidate is trained from scratch, and for a short time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from corenas import (
    Architecture,
    ConfigError,
    Job,
    Measurement,
    Outcome,
    Rejected,
    Report,
    SearchSpace,
    State,
    Trial,
)
from corenas.cost import CostTable
from corenas.training.networks import seeded
from corenas_sr.config import DataConfig, ShortTrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.training.candidates import costs_of, measure_on_crops, over_limit, reported
from corenas_sr.training.pixel import pixel_training


@frozen
class ShortTrainingJob:
    """Trains one candidate from fresh weights and measures it on fixed crops."""

    config: ShortTrainingConfig
    space: SearchSpace
    architecture: Architecture
    data: DataConfig
    scale: int
    seed: int

    def run(self, device: str, report: Report) -> Outcome:
        started = time.perf_counter()
        config = self.config
        with seeded(self.seed):
            model = self.space.build(self.architecture)
        training = pixel_training(
            model,
            load_pairs(self.data.train, scale=self.scale, split="train"),
            config.training,
            scale=self.scale,
            seed=self.seed,
            device=device,
        )
        for _ in reported(training, report):
            pass
        metrics = measure_on_crops(
            model,
            self.data.validation,
            config.metrics,
            size=config.crop_size,
            count=config.crops,
            scale=self.scale,
            device=device,
        )
        return Outcome(metrics, time.perf_counter() - started)


class ShortTraining:
    """Rejects what is too expensive; no candidate profits from another one's training.

    Args:
        config: The options.
        space: Any space of super-resolution networks: its options have a ``scale``.
        data: The images.

    Raises:
        ConfigError: The space has no up-scaling factor.
    """

    def __init__(self, config: ShortTrainingConfig, space: SearchSpace, data: DataConfig) -> None:
        self._config = config
        self._space = space
        self._data = data
        self._scale = _scale(space)
        self._costs = CostTable()

    @property
    def measures(self) -> Sequence[str]:
        return (*(metric.name for metric in self._config.metrics), "mult_adds", "params")

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        costs = self._costs_of(architecture)
        return over_limit(costs, self._config.mult_adds_limit) or ShortTrainingJob(
            self._config, self._space, architecture, self._data, self._scale, seed
        )

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement({**outcome.metrics, **self._costs_of(architecture)}, outcome.seconds)

    def _costs_of(self, architecture: Architecture) -> dict[str, float]:
        width, height = (side // self._scale for side in self._config.output)
        return costs_of(
            self._costs.cost(
                architecture, (1, 3, height, width), lambda: self._space.build(architecture)
            )
        )

    def collect(self, trial: Trial, outcome: Outcome) -> None:
        """Take nothing back."""

    def drop(self, number: int) -> None:
        """Forget nothing."""

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        """Take nothing over: jobs do not depend on each other."""

    def save(self, folder: Path) -> Mapping[str, str]:
        return {}


def _scale(space: SearchSpace) -> int:
    scale = getattr(getattr(space, "config", None), "scale", None)
    if not isinstance(scale, int):
        raise ConfigError(
            f"evaluator 'sr-training': the space {space.name!r} has no option 'scale'; allowed are "
            "only spaces of super-resolution networks"
        )
    return scale
