"""Training against the ground truth with a loss between images."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corenas.training.loop import Save, Training, Validate
from corenas.training.networks import seeded
from corenas.training.phases import Phase, PhasedTraining
from corenas.training.schedules import Pace
from corenas.training.step import Loss, SupervisedStep
from corenas.values.seeds import derive_seed
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.training.losses import pixel_loss
from corenas_sr.training.reparameterise import folded, is_reparameterised, reparameterise


def images(values: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 images into float32 of the same range on the device, in channels-last memory."""
    moved = values.to(device, non_blocking=True)
    return moved.to(torch.float32, memory_format=torch.channels_last)


class PixelStep(SupervisedStep):
    """A loss between network and ground truth, one Adam step (section 4.1 of Lee et al.).

    Args:
        model: Takes and gives float images in [0, 255], shape (N, 3, H, W).
        learning_rate: Adam's step size at schedule factor 1.
        loss: Replaces L1; it is on the device already.
        device: Where to train; the model is moved there.
        ema: Decay of the weights' moving average.
        clip: Largest norm of all gradients together.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: float,
        loss: Loss = F.l1_loss,
        device: str = "cpu",
        ema: float | None = None,
        clip: float | None = None,
    ) -> None:
        super().__init__(
            # Convolutions of few channels are faster in this layout; see docs/performance.md.
            model.to(memory_format=torch.channels_last),
            loss,
            learning_rate=learning_rate,
            place=images,
            device=device,
            ema=ema,
            clip=clip,
        )

    @classmethod
    def of(
        cls,
        model: nn.Module,
        config: PixelTrainingConfig,
        *,
        seed: int = 0,
        loss: Loss | None = None,
        device: str = "cpu",
    ) -> PixelStep:
        """Return the step that the options of one phase describe.

        Args:
            model: As above. Re-parameterised, a copy is trained and the model stays as it is.
            config: The options; ``phases`` are not looked at.
            seed: Decides the weights of branches.
            loss: Replaces the one that the options name.
            device: Where to train.
        """
        if config.reparameterise:
            model = deepcopy(model)
            with seeded(seed):
                reparameterise(model)
        chosen = pixel_loss(config.loss, fft_weight=config.fft_weight) if loss is None else loss
        return cls(
            model,
            learning_rate=config.learning_rate,
            loss=chosen,
            device=device,
            ema=config.ema,
            clip=config.clip,
        )

    def deliverable(self) -> nn.Module:
        """Return the network, or the average of its weights, with plain convolutions."""
        network = super().deliverable()
        return folded(network) if is_reparameterised(network) else network


def pixel_training(
    model: nn.Module,
    pairs: Sequence[ImagePair],
    config: PixelTrainingConfig,
    *,
    scale: int,
    seed: int,
    loss: Loss | None = None,
    device: str = "cpu",
    validate: Validate = lambda module: {},
    save: Save = lambda module, folder: {},
    seconds: float | None = None,
) -> PhasedTraining:
    """Return the training of a network against the ground truth, by the loss of the options.

    Args:
        model: Takes and gives float images in [0, 255]. What is trained may be a copy of it, so ask
            the training for what it delivers.
        pairs: The images.
        config: The options.
        scale: The up-scaling factor.
        seed: Decides patches, and the weights of branches.
        loss: Replaces the loss of every phase; it is on the device already.
        device: Where to train.
        validate: Measures what is delivered.
        save: Writes what is delivered into a folder; returns file names by purpose.
        seconds: What all of it may take, in which the steps of the options are made to fit.
    """
    whole = sum(each.steps for each in config.in_phases())

    def phase(number: int, config: PixelTrainingConfig) -> Phase:
        def build(network: nn.Module) -> Training:
            own = seed if number == 0 else derive_seed(seed, "phase", str(number))
            stream = PatchSampler(
                pairs, scale=scale, patch=config.patch, batch=config.batch, seed=own, device=device
            )
            step = PixelStep.of(network, config, seed=own, loss=loss, device=device)
            share = None if seconds is None else seconds * config.steps / whole
            pace = None if share is None else Pace(config.steps, share)
            return Training.of(config, step, (stream,), validate=validate, save=save, pace=pace)

        return Phase(config.steps, build)

    phases = [phase(number, each) for number, each in enumerate(config.in_phases())]
    return PhasedTraining(phases, model)
