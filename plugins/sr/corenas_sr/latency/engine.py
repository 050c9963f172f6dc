"""What an engine of latency is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from corenas.cost import Shape


class Engine(Protocol):
    """Runs networks. What a component of the kind ``latency_engines`` builds.

    One that repeats by itself may have an attribute ``runs``: how many calls are enough.
    """

    def name(self) -> str:
        """Return what runs networks, with its version."""

    def processor(self) -> str:
        """Return the name of what computes."""

    def prepare(
        self, network: nn.Module, shape: Shape, folder: Path, *, threads: int
    ) -> Callable[[], float]:
        """Make a network ready.

        Args:
            network: Made of torch's own modules, in evaluation mode, from floating point in 0..255
                and of this shape. It may be a part of a network.
            shape: The shape of its input with the batch.
            folder: Where files may go; it is there until the last call.
            threads: How many threads compute.

        Returns:
            A function that runs the network once and returns the seconds of that.

        Raises:
            CorenasError: It cannot be made ready, or fails when it is called.
        """
