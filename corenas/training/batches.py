"""Batches of examples that fit into memory, drawn without replacement."""

from __future__ import annotations

import torch
from torch import Tensor

from corenas.errors import DataError
from corenas.values.result import State


class ShuffledBatches:
    """Endless batches of inputs and targets: a new order in each pass over the examples.

    A batch that reaches beyond the end of a pass is filled from the next one, so all have one size,
    as a CUDA graph wants it.

    Args:
        inputs: All inputs, shape (N, …).
        targets: Their targets, shape (N, …).
        batch: How many examples are in a batch.
        seed: Decides the orders.

    Raises:
        DataError: There are no examples, or not as many inputs as targets.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, *, batch: int, seed: int) -> None:
        if len(inputs) != len(targets) or not len(inputs):
            raise DataError(
                f"expected as many inputs as targets, got {len(inputs)}, {len(targets)}"
            )
        self._inputs = inputs
        self._targets = targets
        self._batch = batch
        self._generator = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64)

    def next_batch(self) -> tuple[Tensor, Tensor]:
        """Return the next inputs and targets, on the device where all of them are."""
        while len(self._order) < self._batch:
            again = torch.randperm(len(self._inputs), generator=self._generator)
            self._order = torch.cat([self._order, again])
        chosen, self._order = self._order[: self._batch], self._order[self._batch :]
        chosen = chosen.to(self._inputs.device)
        return self._inputs[chosen], self._targets[chosen]

    def state(self) -> State:
        """Return the rest of the order, and the random state."""
        return {"order": self._order.clone(), "generator": self._generator.get_state()}

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self._order = state["order"]
        self._generator.set_state(state["generator"])
