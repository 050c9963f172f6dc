"""What a training does in one step; the loop in `corenas.training.loop` drives it.

`SupervisedStep` is the usual one: a network learns to turn inputs into targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from corenas.training._cuda_graph import CapturedUpdate
from corenas.values.result import State


class Stream(Protocol):
    """Endless batches, drawn from a seed of its own."""

    def next_batch(self) -> Any:
        """Return the next batch, in whatever form the training step takes."""

    def state(self) -> State:
        """Return everything that the next batch depends on, random state included."""

    def restore(self, state: State) -> None:
        """Continue from a state."""


class TrainingStep(Protocol):
    """Owns models, losses and optimisers. The loop owns order, schedule, guard and events."""

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        """What the schedule steers; each group's ``initial_lr`` is the rate at factor 1."""

    def step(self, batches: Sequence[Any]) -> Mapping[str, Tensor]:
        """Do one update on one batch of each stream; return detached scalars by name."""

    def state(self) -> State:
        """Return everything that the next step depends on."""

    def restore(self, state: State) -> None:
        """Continue from a state."""

    def remark(self, scalars: Mapping[str, float]) -> str:
        """Return what a person should know about these means of scalars, or an empty string."""

    def deliverable(self) -> nn.Module:
        """Return the network that the training is for."""


Loss = Callable[[Tensor, Tensor], Tensor]
"""Compares what the network gives for inputs with the targets; gives a number."""

Place = Callable[[Tensor, torch.device], Tensor]
"""Moves inputs or targets to the device, in the type and layout that the network takes."""


def place(values: Tensor, device: torch.device) -> Tensor:
    """Move a tensor to the device as it is."""
    return values.to(device, non_blocking=True)


class SupervisedStep:
    """One step of Adam for the loss between a network's outputs and the targets.

    A batch is a pair of tensors: inputs and targets. On a GPU the update is captured as a CUDA
    graph; network and loss then must not read a value back.

    Args:
        model: Moved to the device, and used in training mode.
        loss: Compares outputs with targets; if it has tensors, they are on the device already.
        learning_rate: Adam's step size at schedule factor 1.
        place: Moves the inputs and the targets to the device.
        device: Where to train.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        *,
        learning_rate: float,
        place: Place = place,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._loss = loss
        self._place = place
        self.model = model.to(self._device).train()
        on_gpu = self._device.type == "cuda"
        self._optimiser = adam(self.model, learning_rate, capturable=on_gpu)
        self._run = CapturedUpdate(self._update, self._device) if on_gpu else self._update

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        return (self._optimiser,)

    def step(self, batches: Sequence[tuple[Tensor, Tensor]]) -> Mapping[str, Tensor]:
        """Do one update on the one batch; return its ``loss``."""
        ((inputs, targets),) = batches
        placed = self._place(inputs, self._device), self._place(targets, self._device)
        return {"loss": self._run(*placed)}

    def _update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = self._loss(self.model(inputs), targets)
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


def adam(module: nn.Module, learning_rate: float, *, capturable: bool = False) -> torch.optim.Adam:
    """Return Adam for all parameters of a module, with the ``initial_lr`` that the loop scales.

    Args:
        module: On its device already.
        learning_rate: The step size at schedule factor 1.
        capturable: Its steps may become part of a CUDA graph; the module is on a GPU.
    """
    parameters = list(module.parameters())
    # A captured graph reads the rate from the device, so there it has to be a tensor.
    rate = torch.tensor(learning_rate, device=parameters[0].device) if capturable else learning_rate
    optimiser = torch.optim.Adam(parameters, lr=rate, capturable=capturable)
    for group in optimiser.param_groups:
        group["initial_lr"] = learning_rate
    return optimiser


def restore_optimiser(optimiser: torch.optim.Optimizer, state: State) -> None:
    """Load what an optimiser remembers of the gradients, and keep how it runs.

    That depends on the device here, not on the one where the state was saved.
    """
    # They hold ``capturable`` and a rate that is a tensor on a GPU, a number elsewhere.
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({**state, "param_groups": groups})
