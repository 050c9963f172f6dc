"""An image metric."""

from __future__ import annotations

from attrs import frozen
from corenas import NoOptions
from corenas_sr.metric import ImageMetric, MetricInfo
from torch import Tensor

from corenas_sample.config import MAE


@frozen
class MeanAbsoluteError:
    info: MetricInfo = MAE

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        if reference is None:
            raise ValueError("mae compares with a ground truth; none was given")
        return (image.double() - reference.double()).abs().mean((1, 2, 3))


def mae(config: NoOptions) -> ImageMetric:
    return MeanAbsoluteError()
