"""Images of all sizes in one block of memory, so that any of their pixels is one index away."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pack(images: list[Tensor]) -> None:
    """Move images into one block and replace each in the list by its view of the block.

    One image moves at a time: a data set that fills half the memory still fits.

    Args:
        images: uint8, shape (3, H, W) with any H and W; their views have the channels last.
    """
    block = torch.empty(sum(image.numel() for image in images), dtype=torch.uint8)
    start = 0
    for number, image in enumerate(images):
        _, height, width = image.shape
        view = block[start : start + image.numel()].view(height, width, 3).permute(2, 0, 1)
        images[number] = view.copy_(image)
        start += image.numel()


class Block:
    """Memory for images that come one after the other.

    Args:
        size: Bytes at most; what is not used takes no memory, because it is never touched.
    """

    def __init__(self, size: int) -> None:
        self._block = torch.empty(size, dtype=torch.uint8)
        self._used = 0

    def add(self, image: Tensor) -> Tensor:
        """Copy an image of shape (3, H, W) into the block; return its view there."""
        _, height, width = image.shape
        place = self._block[self._used : self._used + image.numel()]
        self._used += image.numel()
        return place.view(height, width, 3).permute(2, 0, 1).copy_(image)


def pixels(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return a block that holds all images as rows of RGB, and where each image begins.

    Images that `pack` moved are not copied.

    Returns:
        uint8 of shape (pixels, 3), rows of an image one after the other; and int64 of shape (N,).
    """
    if not _in_one_block(images):
        images = list(images)
        pack(images)
    block = images[0].untyped_storage()
    rows = images[0].as_strided((block.nbytes() // 3, 3), (3, 1), 0)
    return rows, torch.tensor([image.storage_offset() // 3 for image in images])


def _in_one_block(images: Sequence[Tensor]) -> bool:
    block = images[0].untyped_storage().data_ptr()
    return all(
        image.untyped_storage().data_ptr() == block
        and image.stride() == (1, 3 * image.shape[2], 3)
        and image.storage_offset() % 3 == 0
        for image in images
    )
