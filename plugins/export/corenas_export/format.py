"""What a format of export is: its metadata, what it is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen

if TYPE_CHECKING:
    from torch import Tensor, nn

    from corenas.modelfile import LoadedModel


@frozen
class FormatInfo:
    """Metadata of a component of the kind ``export_formats``.

    Args:
        suffixes: How the names of its files end, the one that a person names first.
    """

    suffixes: tuple[str, ...]


@frozen
class Sizes:
    """What images a network takes: sides of at least ``smallest``, multiples of ``multiple``."""

    smallest: int = 1
    multiple: int = 1

    def fit(self, side: int) -> int:
        """Return the smallest side that a network takes and that is not below ``side``."""
        side = max(side, self.smallest)
        return -(-side // self.multiple) * self.multiple


@frozen
class Source:
    """A network to export.

    Args:
        path: The file that it was read from.
        module: The network as it ships, of torch's own modules, from and to RGB in 0..255, floating
            point, shape (N, 3, H, W); not clamped.
        scale: Its up-scaling factor.
        sizes: What images it takes.
        radius: How far it looks in pixels of its input; None for the whole image.
        size: Width and height of the only images that the export shall take; None for any.
        facts: What the file shall say of itself, by key.
        model: The model file's content; None for a network of another project.
        say: Tells the user what is going on.
        channels: Of its images; another number than 3 is that of a part of a network.
    """

    path: Path
    module: nn.Module
    scale: int
    sizes: Sizes
    radius: int | None
    size: tuple[int, int] | None
    facts: Mapping[str, str]
    model: LoadedModel | None
    say: Callable[[str], None]
    channels: int = 3


@frozen
class Exported:
    """The files of an export, which lie where they were asked for, and how to run them.

    Args:
        files: One for each suffix of the format, in their order.
        run: Gives for images in 0..255, float32 and shape (N, 3, H, W), what the files make of
            them, in the same form; None where nothing is installed that could run them.
        runs_with: What runs them, or what has to be installed for it.
        batches: Whether it takes several images at once.
        rounded: Whether its values are whole levels in 0..255.
        tolerance: Levels by which a value may differ from torch's before it is rounded; None for
            what is judged by other means, as quantised networks are.
        numbers: What was measured of the export, as JSON.
        refused: Why it shall not be used; it is then kept aside, under another name.
    """

    files: Sequence[Path]
    run: Callable[[Tensor], Tensor] | None
    runs_with: str
    batches: bool = True
    rounded: bool = False
    tolerance: float | None = 0.02
    numbers: Mapping[str, Any] = field(factory=dict)
    refused: str = ""


class ExportFormat(Protocol):
    """Writes networks in one format. What a component of the kind ``export_formats`` builds."""

    def check(self, source: Source) -> None:
        """Raise what speaks against the export, before anything takes long.

        Raises:
            InputError: The network cannot be written so, or an option is missing.
        """

    def write(self, source: Source, file: Path) -> Exported:
        """Write a network.

        Args:
            source: The network.
            file: The first file; the others go into the same folder, which is empty, under the
                same name with the other suffixes.

        Raises:
            CorenasError: It cannot be converted; the message says what the converter said.
        """
