"""The evaluator ``sr-training``: every candidate is trained from scratch, and for a short time."""

from __future__ import annotations

import time

from attrs import frozen

from corenas import (
    Architecture,
    Job,
    Outcome,
    Rejected,
    Report,
    SearchSpace,
)
from corenas.training.networks import seeded
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.training.candidates import CandidateEvaluator, measure_on_crops, reported
from corenas_sr.training.pixel import pixel_training


@frozen
class ShortTrainingJob:
    """Trains one candidate from fresh weights and measures it on fixed crops."""

    config: CandidateConfig
    space: SearchSpace
    architecture: Architecture
    data: DataConfig
    scale: int
    seed: int

    def get_ready(self, device: str) -> None:
        """Load the images, which later jobs in the same process find loaded."""
        load_pairs(self.data.train, scale=self.scale, split="train")
        load_pairs(self.data.validation, scale=self.scale, split="validation")

    def run(self, device: str, report: Report) -> Outcome:
        started = time.perf_counter()
        config = self.config
        with seeded(self.seed):
            model = self.space.build(self.architecture)
        training = pixel_training(
            model,
            load_pairs(self.data.train, scale=self.scale, split="train"),
            config.training,
            scale=self.scale,
            seed=self.seed,
            device=device,
        )
        for _ in reported(training, report):
            pass
        metrics = measure_on_crops(
            model,
            self.data.validation,
            config.metrics,
            size=config.crop_size,
            count=config.crops,
            scale=self.scale,
            device=device,
        )
        return Outcome(metrics, time.perf_counter() - started)


class ShortTraining(CandidateEvaluator):
    """Rejects what is too expensive; no candidate profits from another one's training."""

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        return self.refused(architecture) or ShortTrainingJob(
            self._config, self._space, architecture, self._data, self._scale, seed
        )
