"""The final training of a recipe: validated, and written as a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen
from torch import nn

from corenas.options.structuring import Chosen
from corenas.training.loop import Validate
from corenas.training.phases import PhasedTraining
from corenas.training.step import Loss, TrainingStep
from corenas.training.timing import seconds_of
from corenas.values.architecture import Architecture
from corenas.values.plan import StagePlan
from corenas_sr.config import DataConfig, PatchTrainingConfig, PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import save_model
from corenas_sr.results.evaluation import build_metrics, validator
from corenas_sr.training.pixel import pixel_training
from corenas_sr.training.timing import time_step


@frozen
class FinalTraining:
    """A final training, apart from the network and the options of its steps.

    Args:
        file: The model file's name, ending in ``.safetensors``.
        space: The search space as it was chosen, with its options.
        architecture: The choices in that space.
        scale: The network's up-scaling factor.
        data: The images.
        metrics: Metrics of the validation.
        device: Where to train and to validate.
        extra: Further entries of the model file, as JSON.
    """

    file: str
    space: Chosen
    architecture: Architecture
    scale: int
    data: DataConfig
    metrics: Sequence[Chosen]
    device: str
    extra: Mapping[str, Any] = field(factory=dict)

    def task(
        self,
        model: nn.Module,
        config: PixelTrainingConfig,
        *,
        seed: int,
        loss: Loss | None = None,
        pairs: Sequence[ImagePair] | None = None,
        seconds: float | None = None,
    ) -> PhasedTraining:
        """Return the training against the ground truth.

        Args:
            model: The network, with the weights that it starts from.
            config: Steps, patches and learning rate.
            seed: Decides the patches.
            loss: Replaces the loss that the options name; it is on the device already.
            pairs: Images to train on instead of the data's, such as a teacher's.
            seconds: What it may take; see `pixel_training`.
        """
        return pixel_training(
            model,
            self.pairs() if pairs is None else pairs,
            config,
            scale=self.scale,
            seed=seed,
            loss=loss,
            device=self.device,
            validate=self.validator(),
            save=self.save,
            seconds=seconds,
        )

    def pairs(self) -> Sequence[ImagePair]:
        """Return the images to train on."""
        return load_pairs(self.data.train, scale=self.scale, split="train")

    def validator(self) -> Validate:
        """Return the function that measures a network on the validation images."""
        pairs = load_pairs(self.data.validation, scale=self.scale, split="validation")
        return validator(pairs, build_metrics(self.metrics), scale=self.scale, device=self.device)

    def save(self, module: nn.Module, folder: Path) -> Mapping[str, str]:
        """Write the model file into a folder; return its name as that of the ``model``."""
        save_model(
            folder / self.file,
            module,
            space=self.space,
            architecture=self.architecture,
            scale=self.scale,
            extra=self.extra,
        )
        return {"model": self.file}


def plan_training(
    stage: str,
    step: TrainingStep,
    config: PatchTrainingConfig,
    *,
    data: DataConfig,
    metrics: Sequence[Chosen],
    scale: int,
    device: str,
    note: str = "",
) -> StagePlan:
    """Estimate a final training for a dry run: time a few of its steps, and one validation.

    Args:
        stage: The name that its stage will have.
        step: The training step; a few steps of it are really done.
        config: Steps, patches, and how often is validated.
        data: The images.
        metrics: Metrics of a validation.
        scale: The network's up-scaling factor.
        device: Where to train and to validate.
        note: Says which network is timed.
    """
    pairs = load_pairs(data.train, scale=scale, split="train")
    seconds, memory = time_step(step, pairs, config, scale=scale, device=device)
    validating = time_validations(
        step.deliverable(), config, data=data, metrics=metrics, scale=scale, device=device
    )
    return StagePlan(
        stage, config.steps, seconds, extra_seconds=validating, memory=memory, note=note
    )


def time_validations(
    network: nn.Module,
    config: PatchTrainingConfig,
    *,
    data: DataConfig,
    metrics: Sequence[Chosen],
    scale: int,
    device: str,
) -> float:
    """Return the seconds that all validations of a training take; one of them is timed."""
    pairs = load_pairs(data.validation, scale=scale, split="validation")
    validate = validator(pairs, build_metrics(metrics), scale=scale, device=device)
    # The end of a training is always validated, though no interval may end there.
    validations = -(-config.steps // (config.validate_every or config.steps))
    return validations * seconds_of(lambda: validate(network))
