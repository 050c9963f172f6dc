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
"""Does one update on LR and HR images on the device; returns the detached loss."""

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
        self._inputs: tuple[Tensor, Tensor] | None = None
        self._loss: Tensor | None = None

    def __call__(self, low: Tensor, high: Tensor) -> Tensor:
        """Do one update; return its loss."""
        if self._possible and self._graph is None and self._warm == WARM_UP:
            self._possible = self._try_to_capture(low, high)
        if self._graph is None:
            return self._run(low, high)
        return self._replay(low, high)

    def _run(self, low: Tensor, high: Tensor) -> Tensor:
        if not self._possible:
            return self._update(low, high)
        self._warm += 1
        return self._on_side_stream(low, high)

    def _on_side_stream(self, low: Tensor, high: Tensor) -> Tensor:
        stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch's
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            loss = self._update(low, high)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return loss

    def _try_to_capture(self, low: Tensor, high: Tensor) -> bool:
        """Record the update, which does not execute it; return whether that worked."""
        graph = torch.cuda.CUDAGraph()
        self._inputs = low.clone(), high.clone()
        try:
            with torch.cuda.graph(graph):
                self._loss = self._update(*self._inputs)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            warnings.warn(f"training without a CUDA graph: {reason}", stacklevel=2)
            return False
        self._graph = graph
        return True

    def _replay(self, low: Tensor, high: Tensor) -> Tensor:
        if self._graph is None or self._inputs is None or self._loss is None:
            raise RuntimeError("nothing was captured")
        if (low.shape, high.shape) != tuple(image.shape for image in self._inputs):
            return self._update(low, high)
        for static, image in zip(self._inputs, (low, high), strict=True):
            static.copy_(image)
        self._graph.replay()
        return self._loss.clone()  # the next replay writes into it
