"""The metric: images and their ground truth in, a number for each out."""

from __future__ import annotations

from corenas import NoOptions
from corenas_sr.metric import MetricInfo
from torch import Tensor

from plugin_name.config import INFO


class Metric:
    """Mean absolute error."""

    info: MetricInfo = INFO

    def __init__(self, config: NoOptions) -> None:
        pass

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        """Return float64 of shape (N,) for uint8 images of shape (N, 3, H, W)."""
        if reference is None:
            raise ValueError("this metric compares with a ground truth; none was given")
        return (image.double() - reference.double()).abs().mean(dim=(1, 2, 3))
