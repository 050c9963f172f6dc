"""Fits a curve to noisy samples of 2 sin(x) + x^2 / 2 and compares it with the truth."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import frozen
from corenas import (
    Architecture,
    IndependentJobs,
    Job,
    Measurement,
    Outcome,
    Quantity,
    Rejected,
    Report,
)
from torch import Tensor

from corenas_sample.config import CurveData, CurveFitConfig
from corenas_sample.space import Curve, CurveSpace


def truth(x: Tensor) -> Tensor:
    return 2 * x.sin() + x.square() / 2


@frozen
class FitJob:
    """All that a worker needs; it must be picklable."""

    names: tuple[str, ...]
    data: CurveData
    seed: int

    def run(self, device: str, report: Report) -> Outcome:
        generator = torch.Generator().manual_seed(self.seed)
        x = torch.linspace(-3, 3, self.data.points)
        samples = truth(x) + self.data.noise * torch.randn(len(x), generator=generator)
        curve = Curve(self.names)
        with torch.no_grad():
            fitted = torch.linalg.lstsq(curve.terms(x), samples[:, None]).solution
            curve.weights.copy_(fitted[:, 0])
            error = (curve(x) - truth(x)).square().mean().sqrt()
        return Outcome({"error": float(error)})


class CurveFit(IndependentJobs):
    measures: Mapping[str, Quantity] = {
        "error": Quantity("error", "lower", protocol="root of the mean square, 50 points"),
        "terms": Quantity("terms", "lower", summary="functions in the curve"),
    }

    def __init__(self, config: CurveFitConfig, space: CurveSpace, data: CurveData) -> None:
        self._config = config
        self._space = space
        self._data = data

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        names, limit = self._space.names(architecture), self._config.max_terms
        if len(names) > limit:
            reason = f"{len(names)} functions, the limit is {limit}"
            return Rejected(reason, {"terms": len(names)})
        return FitJob(names, self._data, seed)

    def measure(self, architecture: Architecture, outcome: Outcome) -> Measurement:
        terms = len(self._space.names(architecture))
        return Measurement({**outcome.metrics, "terms": terms}, outcome.seconds)
