"""What a training does in one step; the loop in `corenas.training.loop` drives it.

`SupervisedStep` is the usual one: a network learns to turn inputs into targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

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


LEFT = 10.0
"""How many times its least mean a loss must be, so that the training has left for good."""


class SupervisedStep:
    """One step of Adam for the loss between a network's outputs and the targets.

    A batch is a pair of tensors: inputs and targets. On a GPU the update is captured as a CUDA
    graph; network and loss then must not read a value back.

    With ``ema`` the deliverable is the moving average of the weights, whose decay rises to that
    value as `ramped` says; what it delivers is then a network of its own.

    Args:
        model: Moved to the device, and used in training mode.
        loss: Compares outputs with targets; if it has tensors, they are on the device already.
        learning_rate: Adam's step size at schedule factor 1.
        place: Moves the inputs and the targets to the device.
        device: Where to train.
        ema: Decay of the weights' moving average, below 1; None for no average.
        clip: Largest norm of all gradients together; None for any norm.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        *,
        learning_rate: float,
        place: Place = place,
        device: str = "cpu",
        ema: float | None = None,
        clip: float | None = None,
    ) -> None:
        self._device = torch.device(device)
        self._loss = loss
        self._place = place
        self._clip = clip
        self._least = math.inf
        self.model = model.to(self._device).train()
        self._average = None if ema is None else moving_average(self.model, ema)
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
        loss = self._run(*placed)
        if self._average is not None:
            self._average.update_parameters(self.model)
        return {"loss": loss}

    def _update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        loss = self._loss(self.model(inputs), targets)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)
        self._optimiser.step()
        return loss.detach()

    def state(self) -> State:
        state = {
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "least": self._least,
        }
        return state if self._average is None else {**state, "ema": self._average.state_dict()}

    def restore(self, state: State) -> None:
        self.model.load_state_dict(state["model"])
        restore_optimiser(self._optimiser, state["optimiser"])
        self._least = state["least"]
        if self._average is not None:
            self._average.load_state_dict(state["ema"])

    def remark(self, scalars: Mapping[str, float]) -> str:
        """Return a warning when the loss is many times what it was before."""
        loss = scalars["loss"]
        self._least = min(self._least, loss)
        # Of a loss that may be zero or less, a ratio says nothing.
        if self._least <= 0 or loss <= LEFT * self._least:
            return ""
        return (
            f"the loss is {loss:.3g} and was {self._least:.3g} before: the training has left what "
            "it had learnt; a smaller learning_rate, or clipped gradients, may help"
        )

    def deliverable(self) -> nn.Module:
        if self._average is None:
            return self.model
        average: nn.Module = self._average.module
        return average


def moving_average(module: nn.Module, decay: float) -> AveragedModel:
    """Return a module that averages the weights of another one, by `ramped` decays."""

    def update(averages: Any, newest: Any, updates: Any) -> None:
        # The number of updates is a tensor on the device; reading it would make a GPU wait.
        changes = torch._foreach_sub(newest, averages)
        torch._foreach_mul_(changes, 1 - ramped(decay, updates))
        torch._foreach_add_(averages, changes)

    return AveragedModel(module, multi_avg_fn=update, use_buffers=False)


def ramped(decay: float, updates: Tensor) -> Tensor:
    """Return the decay of an average after so many updates, which rises to ``decay``.

    It is (1 + n) / (10 + n) until then, so that an average forgets the first weights soon: at a
    decay of 0.999 they would still be a third of it after a thousand steps.
    """
    return ((1 + updates) / (10 + updates)).clamp(max=decay)


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
    # On a CPU the fused kernel: with one call a tensor for each operation, the update of a network
    # of many small tensors takes as long as several of its convolutions.
    fused = True if parameters[0].device.type == "cpu" else None
    optimiser = torch.optim.Adam(parameters, lr=rate, capturable=capturable, fused=fused)
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
