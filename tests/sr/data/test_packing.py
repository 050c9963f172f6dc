from __future__ import annotations

import torch
from torch import Tensor

from corenas_sr.data.packing import pack, pixels

SIZES = [(4, 6), (3, 3), (7, 2)]


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in SIZES
    ]


def test_packed_images_keep_their_values() -> None:
    packed = images()
    pack(packed)
    for image, original in zip(packed, images(), strict=True):
        assert torch.equal(image, original)
        assert image[None].is_contiguous(memory_format=torch.channels_last)


def test_rows_of_the_block_are_the_images_pixels() -> None:
    block, starts = pixels(images())
    assert starts.tolist() == [0, 24, 33]
    for image, start in zip(images(), starts.tolist(), strict=True):
        count = image.shape[1] * image.shape[2]
        assert torch.equal(block[start : start + count], image.flatten(1).T)


def test_packed_images_are_not_copied_not_even_in_part() -> None:
    packed = images()
    pack(packed)
    block, starts = pixels(packed[1:])
    assert block.untyped_storage().data_ptr() == packed[0].untyped_storage().data_ptr()
    assert starts.tolist() == [24, 33]
    assert torch.equal(block[24:33], images()[1].flatten(1).T)


def test_cropped_view_is_copied() -> None:
    packed = images()
    pack(packed)
    cropped = [packed[0][:, :, 1:5]]
    block, starts = pixels(cropped)
    assert block.shape == (16, 3)
    assert starts.tolist() == [0]
    assert torch.equal(block, images()[0][:, :, 1:5].flatten(1).T)
