"""The proxy task of TPSR (Table 3 of Lee et al.): a short training from the cached weights."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from attrs import evolve, field, frozen
from torch import Tensor

from corenas import (
    Architecture,
    Job,
    Outcome,
    Rejected,
    Report,
    State,
    Trial,
)
from corenas.training.networks import seeded
from corenas.values.seeds import derive_seed
from corenas_sr.config import DataConfig
from corenas_sr.latency.estimating import time_candidate
from corenas_sr.training.candidates import (
    CandidateEvaluator,
    candidate_training,
    load_images,
    measure_candidate,
    report_events,
)
from corenas_tpsr.generator.config import ProxyConfig
from corenas_tpsr.generator.space import GeneratorSpace
from corenas_tpsr.generator.weight_cache import WeightCache


@frozen
class ProxyJob:
    """Trains one candidate for the proxy task and measures it on fixed crops."""

    config: ProxyConfig
    space: GeneratorSpace
    architecture: Architecture
    data: DataConfig
    seed: int
    weights: bytes = field(repr=False)

    def get_ready(self, device: str) -> None:
        """Load the images before the job's time counts."""
        load_images(self.data, self.space.config.scale)

    def run(self, device: str, report: Report) -> Outcome:
        started = time.perf_counter()
        training = candidate_training(
            self._model(),
            self.config.training,
            self.data,
            scale=self.space.config.scale,
            seed=derive_seed(self.seed, "patches"),
            device=device,
        )
        best: dict[str, float] = {}
        for event in report_events(training, report):
            if self.config.measured == "best" or event.step == event.total:
                best = self._keep_better(best, self._measure(training.deliverable(), device))
        model = training.deliverable()
        best |= time_candidate(model, self.config)
        weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
        payload = safetensors.torch.save(weights)
        return Outcome(best, time.perf_counter() - started, payload)

    def _model(self) -> torch.nn.Module:
        with seeded(derive_seed(self.seed, "weights")):
            model = self.space.build(self.architecture)
        if self.weights:
            # Operations that were never trained at their node keep their fresh weights.
            model.load_state_dict(safetensors.torch.load(self.weights), strict=False)
        return model

    def _measure(self, model: torch.nn.Module, device: str) -> dict[str, float]:
        scale = self.space.config.scale
        return measure_candidate(model, self.config, self.data, scale=scale, device=device)

    def _keep_better(self, best: dict[str, float], newest: dict[str, float]) -> dict[str, float]:
        """Keep each metric's best value, each in its own direction."""
        signs = {choice.name: choice.component.metadata.sign for choice in self.config.metrics}
        return {
            name: max(value, best.get(name, value), key=lambda v: signs[name] * v)
            for name, value in newest.items()
        }


@frozen
class RememberedJob:
    """Returns the measurement of a candidate that was trained before."""

    outcome: Outcome

    def run(self, device: str, report: Report) -> Outcome:
        return self.outcome


class ProxyEvaluator(CandidateEvaluator):
    """Rejects costly candidates, starts the others from the cache, keeps better weights."""

    _config: ProxyConfig
    _space: GeneratorSpace

    def __init__(self, config: ProxyConfig, space: GeneratorSpace, data: DataConfig) -> None:
        super().__init__(config, space, data)
        self._cache = WeightCache(cache_fixed=config.cache_fixed)
        self._warm: dict[int, dict[str, Tensor]] = {}
        self._measured: dict[str, dict[str, float]] = {}

    def from_scratch(self) -> ProxyEvaluator:
        """Return the same evaluator without a cache."""
        config = evolve(self._config, cache=False, duplicates="evaluate")
        if config == self._config:
            return self
        return ProxyEvaluator(config, self._space, self._data)

    def prepare(self, architecture: Architecture, *, number: int, seed: int) -> Job | Rejected:
        refused = self.reject_costly(architecture)
        if refused is not None:
            return refused
        # After a resume, a job in flight is prepared again. It must be the same job, though the
        # cache has changed since.
        if number not in self._warm:
            if self._config.duplicates == "remember" and architecture.id in self._measured:
                return RememberedJob(Outcome(self._measured[architecture.id]))
            self._warm[number] = self._cache.warm(architecture) if self._config.cache else {}
        weights = safetensors.torch.save(self._warm[number]) if self._warm[number] else b""
        return ProxyJob(self._config, self._space, architecture, self._data, seed, weights)

    def collect(self, trial: Trial, outcome: Outcome) -> None:
        self._warm.pop(trial.number, None)
        if self._config.duplicates == "remember":
            self._measured.setdefault(trial.architecture.id, dict(outcome.metrics))
        # A remembered measurement brings no weights.
        if outcome.payload and trial.score is not None:
            tensors = safetensors.torch.load(outcome.payload)
            self._cache.update(trial.architecture, tensors, trial.score)

    def drop(self, number: int) -> None:
        self._warm.pop(number, None)

    def state(self) -> State:
        return {
            **super().state(),
            "cache": self._cache.state(),
            "warm": dict(self._warm),
            "measured": dict(self._measured),
        }

    def restore(self, state: State) -> None:
        super().restore(state)
        self._cache.restore(state["cache"])
        self._warm = dict(state["warm"])
        self._measured = dict(state["measured"])

    def save(self, folder: Path) -> Mapping[str, str]:
        return self._cache.save(folder)
