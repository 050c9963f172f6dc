"""What a one-shot strategy asks of a task: examples, what is right, and how a network is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from corenas.options.structuring import Chosen
from corenas.training.step import Stream
from corenas.values.architecture import Architecture

Part = Literal["weights", "architecture"]
"""Whose examples: those from which weights learn, or those that judge architectures."""

Item = TypeVar("Item")


class Supervision(Protocol):
    """Examples in two halves that share none, and a loss; what they are of, only the task knows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input for which costs of networks are counted, a batch of one."""

    @property
    def protocol(self) -> str:
        """Name that input in a few words, for tables."""

    def stream(self, part: Part, *, split: int, seed: int, device: str) -> Stream:
        """Return batches of inputs and targets.

        Args:
            part: Whose half of the examples.
            split: Decides the halves; both parts are given the same.
            seed: Decides the batches.
            device: Where to train.

        Raises:
            DataError: There are too few examples for two halves, or they cannot be used.
        """

    def place(self, values: Tensor, device: torch.device) -> Tensor:
        """Move inputs or targets of a batch to the device, as the supernet takes them."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Compare what the supernet gives with the targets; return a differentiable number."""

    def save(
        self, path: Path, module: nn.Module, *, space: Chosen, architecture: Architecture
    ) -> None:
        """Write a network of the space as a model file."""


@runtime_checkable
class Supervising(Protocol):
    """An `Evaluator` that also tells one-shot strategies by what its candidates are trained."""

    def supervision(self) -> Supervision:
        """Return examples and loss of a candidate's training."""


@runtime_checkable
class Rehearsing(Supervising, Protocol):
    """A `Supervising` evaluator whose targets take long to make, such as a teacher's images."""

    def rehearsal(self) -> Supervision:
        """Return a supervision by inputs and targets of the same sizes that are there at once.

        Checks and estimates use it: what stands in the targets is nothing to them.
        """


def halves(items: Sequence[Item], *, seed: int) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Split examples at random into those for the weights and those for the architecture.

    Of an odd number, the weights get one more.
    """
    order = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed)).tolist()
    middle = (len(items) + 1) // 2
    first, second = order[:middle], order[middle:]
    return tuple(items[i] for i in sorted(first)), tuple(items[i] for i in sorted(second))
