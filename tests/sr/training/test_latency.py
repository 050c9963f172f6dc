"""The latency of a network: a median of forward passes at the size that is asked for."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from corenas.training.timing import WARM_UP
from corenas_sr.training.timing import FORWARDS, time_forward


class Sleeper(nn.Module):
    """Takes the given seconds, one after the other, and remembers what it was called with."""

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.seconds = iter(seconds)
        self.calls: list[tuple[tuple[int, ...], bool, bool]] = []

    def forward(self, image: Tensor) -> Tensor:
        self.calls.append((tuple(image.shape), self.training, torch.is_grad_enabled()))
        time.sleep(next(self.seconds))
        return image


def test_latency_is_the_median_after_the_warm_up() -> None:
    # Slow at first, as every network is, and now and then.
    model = Sleeper([0.5] * WARM_UP + [0.001, 0.4] + [0.02] * (FORWARDS - 2))
    assert time_forward(model, size=(6, 4), device="cpu") == pytest.approx(0.02, rel=0.5)


def test_network_is_timed_in_evaluation_mode_at_the_size_and_left_as_it_was() -> None:
    model = Sleeper([0.0] * (WARM_UP + FORWARDS))
    time_forward(model.train(), size=(6, 4), device="cpu")
    assert model.calls == [((1, 3, 4, 6), False, False)] * (WARM_UP + FORWARDS)
    assert model.training
