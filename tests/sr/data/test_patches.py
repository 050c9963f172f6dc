"""Images whose values are their own coordinates show where a patch comes from."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from corenas.errors import DataError, ResumeError
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.patches import Batch, PatchSampler


def coordinates(height: int, width: int, number: int) -> Tensor:
    """Return an image of (row, column, number)."""
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([row, column, torch.full_like(row, number)]).to(torch.uint8)


def pairs(*sizes: tuple[int, int], scale: int = 2) -> list[ImagePair]:
    return [
        ImagePair(f"image-{i}", coordinates(h, w, i), coordinates(h * scale, w * scale, i))
        for i, (h, w) in enumerate(sizes)
    ]


def sampler(
    images: Sequence[ImagePair], *, scale: int = 2, patch: int = 5, batch: int = 8, seed: int = 0
) -> PatchSampler:
    return PatchSampler(images, scale=scale, patch=patch, batch=batch, seed=seed)


def draw(source: PatchSampler, count: int) -> Batch:
    """Return several batches as one."""
    lows, highs = zip(*(source.next_batch() for _ in range(count)), strict=True)
    return torch.cat(lows), torch.cat(highs)


def symmetric(patch: Tensor, symmetry: int) -> Tensor:
    """Apply one of the eight symmetries of the square."""
    if symmetry & 1:
        patch = patch.flip(1)
    if symmetry & 2:
        patch = patch.flip(2)
    return patch.mT if symmetry & 4 else patch


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_both_patches_are_the_same_crop_in_the_same_symmetry(scale: int) -> None:
    images = pairs((11, 17), (9, 6), (20, 23), scale=scale)
    seen = Counter[int]()
    for lr, hr in zip(*draw(sampler(images, scale=scale), 40), strict=True):
        row, column, number = lr.flatten(1).amin(dim=1).tolist()
        pair = images[number]
        low = pair.lr[:, row : row + 5, column : column + 5]
        (symmetry,) = (s for s in range(8) if torch.equal(symmetric(low, s), lr))
        top, left, side = row * scale, column * scale, 5 * scale
        high = pair.hr[:, top : top + side, left : left + side]
        assert torch.equal(symmetric(high, symmetry), hr)
        seen[symmetry] += 1
    assert sorted(seen) == list(range(8))
    assert min(seen.values()) > 20  # 40 expected of each


def test_every_position_is_drawn_equally_often() -> None:
    lr, _ = draw(sampler(pairs((7, 6)), batch=100), 12)
    corners = Counter(tuple(corner) for corner in lr.flatten(2).amin(dim=2)[:, :2].tolist())
    assert sorted(corners) == [(row, column) for row in range(3) for column in range(2)]
    assert min(corners.values()) > 150  # 200 expected of each


def test_patch_as_large_as_the_image_is_the_image() -> None:
    lr, hr = draw(sampler(pairs((5, 5))), 3)
    assert lr.flatten(2).amin(dim=2)[:, :2].sum() == 0
    assert hr.shape == (24, 3, 10, 10)


def test_each_pass_visits_every_image_once_in_a_new_order() -> None:
    lr, _ = draw(sampler(pairs(*[(6, 6)] * 7), batch=4), 35)
    passes = lr[:, 2, 0, 0].view(20, 7).tolist()
    assert all(sorted(order) == list(range(7)) for order in passes)
    assert len({tuple(order) for order in passes}) > 15


def test_batch_may_exceed_the_number_of_images() -> None:
    lr, _ = sampler(pairs((6, 6), (7, 7)), batch=9).next_batch()
    assert sorted(Counter(lr[:, 2, 0, 0].tolist()).values()) == [4, 5]


def test_batches_are_uint8_with_channels_last() -> None:
    for batch, size in zip(sampler(pairs((9, 9))).next_batch(), (5, 10), strict=True):
        assert batch.shape == (8, 3, size, size)
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous(memory_format=torch.channels_last)


def equal(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_seed_alone_decides_the_batches() -> None:
    images = pairs((11, 17), (9, 6))
    torch.manual_seed(1)
    first = draw(sampler(images, seed=3), 5)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert equal(draw(sampler(images, seed=3), 5), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not equal(draw(sampler(images, seed=4), 5), first)


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_restored_sampler_continues_with_the_very_same_batches(taken: int) -> None:
    images = pairs(*[(6, 9)] * 5)
    source = sampler(images, batch=3)
    for _ in range(taken):
        source.next_batch()
    file = io.BytesIO()
    torch.save(source.state(), file)
    file.seek(0)
    expected = draw(source, 10)
    restored = sampler(images, batch=3, seed=99)
    restored.next_batch()
    restored.restore(torch.load(file, weights_only=True))
    assert equal(draw(restored, 10), expected)


def test_state_is_not_changed_by_later_batches() -> None:
    source = sampler(pairs(*[(6, 9)] * 5), batch=3)
    state = source.state()
    expected = source.next_batch()
    source.restore(state)
    source.next_batch()
    source.restore(state)
    assert equal(source.next_batch(), expected)


def test_state_of_another_data_set_is_refused() -> None:
    state = sampler(pairs((6, 6), (7, 7))).state()
    with pytest.raises(ResumeError, match="2 when saved, now 1"):
        sampler(pairs((6, 6))).restore(state)


def test_images_smaller_than_a_patch_are_named() -> None:
    images = pairs((5, 5), (4, 9), *[(9, 3)] * 11)
    with pytest.raises(DataError) as caught:
        sampler(images)
    message = str(caught.value)
    assert message.startswith("smaller than a patch of 5x5 LR pixels: image-1, image-2, ")
    assert message.endswith("image-10 and 2 more")


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        sampler([])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_gives_the_same_batches() -> None:
    images = pairs((11, 17), (9, 6))
    gpu = PatchSampler(images, scale=2, patch=5, batch=8, seed=0, device="cuda")
    lr, hr = draw(gpu, 4)
    assert lr.device.type == hr.device.type == "cuda"
    assert equal((lr.cpu(), hr.cpu()), draw(sampler(images), 4))
