"""What makes one curve better than another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corenas import Measurement, NoOptions, Objective, Quantity


class Accuracy:
    """The smaller the error, the better."""

    needs: Sequence[str] = ("error",)

    def __call__(self, measurement: Measurement) -> float:
        return -measurement.metrics["error"]


def accuracy(config: NoOptions, quantities: Mapping[str, Quantity]) -> Objective:
    return Accuracy()
