"""An optimiser's update as one CUDA graph.

A small network's step is many tiny kernels, whose launches cost more than what they compute. Where
capturing fails, the update simply runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Update = Callable[[Tensor, Tensor], Tensor]
"""Does one update on inputs and targets on the device; returns the detached loss."""

# As in torch's notes on CUDA graphs: what is initialised late must be there before a capture.
WARM_UP = 3


class CapturedUpdate:
    """Runs an update a few times, captures the next one, and replays it from then on.

    The first updates are real ones; they run on a side stream, as capturing demands. Batches of
    another shape than the captured one run without the graph.

    Args:
        update: Uses static memory alone: no value is read back, the optimiser is capturable.
        device: A CUDA device.
    """

    def __init__(self, update: Update, device: torch.device) -> None:
        self._update = update
        self._device = device
        self._warm = 0
        self._possible = True
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: tuple[Tensor, Tensor] | None = None
        self._loss: Tensor | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Do one update; return its loss."""
        if self._possible and self._graph is None and self._warm == WARM_UP:
            self._possible = self._try_to_capture(inputs, targets)
        if self._graph is None:
            return self._run(inputs, targets)
        return self._replay(inputs, targets)

    def _run(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if not self._possible:
            return self._update(inputs, targets)
        self._warm += 1
        return self._on_side_stream(inputs, targets)

    def _on_side_stream(self, inputs: Tensor, targets: Tensor) -> Tensor:
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            loss = self._update(inputs, targets)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return loss

    def _try_to_capture(self, inputs: Tensor, targets: Tensor) -> bool:
        """Record the update, which does not execute it; return whether that worked."""
        graph = torch.cuda.CUDAGraph()
        # The graph reads from these addresses for ever; a batch's own memory will be another's.
        self._batch = inputs.clone(), targets.clone()
        try:
            with torch.cuda.graph(graph):
                self._loss = self._update(*self._batch)
        # A loss that reads a value back, say. Training goes on as it was, only slower.
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f"training without a CUDA graph: {reason}", stacklevel=2)
            return False
        self._graph = graph
        return True

    def _replay(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if self._graph is None or self._batch is None or self._loss is None:
            raise RuntimeError("nothing was captured")
        if (inputs.shape, targets.shape) != tuple(static.shape for static in self._batch):
            return self._update(inputs, targets)
        for static, new in zip(self._batch, (inputs, targets), strict=True):
            static.copy_(new)
        self._graph.replay()
        return self._loss.clone()  # the next replay writes into it
