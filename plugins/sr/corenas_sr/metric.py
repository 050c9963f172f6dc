"""The protocol of image metrics, and their metadata, which imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from attrs import frozen

from corenas.values.quantity import Quantity

if TYPE_CHECKING:
    from torch import Tensor


@frozen
class MetricInfo:
    """Metadata of a metric, printed beside its numbers.

    ``better`` is the good direction. ``reference`` is "full" for a metric that compares with a
    ground truth. ``range`` is the range of its values. ``protocol`` says exactly how images are
    measured; in it, ``= scale`` stands for the up-scaling factor. ``network`` is the one of
    `corenas_sr.features` whose features it compares, if it does.
    """

    better: Literal["higher", "lower"]
    reference: Literal["full", "none"] = "full"
    range: str = ""
    unit: str = ""
    protocol: str = ""
    network: str = ""

    @property
    def sign(self) -> int:
        """1 when higher is better, -1 when lower is."""
        return 1 if self.better == "higher" else -1

    def protocol_at(self, scale: int) -> str:
        """Return the protocol with the up-scaling factor filled in, such as ``shave = 4``."""
        return self.protocol.replace("= scale", f"= {scale}")

    def quantity(self, name: str) -> Quantity:
        """Return the description of the number that the metric of this name measures."""
        return Quantity(name, self.better, self.unit, self.protocol)


class ImageMetric(Protocol):
    """Measures images. What a component of the kind ``metrics`` builds."""

    @property
    def info(self) -> MetricInfo:
        """The metadata, with the protocol that the options chose."""

    def __call__(self, image: Tensor, reference: Tensor | None, *, scale: int) -> Tensor:
        """Measure each image of a batch.

        Args:
            image: Quantised images, uint8, shape (N, 3, H, W).
            reference: Ground truth of the same shape and type, or None where not needed.
            scale: The up-scaling factor, from which protocols take their shave.

        Returns:
            One float64 value per image, shape (N,).
        """
