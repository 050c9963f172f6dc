"""What a training does in one step; the loop in `corenas.training.loop` drives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

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


def restore_optimiser(optimiser: torch.optim.Optimizer, state: State) -> None:
    """Load what an optimiser remembers of the gradients, and keep how it runs.

    That depends on the device here, not on the one where the state was saved.
    """
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({**state, "param_groups": groups})
