"""The evaluator ``sr-training``: a short training from scratch for every candidate."""

from __future__ import annotations

import time

from attrs import frozen

from corenas import (
    FULL_TRAINING,
    Architecture,
    Job,
    Outcome,
    Rejected,
    Report,
    SearchSpace,
    Share,
)
from corenas.training.loop import what_is_left
from corenas.training.networks import seeded
from corenas.values.seeds import derive_seed
from corenas_sr.config import CandidateConfig, DataConfig
from corenas_sr.latency.estimating import time_candidate
from corenas_sr.training.candidates import (
    CandidateEvaluator,
    candidate_training,
    load_images,
    measure_candidate,
    report_share,
)


@frozen
class ShortTrainingJob:
    """Trains one candidate to a share, and measures it on fixed crops."""

    config: CandidateConfig
    space: SearchSpace
    architecture: Architecture
    data: DataConfig
    scale: int
    seed: int
    share: Share = FULL_TRAINING

    def get_ready(self, device: str) -> None:
        """Load the images before the job's time counts."""
        load_images(self.data, self.scale)

    def run(self, device: str, report: Report) -> Outcome:
        started = time.perf_counter()
        # The job's seed, and not the process's random state: it may run in any worker, at any time.
        with seeded(derive_seed(self.seed, "weights")):
            model = self.space.build(self.architecture)
        training = candidate_training(
            model,
            self.config.training,
            self.data,
            scale=self.scale,
            seed=derive_seed(self.seed, "patches"),
            device=device,
        )
        for _ in report_share(training, self.share, report):
            pass
        model = training.deliverable()
        metrics = measure_candidate(model, self.config, self.data, scale=self.scale, device=device)
        metrics |= time_candidate(model, self.config)
        state = what_is_left(training, self.share)
        return Outcome(metrics, time.perf_counter() - started, state=state)


class ShortTraining(CandidateEvaluator):
    """Rejects costly candidates and trains the others from scratch; they may go on later."""

    continues = True

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        return self.prepare_share(architecture, FULL_TRAINING, number=number, seed=seed)

    def prepare_share(
        self, architecture: Architecture, share: Share, *, number: int, seed: int
    ) -> Job | Rejected:
        return self.reject_costly(architecture) or ShortTrainingJob(
            self._config, self._space, architecture, self._data, self._scale, seed, share
        )
