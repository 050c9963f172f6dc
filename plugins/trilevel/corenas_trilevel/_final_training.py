"""Training the network found: from the supernet's weights, from fresh ones, or in both ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from torch import nn

from corenas import Architecture, Run
from corenas.training.loop import Training
from corenas.training.networks import seeded
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import load_model
from corenas_sr.training.final import FinalTraining
from corenas_sr.training.losses import feature_loss
from corenas_trilevel.config import TaughtTrainingConfig, TrilevelConfig
from corenas_trilevel.teacher.images import taught_pairs
from corenas_trilevel.teacher.loss import TeacherLoss

STAGES = {"training": "train", "finetune": "finetune"}
"""The stages of a run by the options that they follow."""


def train(
    run: Run, config: TrilevelConfig, architecture: Architecture, inherited: Path | None
) -> dict[str, Path]:
    """Train the network found as the options say; return the model files by name.

    Args:
        run: Whose stages the trainings are.
        config: The options.
        architecture: The network.
        inherited: Model file with the weights that it has in the supernet, if there is one; where
            the run is stopped already, that is what there is to hand over.
    """
    scale = config.search.space.config.scale
    if run.stopping():
        return {} if inherited is None else {f"x{scale}": inherited}
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    pairs = taught_pairs(pairs, config.teacher, scale=scale, device=run.device)
    network = _Network(run, config, architecture, pairs)
    models: dict[str, Path] = {}
    for way in _ways(run, config, inherited):
        if not run.stopping():
            models[way.model] = network.train(way)
    return models


@frozen
class _Way:
    """A way to train the network: it begins with a model file's weights, or with fresh ones."""

    model: str
    weights: Path | None
    stage_ending: str = ""


def _ways(run: Run, config: TrilevelConfig, inherited: Path | None) -> list[_Way]:
    name, start = f"x{config.search.space.config.scale}", config.start
    if inherited is None and start != "scratch":
        run.say("this search has no supernet to take weights from: training begins from scratch")
        start = "scratch"
    if start == "both":
        return [_Way(f"{name}-search", inherited), _Way(f"{name}-scratch", None, "-scratch")]
    return [_Way(name, inherited if start == "search" else None)]


@frozen
class _Network:
    """The network found, and what all of its trainings share."""

    run: Run
    config: TrilevelConfig
    architecture: Architecture
    pairs: Sequence[ImagePair]

    def train(self, way: _Way) -> Path:
        """Do one training after the other; return the model file of the last one begun."""
        first, *others = self.config.trainings
        file = self._trained(way, first, way.weights)
        for option in others:
            if not self.run.stopping():
                file = self._trained(way, option, file)
        return file

    def _trained(self, way: _Way, option: str, weights: Path | None) -> Path:
        module = self._fresh() if weights is None else load_model(weights).module
        ending = "" if option == "training" else f"-{option}"
        name = f"trilevel-{way.model}{ending}.safetensors"
        task = self._task(name, module, self.config.trainings[option])
        result = self.run.stage(f"{STAGES[option]}{way.stage_ending}", task)
        return self.run.models / result.files["model"]

    def _fresh(self) -> nn.Module:
        with seeded(self.run.seed_for("train", "weights")):
            module: nn.Module = self.config.search.space.build().build(self.architecture)
        return module

    def _task(self, name: str, module: nn.Module, training: TaughtTrainingConfig) -> Training:
        config, space = self.config, self.config.search.space
        final = FinalTraining(
            name,
            space,
            self.architecture,
            space.config.scale,
            config.data,
            config.metrics,
            self.run.device,
        )
        features = feature_loss(config.features) if training.perceptual else None
        return final.task(
            module,
            training,
            seed=self.run.seed_for("train", "patches"),
            loss=TeacherLoss(training, features).to(self.run.device),
            pairs=self.pairs,
        )
