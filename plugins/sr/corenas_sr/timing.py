"""A few steps of a training, timed: what a dry run's estimate rests on."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

from corenas_sr.config import TrainingConfig
from corenas_sr.datasets import ImagePair
from corenas_sr.patches import PatchSampler
from corenas_sr.steps import PixelStep

WARM_UP, TIMED = 2, 5


def time_training(
    model: nn.Module,
    pairs: Sequence[ImagePair],
    config: TrainingConfig,
    *,
    scale: int,
    device: str,
) -> tuple[float, int]:
    """Return the median seconds of a step, and the peak of memory in bytes so far.

    On a GPU the peak is what torch allocated there; else it is this process's resident memory.
    """
    step = PixelStep(model, learning_rate=config.learning_rate, device=device)
    stream = PatchSampler(
        pairs, scale=scale, patch=config.patch, batch=config.batch, seed=0, device=device
    )
    seconds = []
    for _ in range(WARM_UP + TIMED):
        started = time.perf_counter()
        float(step.step([stream.next_batch()])["loss"])  # reading it waits for a GPU
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:]), _peak_memory(device)


def _peak_memory(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
