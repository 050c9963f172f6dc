"""Options of everything in this package; it must not import torch."""

from __future__ import annotations

from attrs import frozen
from corenas import SearchConfig, option, section
from corenas_sr.metric import MetricInfo

MAE = MetricInfo("lower", range="0 to 255", protocol="RGB, shave 0")


@frozen
class DilatedConfig:
    dilation: int = option(2, "distance of the taps", unit="pixels", ge=1)


@frozen
class CurveFitConfig:
    max_terms: int = option(2, "curves with more functions are refused", ge=1)


@frozen
class ClimbConfig:
    changes: int = option(2, "decisions that are drawn anew", ge=1)


@frozen
class CurveData:
    points: int = option(50, "samples of the curve", ge=2)
    noise: float = option(0.1, "standard deviation of their errors", ge=0)


@frozen
class FitCurveConfig:
    data: CurveData = section(CurveData, "what is known of the curve")
    search: SearchConfig = section(
        SearchConfig,
        "the search",
        steps=60,
        space="curves",
        strategy="climb",
        evaluator="curve-fit",
        objective="accuracy",
        executor="serial",
    )
