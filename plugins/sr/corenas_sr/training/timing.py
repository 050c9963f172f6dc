"""Timings with images: a few steps of a training on patches, and a network's latency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from corenas.training import timing
from corenas.training.step import TrainingStep
from corenas_sr.config import PatchTrainingConfig, PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.training.pixel import PixelStep

FORWARDS = 9
"""Timed forward passes, of which the median counts."""


def time_training(
    model: nn.Module,
    pairs: Sequence[ImagePair],
    config: PixelTrainingConfig,
    *,
    scale: int,
    device: str,
) -> tuple[float, int]:
    """Return the median seconds of a step, and the peak of memory in bytes so far."""
    step = PixelStep.of(model, config, device=device)
    return time_step(step, pairs, config, scale=scale, device=device)


def time_step(
    step: TrainingStep,
    pairs: Sequence[ImagePair],
    config: PatchTrainingConfig,
    *,
    scale: int,
    device: str,
) -> tuple[float, int]:
    """Return the same as `time_training`, for any step that takes one stream of patches."""
    stream = PatchSampler(
        pairs, scale=scale, patch=config.patch, batch=config.batch, seed=0, device=device
    )
    seconds = timing.time_step(step, (stream,), threads=config.threads)
    return seconds, timing.peak_memory(device)


def time_forward(model: nn.Module, *, size: tuple[int, int], device: str) -> float:
    """Return the median seconds of a forward pass, in evaluation mode.

    Args:
        model: A network that takes (1, 3, height, width), on ``device``.
        size: Width and height of the input.
        device: Where to compute; what else it is doing slows the network down.
    """
    width, height = size
    image = torch.zeros(1, 3, height, width, device=device)
    # The layout in which networks are trained and run here.
    image = image.contiguous(memory_format=torch.channels_last)
    training = model.training
    model.eval()
    with torch.no_grad():
        # Reading a value waits for a GPU.
        seconds = timing.median_seconds(lambda: float(model(image)[0, 0, 0, 0]), times=FORWARDS)
    model.train(training)
    return seconds
