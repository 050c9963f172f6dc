"""What a training does in one step; the loop in `corenas_sr.training` drives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from corenas import State
from corenas.training.cuda_graph import CapturedUpdate
from corenas_sr.patches import Batch


class TrainingStep(Protocol):
    """Owns models, losses and optimisers. The loop owns order, schedule, guard and events."""

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        """What the schedule steers; each group's ``initial_lr`` is the rate at factor 1."""

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        """Do one update on one batch of each stream; return detached scalars by name."""

    def state(self) -> State:
        """Return everything that the next step depends on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""

    def remark(self, scalars: Mapping[str, float]) -> str:
        """Return what a person should know about these means of scalars, or an empty string."""

    def deliverable(self) -> nn.Module:
        """Return the network that the training is for."""


def images(values: Tensor, device: torch.device) -> Tensor:
    """Turn uint8 images into float32 of the same range on the device, in channels-last memory."""
    moved = values.to(device, non_blocking=True)
    return moved.to(torch.float32, memory_format=torch.channels_last)


def restore_optimiser(optimiser: torch.optim.Optimizer, state: State) -> None:
    """Load what an optimiser remembers of the gradients, and keep how it runs.

    That depends on the device here, not on the one where the state was saved.
    """
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({**state, "param_groups": groups})


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
