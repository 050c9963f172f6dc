"""Training against the ground truth with a loss of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corenas import State
from corenas.training.cuda_graph import CapturedUpdate
from corenas.training.loop import Save, Training, Validate
from corenas.training.schedules import Schedule, constant, cosine, multistep
from corenas.training.step import restore_optimiser
from corenas_sr.config import TrainingConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import Batch, PatchSampler


def images(values: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 images into float32 of the same range on the device, in channels-last memory."""
    moved = values.to(device, non_blocking=True)
    return moved.to(torch.float32, memory_format=torch.channels_last)


ImageLoss = Callable[[Tensor, Tensor], Tensor]
"""Compares images with those that they should be, both float in [0, 255]; gives a number."""


class PixelStep:
    """L1 between network and ground truth, one Adam step (section 4.1 of Lee et al.).

    Args:
        model: Takes and gives float images in [0, 255], shape (N, 3, H, W).
        learning_rate: Adam's step size at schedule factor 1.
        loss: Compares them by something other than L1; it is on the device already.
        device: Where to train; the model is moved there.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        learning_rate: float,
        loss: ImageLoss = F.l1_loss,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._loss = loss
        self.model = model.to(self._device).to(memory_format=torch.channels_last).train()
        on_gpu = self._device.type == "cuda"
        # A captured graph reads the rate from the device, so there it has to be a tensor.
        rate = torch.tensor(learning_rate, device=self._device) if on_gpu else learning_rate
        self._optimiser = torch.optim.Adam(self.model.parameters(), lr=rate, capturable=on_gpu)
        for group in self._optimiser.param_groups:
            group["initial_lr"] = learning_rate
        self._run = CapturedUpdate(self._update, self._device) if on_gpu else self._update

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        return (self._optimiser,)

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        ((low, high),) = batches
        return {"loss": self._run(images(low, self._device), images(high, self._device))}

    def _update(self, low: Tensor, high: Tensor) -> Tensor:
        loss = self._loss(self.model(low), high)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimiser.step()
        return loss.detach()

    def state(self) -> State:
        return {"model": self.model.state_dict(), "optimiser": self._optimiser.state_dict()}

    def restore(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        restore_optimiser(self._optimiser, state["optimiser"])

    def remark(self, scalars: Mapping[str, float]) -> str:
        return ""

    def deliverable(self) -> nn.Module:
        return self.model


def schedule_of(config: TrainingConfig) -> Schedule:
    """Return the schedule that the options name."""
    match config.schedule:
        case "constant":
            return constant()
        case "cosine":
            return cosine(config.steps)
        case "multistep":
            return multistep(config.milestones, gamma=config.gamma)


def pixel_training(
    model: nn.Module,
    pairs: Sequence[ImagePair],
    config: TrainingConfig,
    *,
    scale: int,
    seed: int,
    loss: ImageLoss = F.l1_loss,
    device: str = "cpu",
    validate: Validate = lambda module: {},
    save: Save = lambda module, folder: {},
) -> Training:
    """Train a network against the ground truth with the pixel loss, or another one of images."""
    stream = PatchSampler(
        pairs, scale=scale, patch=config.patch, batch=config.batch, seed=seed, device=device
    )
    return Training(
        PixelStep(model, learning_rate=config.learning_rate, loss=loss, device=device),
        (stream,),
        steps=config.steps,
        schedule=schedule_of(config),
        report_every=config.report_every,
        validate=validate,
        validate_every=config.validate_every,
        save=save,
        threads=config.threads,
    )
