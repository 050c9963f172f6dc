"""Random training patches, gathered from images in memory.

EDSR's sampling: images in shuffled epochs, one uniform crop per visit, and one of the eight
symmetries of the square, the same for both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from corenas.errors import DataError, ResumeError
from corenas.values.result import State
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.packing import pixels

Batch = tuple[Tensor, Tensor]
"""LR (B, 3, p, p) and HR (B, 3, p * scale, p * scale) patches, uint8, channels last in memory."""


class PatchSampler:
    """Draws batches of aligned patches, repeatably.

    Args:
        pairs: Images of any sizes, none smaller than a patch.
        scale: How many times larger HR is than LR.
        patch: Side of a patch in LR pixels.
        batch: Patches in a batch.
        seed: Decides all batches, whatever the global random state.
        device: Where images and batches are.

    Raises:
        DataError: There are no images, or images smaller than a patch.
    """

    def __init__(
        self,
        pairs: Sequence[ImagePair],
        *,
        scale: int,
        patch: int,
        batch: int,
        seed: int,
        device: str = "cpu",
    ) -> None:
        _check_sizes(pairs, patch)
        lr_pixels, lr_starts = pixels([pair.lr for pair in pairs])
        hr_pixels, hr_starts = pixels([pair.hr for pair in pairs])
        self._pixels = (lr_pixels.to(device), hr_pixels.to(device))
        self._starts = torch.stack([lr_starts, hr_starts])
        self._scales = torch.tensor([[1], [scale]])
        self._sizes = torch.tensor([pair.lr.shape[1:] for pair in pairs]).T
        self._patch = patch
        self._batch = batch
        self._generator = torch.Generator().manual_seed(seed)
        self._queue = torch.empty(0, dtype=torch.int64)

    def next_batch(self) -> Batch:
        """Return the next LR and HR patches."""
        routes = self._draw_routes().to(self._pixels[0].device)
        lr, hr = (
            _gather(side, route, self._patch * int(scale))
            for side, route, scale in zip(self._pixels, routes, self._scales, strict=True)
        )
        return lr, hr

    def _draw_routes(self) -> Tensor:
        """Choose images, crops and symmetries.

        Returns:
            Shape (2, 3, B): for LR and HR the index of each patch's first pixel, and how far it
            is from there to the next pixel down and to the next on the right.
        """
        image = self._next_images()
        uniform = torch.rand(2, self._batch, generator=self._generator, dtype=torch.float64)
        corner = (uniform * (self._sizes[:, image] - self._patch + 1)).long()
        flip = torch.randint(2, (3, self._batch), generator=self._generator)
        # A flipped patch begins at its last row or column and walks backwards.
        last = self._patch * self._scales - 1
        row, column = corner[:, None] * self._scales + flip[:2, None] * last
        width = self._sizes[1, image] * self._scales
        start = self._starts[:, image] + row * width + column
        sign = 1 - 2 * flip
        down, right = sign[0] * width, sign[1].expand_as(width)
        transposed = flip[2] > 0
        steps = torch.where(transposed, right, down), torch.where(transposed, down, right)
        return torch.stack([start, *steps], dim=1)

    def _next_images(self) -> Tensor:
        """Take image numbers from the queue; each pass over all images is in a new order."""
        missing = self._batch - len(self._queue)
        if missing > 0:
            images = self._sizes.shape[1]
            passes = -(-missing // images)
            orders = torch.rand(passes, images, generator=self._generator).argsort(dim=1)
            self._queue = torch.cat([self._queue, orders.flatten()])
        image, self._queue = self._queue[: self._batch], self._queue[self._batch :]
        return image

    def state(self) -> State:
        """Return what the next batches depend on."""
        return {
            "images": self._sizes.shape[1],
            "queue": self._queue.clone(),
            "generator": self._generator.get_state(),
        }

    def restore(self, state: State) -> None:
        """Continue with the very batches that would have come.

        Raises:
            ResumeError: The state belongs to another number of images.
        """
        images = self._sizes.shape[1]
        if state["images"] != images:
            raise ResumeError(f"training images: {state['images']} when saved, now {images}")
        self._queue = state["queue"]
        self._generator.set_state(state["generator"])


def _gather(side: Tensor, route: Tensor, patch: int) -> Tensor:
    """Collect patches of (patch, patch) pixels along their routes, shape (3, B)."""
    start, down, right = route[:, :, None, None]
    along = torch.arange(patch, device=side.device)
    index = start + down * along[:, None] + right * along
    return side.index_select(0, index.flatten()).view(*index.shape, 3).permute(0, 3, 1, 2)


def _check_sizes(pairs: Sequence[ImagePair], patch: int) -> None:
    if not pairs:
        raise DataError("there are no images to take patches from")
    small = [pair.name for pair in pairs if min(pair.lr.shape[1:]) < patch]
    if small:
        names = ", ".join(small[:10]) + (f" and {len(small) - 10} more" if len(small) > 10 else "")
        raise DataError(f"smaller than a patch of {patch}x{patch} LR pixels: {names}")
