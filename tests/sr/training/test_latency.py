"""The latency of a network: a median of forward passes at the size that is asked for."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from corenas import NoOptions, structure
from corenas_sr.config import CandidateConfig
from corenas_sr.latency.estimating import time_candidate
from corenas_sr.latency.measuring import FEWEST, WARM_UP, measure_latency
from corenas_sr.latency.torch_engine import TorchEngine

ENGINE = TorchEngine(NoOptions())


class Sleeper(nn.Module):
    """Takes the given seconds, one after the other; copies share notes of what came in."""

    def __init__(self, seconds: list[float]) -> None:
        super().__init__()
        self.seconds = seconds
        self.calls: list[tuple[tuple[int, ...], bool, bool]] = []

    def __deepcopy__(self, memo: object) -> Sleeper:
        copied = Sleeper(self.seconds)
        copied.calls = self.calls
        return copied

    def forward(self, image: Tensor) -> Tensor:
        self.calls.append((tuple(image.shape), self.training, torch.is_grad_enabled()))
        time.sleep(self.seconds[len(self.calls) - 1])
        return image


def test_latency_is_the_median_after_the_warm_up() -> None:
    # Slow at first, as every network is, and now and then.
    model = Sleeper([0.5] * WARM_UP + [0.001, 0.4] + [0.02] * (FEWEST - 2))
    found = measure_latency(ENGINE, model, (1, 3, 4, 6), threads=1, seconds=0.0)
    assert found.median == pytest.approx(0.02, rel=0.5)
    assert found.threads == 1


def test_threads_are_those_asked_for_and_then_as_before() -> None:
    threads: list[int] = []

    class Counter(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            threads.append(torch.get_num_threads())
            return image

    before = torch.get_num_threads()
    measure_latency(ENGINE, Counter(), (1, 3, 4, 6), threads=before + 1, seconds=0.0)
    assert set(threads) == {before + 1}
    assert torch.get_num_threads() == before


def test_candidate_is_timed_in_evaluation_mode_at_the_size_and_left_as_it_was() -> None:
    model = Sleeper([0.0] * (WARM_UP + FEWEST))
    config = structure(CandidateConfig, {"latency": [6, 4]})
    assert set(time_candidate(model.train(), config)) == {"latency"}
    assert model.calls == [((1, 3, 4, 6), False, False)] * (WARM_UP + FEWEST)
    assert model.training


def test_nothing_is_timed_unasked() -> None:
    assert time_candidate(Sleeper([]), structure(CandidateConfig, {})) == {}
