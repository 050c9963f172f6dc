"""Training the network found: from the supernet's weights, from fresh ones, or from both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from torch import nn

from corenas import Architecture, Run
from corenas.training.networks import seeded
from corenas.training.phases import PhasedTraining
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import load_model
from corenas_sr.training.final import FinalTraining
from corenas_sr.training.losses import feature_loss
from corenas_trilevel.config import TrilevelConfig
from corenas_trilevel.teacher.images import taught_pairs
from corenas_trilevel.teacher.loss import TeacherLoss

STAGES = {"training": "train", "finetune": "finetune"}
"""Names of the stages, by the option that describes the training."""


def train(
    run: Run, config: TrilevelConfig, architecture: Architecture, inherited: Path | None
) -> dict[str, Path]:
    """Train the network found, and fine-tune it if the options say so; return files by name.

    Args:
        run: Whose stages the trainings are.
        config: The options.
        architecture: The network.
        inherited: Model file with the network's weights in the supernet, if there is one. It is
            returned where the run was stopped before any training.
    """
    scale = config.search.space.config.scale
    if run.stopping():
        return {} if inherited is None else {f"x{scale}": inherited}
    pairs = load_pairs(config.data.train, scale=scale, split="train")
    pairs = taught_pairs(pairs, config.teacher, scale=scale, device=run.device)
    network = _Network(run, config, architecture, pairs)
    models: dict[str, Path] = {}
    for start in _starts(run, config, inherited):
        if not run.stopping():
            models[start.model] = network.train(start)
    return models


@frozen
class _Start:
    """The start of a chain of trainings: a model file's weights, or None for fresh ones."""

    model: str
    weights: Path | None
    stage_ending: str = ""


def _starts(run: Run, config: TrilevelConfig, inherited: Path | None) -> list[_Start]:
    name, start = f"x{config.search.space.config.scale}", config.start
    if inherited is None and start != "scratch":
        run.say("this search has no supernet to take weights from: training begins from scratch")
        start = "scratch"
    if start == "both":
        return [_Start(f"{name}-search", inherited), _Start(f"{name}-scratch", None, "-scratch")]
    return [_Start(name, inherited if start == "search" else None)]


@frozen
class _Network:
    """The network found, with what all of its trainings share."""

    run: Run
    config: TrilevelConfig
    architecture: Architecture
    pairs: Sequence[ImagePair]

    def train(self, start: _Start) -> Path:
        """Do one training after the other; return the model file of the last one that was begun."""
        first, *others = self.config.trainings
        file = self._train(start, first, start.weights)
        for option in others:
            if not self.run.stopping():
                file = self._train(start, option, file)
        return file

    def _train(self, start: _Start, option: str, weights: Path | None) -> Path:
        """Do the training of one option, from a model file's weights or from fresh ones."""
        module = self._build_fresh() if weights is None else load_model(weights).module
        ending = "" if option == "training" else f"-{option}"
        name = f"trilevel-{start.model}{ending}.safetensors"
        task = self._task(name, module, option)
        result = self.run.stage(f"{STAGES[option]}{start.stage_ending}", task)
        return self.run.models / result.files["model"]

    def _build_fresh(self) -> nn.Module:
        with seeded(self.run.seed_for("train", "weights")):
            module: nn.Module = self.config.search.space.build().build(self.architecture)
        return module

    def _task(self, name: str, module: nn.Module, option: str) -> PhasedTraining:
        config, space, training = (
            self.config,
            self.config.search.space,
            self.config.trainings[option],
        )
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
            # Without the start's name: with start=both, the two trainings see the same patches and
            # differ in their first weights alone.
            seed=self.run.seed_for(STAGES[option], "patches"),
            loss=TeacherLoss(training, features).to(self.run.device),
            pairs=self.pairs,
        )
