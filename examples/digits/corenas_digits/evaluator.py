"""The evaluator: every candidate is trained for a short time, and measured on other images."""

from __future__ import annotations

import time
from collections.abc import Mapping

from attrs import evolve, frozen
from torch.nn import functional as F

from corenas import (
    FULL_TRAINING,
    MULT_ADDS,
    PARAMS,
    Architecture,
    IndependentJobs,
    Job,
    Measurement,
    Outcome,
    Quantity,
    Rejected,
    Report,
    Share,
    StagePlan,
    Stopped,
)
from corenas.cost import CostTable
from corenas.training.batches import ShuffledBatches
from corenas.training.loop import train_share, what_is_left
from corenas.training.networks import seeded
from corenas.training.step import SupervisedStep
from corenas.training.timing import peak_memory, seconds_of, time_step
from corenas_digits.config import DataConfig, EvaluatorConfig
from corenas_digits.data import load
from corenas_digits.space import DigitsSpace
from corenas_digits.training import DigitsSupervision, accuracy, training_of

ACCURACY = Quantity("accuracy", "higher", "%", "360 validation images, after a short training")
MULT_ADDS_OF_AN_IMAGE = evolve(MULT_ADDS, protocol="one image of 8x8")


@frozen
class DigitsJob:
    """All that a worker needs; it is small, and names its data by configuration."""

    config: EvaluatorConfig
    space: DigitsSpace
    architecture: Architecture
    data: DataConfig
    seed: int
    share: Share = FULL_TRAINING

    def run(self, device: str, report: Report) -> Outcome:
        started = time.perf_counter()
        digits = load(self.data)
        with seeded(self.seed):
            network = self.space.build(self.architecture)
        training = training_of(
            network, digits.train, self.config.training, seed=self.seed, device=device
        )
        for event in train_share(training, self.share):
            if report(event.step, event.scalars["loss"]):
                raise Stopped(f"stopped at step {event.step}")
        metrics = {"accuracy": accuracy(network, digits.validation, device)}
        state = what_is_left(training, self.share)
        return Outcome(metrics, time.perf_counter() - started, state=state)


class DigitsEvaluator(IndependentJobs):
    """Rejects what has too many parameters; no candidate profits from another one's training."""

    continues = True

    def __init__(self, config: EvaluatorConfig, space: DigitsSpace, data: DataConfig) -> None:
        self._config = config
        self._space = space
        self._data = data
        self._costs = CostTable()

    @property
    def measures(self) -> Mapping[str, Quantity]:
        return {each.name: each for each in (ACCURACY, PARAMS, MULT_ADDS_OF_AN_IMAGE)}

    def check(self) -> None:
        """Load the images: scikit-learn may be missing."""
        load(self._data)

    def plan(self, device: str) -> StagePlan:
        """Time a few steps of the plain network."""
        config = self._config.training
        digits = load(self._data)
        network = self._space.build(next(iter(self._space.known.values())))
        batches = ShuffledBatches(
            digits.train.pixels, digits.train.classes, batch=config.batch, seed=0
        )
        step = SupervisedStep(
            network, F.cross_entropy, learning_rate=config.learning_rate, device=device
        )
        seconds = time_step(step, [batches], threads=config.threads)
        measuring = seconds_of(lambda: accuracy(network, digits.validation, device))
        return StagePlan(
            "candidate",
            config.steps,
            seconds,
            extra_seconds=measuring,
            memory=peak_memory(device),
            note="timed with digits/plain",
        )

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        return self.prepare_share(architecture, FULL_TRAINING, number=number, seed=seed)

    def prepare_share(
        self, architecture: Architecture, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        costs, limit = self._costs_of(architecture), self._config.params_limit
        if limit is not None and costs["params"] > limit:
            return Rejected(f"{costs['params']:.0f} parameters, the limit is {limit}", costs)
        return DigitsJob(self._config, self._space, architecture, self._data, seed, share)

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        return Measurement({**outcome.metrics, **self._costs_of(architecture)}, outcome.seconds)

    def supervision(self) -> DigitsSupervision:
        """Return what a supernet learns from instead of candidates: their training images."""
        return DigitsSupervision(load(self._data).train, self._config.training.batch)

    def _costs_of(self, architecture: Architecture) -> dict[str, float]:
        cost = self._costs.cost(architecture, (1, 1, 8, 8), lambda: self._space.build(architecture))
        return {"params": cost.params, "mult_adds": cost.mult_adds}
