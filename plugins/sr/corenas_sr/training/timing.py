"""Timings with images: a few steps of a training on patches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from corenas.training import timing
from corenas.training.step import TrainingStep
from corenas_sr.config import PatchTrainingConfig, PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.training.pixel import PixelStep


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
