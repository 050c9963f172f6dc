"""Training against the ground truth with a loss between images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corenas.training.loop import Save, Training, Validate
from corenas.training.step import Loss, SupervisedStep
from corenas_sr.config import PatchTrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler


def images(values: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 images into float32 of the same range on the device, in channels-last memory."""
    moved = values.to(device, non_blocking=True)
    return moved.to(torch.float32, memory_format=torch.channels_last)


class PixelStep(SupervisedStep):
    """L1 between network and ground truth, one Adam step (section 4.1 of Lee et al.).

    Args:
        model: Takes and gives float images in [0, 255], shape (N, 3, H, W).
        learning_rate: Adam's step size at schedule factor 1.
        loss: Replaces L1; it is on the device already.
        device: Where to train; the model is moved there.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: float,
        loss: Loss = F.l1_loss,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            # Convolutions of few channels are faster in this layout; see docs/performance.md.
            model.to(memory_format=torch.channels_last),
            loss,
            learning_rate=learning_rate,
            place=images,
            device=device,
        )


def pixel_training(
    model: nn.Module,
    pairs: Sequence[ImagePair],
    config: PatchTrainingConfig,
    *,
    scale: int,
    seed: int,
    loss: Loss = F.l1_loss,
    device: str = "cpu",
    validate: Validate = lambda module: {},
    save: Save = lambda module, folder: {},
) -> Training:
    """Return the training of a network against the ground truth, by L1 or another loss."""
    stream = PatchSampler(
        pairs, scale=scale, patch=config.patch, batch=config.batch, seed=seed, device=device
    )
    step = PixelStep(model, learning_rate=config.learning_rate, loss=loss, device=device)
    return Training.of(config, step, (stream,), validate=validate, save=save)
