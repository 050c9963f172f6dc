"""The images: scikit-learn's copy of the digits of UCI, split into three parts once and for all."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from attrs import frozen
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from corenas_digits.config import DataConfig

PARTS = 5
"""One of so many parts is for validation, and another one for the test."""


@frozen
class Images:
    """Images in [0, 1], float32 of shape (N, 1, 8, 8), and their classes, int64 of shape (N,)."""

    pixels: Tensor
    classes: Tensor

    def and_also(self, other: Images) -> Images:
        """Return both together."""
        pixels = torch.cat([self.pixels, other.pixels])
        return Images(pixels, torch.cat([self.classes, other.classes]))


@frozen
class Digits:
    """The three parts; each has the ten digits in equal shares."""

    train: Images
    validation: Images
    test: Images


@cache
def load(config: DataConfig) -> Digits:
    """Return the images; a worker process splits them once, not for each candidate."""
    pixels, classes = load_digits(return_X_y=True)
    rest, test = _split(np.arange(len(pixels)), classes, config.split_seed, 1 / PARTS)
    train, validation = _split(rest, classes, config.split_seed, 1 / (PARTS - 1))
    scaled = torch.from_numpy(pixels).to(torch.float32).reshape(-1, 1, 8, 8) / 16
    labels = torch.from_numpy(classes).to(torch.int64)
    parts = (Images(scaled[part], labels[part]) for part in (train, validation, test))
    return Digits(*parts)


def _split(
    numbers: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], seed: int, share: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    first, second = train_test_split(
        numbers, test_size=share, random_state=seed, stratify=classes[numbers]
    )
    return first, second
