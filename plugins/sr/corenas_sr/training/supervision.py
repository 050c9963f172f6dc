"""Super-resolution as one-shot strategies are supervised: patches, and a loss between images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from corenas import Architecture, Chosen
from corenas.errors import DataError
from corenas.supernets.supervision import Part, halves
from corenas.training.step import Loss
from corenas_sr.config import OUTPUT
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import PatchSampler
from corenas_sr.models.files import save_model
from corenas_sr.training.pixel import images

Load = Callable[[str], Sequence[ImagePair]]
"""Returns training images; what a teacher makes of them may be computed on the device it is given.
"""


class PatchSupervision:
    """Patches of two halves of the training images, and a loss.

    Args:
        load: Returns the images, or a teacher's; called once.
        loss: Compares images in [0, 255], shape (N, 3, H, W); a module is moved to the device.
        scale: The up-scaling factor.
        patch: Side of a patch in low-resolution pixels.
        batch: Patches in a batch.
        output: Width and height of the output for which costs are counted.
    """

    def __init__(
        self,
        load: Load,
        loss: Loss,
        *,
        scale: int,
        patch: int,
        batch: int,
        output: tuple[int, int] = OUTPUT,
    ) -> None:
        self._halves = lru_cache(1)(lambda split, device: halves(_enough(load(device)), seed=split))
        self._loss = loss
        self._scale = scale
        self._patch = patch
        self._batch = batch
        self._output = output

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input whose output has the stated size."""
        width, height = (side // self._scale for side in self._output)
        return (1, 3, height, width)

    @property
    def protocol(self) -> str:
        width, height = self._output
        return f"output of {width}x{height}"

    def stream(self, part: Part, *, split: int, seed: int, device: str) -> PatchSampler:
        """Return patches of one half of the images.

        Raises:
            DataError: There are fewer than two images, or some smaller than a patch.
        """
        weights, architecture = self._halves(split, device)
        if isinstance(self._loss, nn.Module):
            self._loss.to(device)
        return PatchSampler(
            weights if part == "weights" else architecture,
            scale=self._scale,
            patch=self._patch,
            batch=self._batch,
            seed=seed,
            device=device,
        )

    def place(self, values: Tensor, device: torch.device) -> Tensor:
        return images(values, device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._loss(outputs, targets)

    def save(
        self, path: Path, module: nn.Module, *, space: Chosen, architecture: Architecture
    ) -> None:
        save_model(path, module, space=space, architecture=architecture, scale=self._scale)


def _enough(pairs: Sequence[ImagePair]) -> Sequence[ImagePair]:
    if len(pairs) < 2:
        raise DataError(
            "training images: a search in a supernet needs two at least, because weights and "
            f"architecture learn from different ones; got {len(pairs)}"
        )
    return pairs
