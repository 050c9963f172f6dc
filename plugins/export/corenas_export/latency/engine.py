"""What an engine of latency is, and its options (no torch here)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from corenas.options.structuring import option

if TYPE_CHECKING:
    from corenas_export.format import Source


@frozen
class CommandConfig:
    """Options of the engine that is a command line."""

    command: str = option(
        "",
        "a command line that prints milliseconds; {file} in it stands for an ONNX file for float32 "
        "images of one size, which else is its last argument, and {threads} for their number",
    )
    timeout: float = option(600.0, "how long one call may take", unit="seconds", gt=0)


class Engine(Protocol):
    """Runs networks. What a component of the kind ``latency_engines`` builds."""

    def name(self) -> str:
        """Return what runs networks, with its version."""

    def processor(self) -> str:
        """Return the name of what computes."""

    def prepare(self, source: Source, folder: Path, *, threads: int) -> Callable[[], float]:
        """Make a network ready.

        Args:
            source: The network, with the size of its images.
            folder: Where files may go; it is there until the last call.
            threads: How many threads compute.

        Returns:
            A function that runs one image through the network and returns the seconds of that.

        Raises:
            CorenasError: It cannot be made ready, or fails when it is called.
        """
