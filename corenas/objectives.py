"""Objectives over any metrics."""

from __future__ import annotations

from attrs import frozen

from corenas.config import Chosen, component
from corenas.metric import MetricInfo
from corenas.objective import Objective
from corenas.trial import Measurement


@frozen
class MetricObjectiveConfig:
    """Options of the objective ``metric``."""

    metric: Chosen = component("metrics", "psnr", "what is measured; its good direction is known")


@frozen
class MetricObjective:
    """One metric, with its sign turned where lower is better."""

    name: str
    sign: int

    def __call__(self, measurement: Measurement) -> float:
        return self.sign * measurement.metrics[self.name]


def metric(config: MetricObjectiveConfig) -> Objective:
    """Build the objective ``metric``."""
    info: MetricInfo = config.metric.component.metadata
    return MetricObjective(config.metric.name, info.sign)
