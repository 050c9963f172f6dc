"""All images of a configuration, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from corenas_sr.config import DataConfig
from corenas_sr.data.datasets import DataReport, check_disjoint, check_pairs


def check_data(config: DataConfig, *, patches: Mapping[int, int]) -> list[DataReport]:
    """Decode every image at every scale; refuse validation images that are trained on.

    Args:
        config: Names the sources.
        patches: By scale, the low-resolution pixels that training images must have at least.

    Raises:
        DataError: Files cannot be used; they are named.
    """
    reports = []
    for scale, patch in patches.items():
        training = check_pairs(config.train, scale=scale, split="train", patch=patch)
        validation = check_pairs(config.validation, scale=scale, split="validation")
        check_disjoint(training, validation)
        reports += [training, validation]
        reports += [check_pairs(s, scale=scale, split="validation") for s in config.benchmarks]
    return reports
