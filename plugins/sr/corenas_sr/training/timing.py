"""Timings: a few steps of a training, for a dry run's estimate, and a network's latency."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from corenas.training.step import TrainingStep
from corenas_sr.config import TrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.training.pixel import PixelStep

WARM_UP, TIMED = 2, 5
FORWARDS = 9


def time_training(
    model: nn.Module,
    pairs: Sequence[ImagePair],
    config: TrainingConfig,
    *,
    scale: int,
    device: str,
) -> tuple[float, int]:
    """Return the median seconds of a step, and the peak of memory in bytes so far."""
    step = PixelStep(model, learning_rate=config.learning_rate, device=device)
    return time_step(step, pairs, config, scale=scale, device=device)


def time_step(
    step: TrainingStep,
    pairs: Sequence[ImagePair],
    config: TrainingConfig,
    *,
    scale: int,
    device: str,
) -> tuple[float, int]:
    """Return the same of any step that takes one stream of patches."""
    stream = PatchSampler(
        pairs, scale=scale, patch=config.patch, batch=config.batch, seed=0, device=device
    )
    seconds = []
    for _ in range(WARM_UP + TIMED):
        started = time.perf_counter()
        float(step.step([stream.next_batch()])["loss"])  # reading it waits for a GPU
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:]), peak_memory(device)


def time_forward(model: nn.Module, *, size: tuple[int, int], device: str) -> float:
    """Return the median seconds of a forward pass, in evaluation mode.

    Args:
        model: A network that takes (1, 3, height, width), on ``device``.
        size: Width and height of the input.
        device: Where to compute; what else it is doing slows the network down.
    """
    width, height = size
    image = torch.zeros(1, 3, height, width, device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    training = model.training
    model.eval()
    seconds = []
    with torch.no_grad():
        for _ in range(WARM_UP + FORWARDS):
            started = time.perf_counter()
            float(model(image)[0, 0, 0, 0])  # reading it waits for a GPU
            seconds.append(time.perf_counter() - started)
    model.train(training)
    return statistics.median(seconds[WARM_UP:])


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long a call takes, once."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def peak_memory(device: str) -> int:
    """Return the peak of memory in bytes so far: torch's on a GPU, else that of this process."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
