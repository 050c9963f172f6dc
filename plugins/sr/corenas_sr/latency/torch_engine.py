"""The engine ``torch``, and what every engine on this machine shares."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from corenas.cost import Shape
from corenas.devices import processor_name
from corenas.plugins.hookspecs import NoOptions


def some_input(shape: Shape) -> Tensor:
    """Return numbers in 0..255 of a shape, always the same."""
    return 255 * torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def timed(run: Callable[[], Any]) -> Callable[[], float]:
    """Return a function that returns the seconds that ``run`` takes."""

    def once() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return once


class Here:
    """What computes on this machine."""

    def processor(self) -> str:
        """Return the name of the processor, as far as the system tells."""
        return processor_name()


class TorchEngine(Here):
    """torch, eager, in the memory layout in which CoreNAS runs networks, where the network is."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def name(self) -> str:
        """Return torch's version."""
        return f"torch {torch.__version__}"

    def prepare(
        self, network: nn.Module, shape: Shape, folder: Path, *, threads: int
    ) -> Callable[[], float]:
        """Return a forward pass; the threads are those of the process, which the caller sets."""
        device = next((each.device for each in network.parameters()), torch.device("cpu"))
        image = some_input(shape).to(device, memory_format=torch.channels_last)

        @torch.no_grad()
        def run() -> float:
            output = network(image)
            # Reading a value waits for a GPU.
            return float(output[(0,) * output.dim()])

        return timed(run)
