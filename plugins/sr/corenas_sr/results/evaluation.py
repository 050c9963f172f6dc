"""Measuring an upscaler on image pairs: each image's values, their mean, and the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from corenas import Chosen, DataError, InputError
from corenas.show.progress_bar import bar
from corenas.values.result import finite
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.folders import image_files
from corenas_sr.data.images import LARGEST, quantise, read_image
from corenas_sr.metric import ImageMetric
from corenas_sr.models.inference import upscale

Restore = Callable[[ImagePair], Tensor]
"""Gives the upscaled image for a pair's low-resolution one, uint8, shape (3, H, W)."""


@frozen
class Evaluation:
    """Values by image and metric; the mean is over images, as the literature takes it."""

    images: Mapping[str, Mapping[str, float]]
    protocol: Mapping[str, str]
    low_resolution: str = ""
    """Where the low-resolution sides came from, if that was asked for."""

    @property
    def mean(self) -> dict[str, float]:
        """The mean of each metric over the images."""
        values = list(self.images.values())
        return {name: sum(v[name] for v in values) / len(values) for name in self.protocol}

    def to_json(self) -> dict[str, Any]:
        """Return mean, images (name and values), protocol, and where LR came from."""
        images = [{"name": name, **finite(values)} for name, values in self.images.items()]
        found = {"mean": finite(self.mean), "images": images, "protocol": dict(self.protocol)}
        return found | ({"low_resolution": self.low_resolution} if self.low_resolution else {})


_KEPT_METRICS = 8

_built: list[tuple[Chosen, ImageMetric]] = []
"""The metrics built last: a network's weights are not read again for each measurement."""


def build_metrics(chosen: Sequence[Chosen]) -> dict[str, ImageMetric]:
    """Build the metrics that a configuration names; one that was built before is given again."""
    return {choice.name: _metric(choice) for choice in chosen}


def _metric(choice: Chosen) -> ImageMetric:
    for known, metric in _built:
        # Equal options may belong to different components after a plugin was loaded anew.
        if known == choice and known.component is choice.component:
            return metric
    built: ImageMetric = choice.build()
    _built.append((choice, built))
    del _built[:-_KEPT_METRICS]
    return built


def protocols(metrics: Mapping[str, ImageMetric], *, scale: int) -> dict[str, str]:
    """Return how each metric measures at a scale, by name."""
    return {name: metric.info.protocol_at(scale) for name, metric in metrics.items()}


def evaluate(
    restore: Restore, pairs: Iterable[ImagePair], metrics: Mapping[str, ImageMetric], *, scale: int
) -> Evaluation:
    """Upscale every low-resolution image and measure it against its partner.

    Raises:
        DataError: A metric cannot measure an image; the message names it.
    """
    images = {
        pair.name: _measured(pair.name, restore(pair), pair.hr, metrics, scale) for pair in pairs
    }
    return Evaluation(images, protocols(metrics, scale=scale))


def measure_folder(
    folder: Path, metrics: Mapping[str, ImageMetric], *, largest: int = LARGEST
) -> Evaluation:
    """Measure the images of a folder by metrics that compare with nothing.

    Args:
        folder: The images.
        metrics: The metrics by name.
        largest: Pixels that an image may have at most.

    Raises:
        InputError: It is no folder, or a metric compares with a ground truth.
        DataError: There is no image, or one cannot be read or measured; the message names it.
    """
    for name, metric in metrics.items():
        if metric.info.reference == "full":
            raise InputError(f"{name} compares with a ground truth; name its folder, too")
    if not folder.is_dir():
        raise InputError(f"{folder}: without a ground truth, a folder of images is needed here")
    files = image_files(folder)
    if not files:
        raise DataError(f"{folder}: no images in this folder")
    images = {
        file.name: _measured(str(file), read_image(file, largest=largest), None, metrics, 1)
        for file in bar(files, total=len(files), what="measuring")
    }
    return Evaluation(images, protocols(metrics, scale=1))


def _measured(
    name: str,
    image: Tensor,
    reference: Tensor | None,
    metrics: Mapping[str, ImageMetric],
    scale: int,
) -> dict[str, float]:
    try:
        return measure(image, reference, metrics, scale=scale)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def validator(
    pairs: Sequence[ImagePair], metrics: Mapping[str, ImageMetric], *, scale: int, device: str
) -> Callable[[nn.Module], dict[str, float]]:
    """Return what measures a network on whole images, for a training to call now and then."""

    def validate(module: nn.Module) -> dict[str, float]:
        module.eval()
        try:
            return evaluate(
                lambda pair: upscale(module, pair.lr, scale=scale, device=device),
                pairs,
                metrics,
                scale=scale,
            ).mean
        finally:
            module.train()

    return validate


def measure(
    image: Tensor, reference: Tensor | None, metrics: Mapping[str, ImageMetric], *, scale: int
) -> dict[str, float]:
    """Measure one uint8 image of shape (3, H, W)."""
    partner = None if reference is None else reference[None]
    return {
        name: float(metric(image[None], partner, scale=scale)[0])
        for name, metric in metrics.items()
    }


_ATTEMPTS = 20
"""Positions that are tried for each crop."""


@frozen
class Crops:
    """A fixed batch of crops: what a search measures candidates on, because it is cheap."""

    lr: Tensor
    hr: Tensor

    @classmethod
    def spread(cls, pairs: Sequence[ImagePair], *, size: int, count: int, scale: int) -> Crops:
        """Take ``count`` crops of ``size`` low-resolution pixels, spread over the images.

        Positions follow fixed low-discrepancy sequences, so they are the same in every process.
        A crop of one colour is passed over while there are others: restored exactly, its PSNR is
        infinite.
        """
        side = min(size, *(extent for pair in pairs for extent in pair.lr.shape[1:]))
        detailed: list[tuple[Tensor, Tensor]] = []
        flat: list[tuple[Tensor, Tensor]] = []
        for index in range(_ATTEMPTS * count):
            visit, number = divmod(index, len(pairs))
            pair = pairs[number]
            down, right = _position(visit, number)
            top = int(down * (pair.lr.shape[1] - side + 1))
            left = int(right * (pair.lr.shape[2] - side + 1))
            high = pair.hr[:, top * scale : (top + side) * scale]
            high = high[:, :, left * scale : (left + side) * scale]
            low = pair.lr[:, top : top + side, left : left + side]
            (flat if (high == high[:, :1, :1]).all() else detailed).append((low, high))
            if len(detailed) == count:
                break
        lows, highs = zip(*(detailed + flat)[:count], strict=True)
        return cls(torch.stack(lows), torch.stack(highs))

    def measure(
        self, model: nn.Module, metrics: Mapping[str, ImageMetric], *, scale: int, device: str
    ) -> dict[str, float]:
        """Return the mean of each metric over the crops."""
        model.eval()
        with torch.no_grad():
            low = self.lr.to(device, torch.float32).contiguous(memory_format=torch.channels_last)
            restored = quantise(model(low)).cpu()
        model.train()
        return {n: float(m(restored, self.hr, scale=scale).mean()) for n, m in metrics.items()}


def _position(visit: int, number: int) -> tuple[float, float]:
    """Return where in the unit square a crop is taken at the n-th visit to an image.

    Each image's positions are a Halton sequence, shifted by a point that is another for each. (One
    sequence for all would give every image a part of it that is not spread.)
    """
    pairs = zip(_halton(visit), _halton(number), strict=True)
    down, right = ((position + shift) % 1 for position, shift in pairs)
    return down, right


def _halton(index: int) -> tuple[float, float]:
    """Return a point of the Halton sequence of bases 2 and 3 in the unit square."""
    return _radical_inverse(index + 1, 2), _radical_inverse(index + 1, 3)


def _radical_inverse(index: int, base: int) -> float:
    value, weight = 0.0, 1.0 / base
    while index:
        index, digit = divmod(index, base)
        value += digit * weight
        weight /= base
    return value
