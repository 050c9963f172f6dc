from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from corenas_metrics import _filtering
from corenas_metrics._filtering import filter_valid, gaussian, tiles


def test_a_gaussian_window_is_symmetric_and_adds_up_to_one() -> None:
    window = gaussian(11, 1.5)
    assert window == window[::-1]
    assert math.fsum(window) == 1
    assert window[5] / window[2] == pytest.approx(math.exp(2))


@pytest.mark.parametrize("size", [(11, 11), (11, 30), (40, 23)])
def test_filtering_equals_direct_convolution(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, *size, generator=generator, dtype=torch.float64)
    window = gaussian(11, 1.5)
    kernel = torch.outer(*(torch.tensor(window, dtype=torch.float64),) * 2)[None, None]
    expected = F.conv2d(images.flatten(0, 1)[:, None], kernel)
    measured = filter_valid(images, window).flatten(0, 1)[:, None]
    torch.testing.assert_close(measured, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("overlap", [0, 6, 10])
@pytest.mark.parametrize("size", [(11, 11), (16, 17), (33, 64), (100, 12)])
def test_tiles_give_every_pixel_of_a_filtered_image_once(
    size: tuple[int, int], overlap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_filtering, "TILE", 16)
    height, width = size
    seen = torch.zeros(height - overlap, width - overlap)
    for rows, columns in tiles(height, width, overlap=overlap):
        assert rows.stop <= height
        assert columns.stop <= width
        seen[rows.start : rows.stop - overlap, columns.start : columns.stop - overlap] += 1
    assert (seen == 1).all()
