"""PSNR and SSIM of an export on images, with their protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas_sr.commands.metric_options import choose_metrics
from corenas_sr.data.datasets import ImagePair, load_pairs
from corenas_sr.models.files import Network
from corenas_sr.models.inference import upscale
from corenas_sr.results.evaluation import Evaluation, build_metrics, evaluate

METRICS = ("psnr", "ssim")


@frozen
class Measured:
    """Mean values over images, by metric, and how they were measured."""

    values: dict[str, float]
    protocol: dict[str, str]
    images: str

    def to_json(self) -> dict[str, Any]:
        """Return a line of text for each metric: value, protocol, images."""
        return {
            name: f"{value:.4f} ({self.protocol[name]}; {self.images})"
            for name, value in self.values.items()
        }


def load_validation(source: str, scale: int) -> Sequence[ImagePair]:
    """Open validation images; see `corenas_sr.data.datasets.load_pairs`."""
    return load_pairs(source, scale=scale, split="validation")


def measure(network: Network, source: str, *, images: int | None = None) -> Measured:
    """Measure a network on validation images.

    Args:
        network: The network.
        source: The images.
        images: At most so many of them; by default all.
    """
    pairs = load_validation(source, network.scale)[:images]
    found: Evaluation = evaluate(
        lambda pair: upscale(network.module, pair.lr, scale=network.scale),
        pairs,
        build_metrics(choose_metrics(METRICS, ())),
        scale=network.scale,
    )
    # Not the whole path: the file goes to others.
    what = f"{len(pairs)} images of {Path(source).name}"
    return Measured(found.mean, dict(found.protocol), what)
