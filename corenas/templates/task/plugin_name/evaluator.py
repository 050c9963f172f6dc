"""The evaluator: every candidate is trained for a short time, and measured on other points."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import torch
from attrs import frozen
from corenas import (
    PARAMS,
    Architecture,
    IndependentJobs,
    Job,
    Measurement,
    Outcome,
    Quantity,
    Rejected,
    Report,
    StagePlan,
    Stopped,
)
from corenas.training.batches import ShuffledBatches
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas.training.step import SupervisedStep
from corenas.training.timing import time_step
from torch import nn
from torch.nn import functional as F

from plugin_name.config import DataConfig, EvaluatorConfig
from plugin_name.data import Points, load
from plugin_name.space import Space

ACCURACY = Quantity("accuracy", "higher", "%", "validation points, after a short training")


def save_nothing(module: nn.Module, folder: Path) -> Mapping[str, str]:
    """Write no file: a candidate's weights are not kept."""
    return {}


def accuracy(network: nn.Module, points: Points, device: str) -> float:
    """Return the share of points whose larger logit is that of their class, in percent."""
    network.eval()
    with torch.no_grad():
        predicted = network(points.positions.to(device)).argmax(dim=1).cpu()
    return 100 * float((predicted == points.classes).double().mean())


@frozen
class EvaluatorJob:
    """All that a worker needs; it is small, and names its data by configuration."""

    config: EvaluatorConfig
    space: Space
    architecture: Architecture
    data: DataConfig
    seed: int

    def run(self, device: str, report: Report) -> Outcome:
        """Train and measure the candidate."""
        started = time.perf_counter()
        parts, config = load(self.data), self.config.training
        with seeded(self.seed):
            network = self.space.build(self.architecture)
        batches = _batches(parts.train, config.batch, self.seed)
        step = _step(network, config.learning_rate, device)
        for event in Training.of(config, step, [batches], save=save_nothing).events():
            if report(event.step, event.scalars["loss"]):
                raise Stopped(f"stopped at step {event.step}")
        found = {"accuracy": accuracy(network, parts.validation, device)}
        return Outcome(found, time.perf_counter() - started)


class Evaluator(IndependentJobs):
    """Rejects what has too many parameters; no candidate profits from another one's training."""

    def __init__(self, config: EvaluatorConfig, space: Space, data: DataConfig) -> None:
        self._config = config
        self._space = space
        self._data = data

    @property
    def measures(self) -> Mapping[str, Quantity]:
        """Return the numbers that every measurement has, the aim first."""
        return {each.name: each for each in (ACCURACY, PARAMS)}

    def check(self) -> None:
        """Draw the points: what is wrong with data is said before a search begins."""
        load(self._data)

    def plan(self, device: str) -> StagePlan:
        """Time a few steps of the plain network."""
        config = self._config.training
        network = self._space.build(next(iter(self._space.known.values())))
        batches = _batches(load(self._data).train, config.batch, 0)
        step = _step(network, config.learning_rate, device)
        seconds = time_step(step, [batches], threads=config.threads)
        return StagePlan("candidate", config.steps, seconds, note="timed with the plain network")

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        """Return the job, or why the candidate is too large."""
        params, limit = self._params(architecture), self._config.params_limit
        if limit is not None and params > limit:
            return Rejected(f"{params} parameters, the limit is {limit}", {"params": params})
        return EvaluatorJob(self._config, self._space, architecture, self._data, seed)

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        """Add the parameters to what the job measured."""
        found = {**outcome.metrics, "params": self._params(architecture)}
        return Measurement(found, outcome.seconds)

    def _params(self, architecture: Architecture) -> int:
        return sum(each.numel() for each in self._space.build(architecture).parameters())


def _batches(points: Points, batch: int, seed: int) -> ShuffledBatches:
    return ShuffledBatches(points.positions, points.classes, batch=batch, seed=seed)


def _step(network: nn.Module, rate: float, device: str) -> SupervisedStep:
    return SupervisedStep(network, F.cross_entropy, learning_rate=rate, device=device)
