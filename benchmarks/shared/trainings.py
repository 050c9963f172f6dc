"""What benchmarks that train networks share: images, and a training of one of `tiny`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from corenas import Architecture, SearchSpace, structure
from corenas.training.networks import seeded
from corenas_sr.config import CandidateConfig, DataConfig, PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.training.candidates import measure_candidate
from corenas_sr.training.pixel import pixel_training

SCALE = 4
CROPS = 64


def large_enough(pairs: Iterable[ImagePair], patch: int) -> list[ImagePair]:
    """Return the images that hold a patch, whose side is given in low-resolution pixels."""
    return [pair for pair in pairs if min(pair.lr.shape[1:]) >= patch]


def training_pairs(data: Path, *, patch: int) -> list[ImagePair]:
    """Return the images of train291 and bsds200 that are as large as a low-resolution patch."""
    folders = (str(data / name / "HR") for name in ("train291", "bsds200"))
    loaded = (load_pairs(folder, scale=SCALE, split="train") for folder in folders)
    return large_enough(chain.from_iterable(loaded), patch)


def train_network(
    space: SearchSpace,
    architecture: Architecture,
    options: Mapping[str, Any],
    pairs: Sequence[ImagePair],
    validation: Path,
    *,
    seed: int,
) -> dict[str, float]:
    """Train a network at x4; return its ``psnr`` on crops, and the ``seconds`` of CPU time."""
    with seeded(seed):
        module = space.build(architecture)
    config = structure(PixelTrainingConfig, options)
    started = time.process_time()
    training = pixel_training(module, pairs, config, scale=SCALE, seed=seed)
    for _ in training.events():
        pass
    seconds = time.process_time() - started
    trained = training.deliverable()
    images = DataConfig(validation=str(validation))
    candidate = CandidateConfig(crops=CROPS)
    measured = measure_candidate(trained, candidate, images, scale=SCALE, device="cpu")
    return {**measured, "seconds": seconds}
