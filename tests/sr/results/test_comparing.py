"""Parts of images for a run's report: cut at one place, and small enough for a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas_sr.data.images import read_image
from corenas_sr.results._crops import save_crops
from corenas_sr.results.comparing import MOST_BYTES, compare_pictures


def numbered(height: int, width: int) -> Tensor:
    """An image whose red and green tell row and column, with detail in one place alone."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8)[None].expand(height, width)
    return torch.stack([rows, columns, torch.zeros_like(rows)])


@pytest.mark.parametrize(("scale", "size"), [(2, (40, 50)), (3, (255, 240)), (4, (252, 248))])
def test_all_pictures_show_the_same_place(
    tmp_path: Path, scale: int, size: tuple[int, int]
) -> None:
    height, width = (side - side % scale for side in size)
    hr = numbered(height, width)
    lr = hr[:, ::scale, ::scale]
    ours = hr.clone()
    ours[2] = 9
    save_crops(tmp_path, name="a", lr=lr, hr=hr, images={"ours": ours}, numbers={"ours": "PSNR 3"})
    told = json.loads((tmp_path / "crops.json").read_text())
    labels = ["low resolution", "ours", "ground truth"]
    assert [each["label"] for each in told["pictures"]] == labels
    low, other, truth = (read_image(tmp_path / each["file"]) for each in told["pictures"])
    left, top, wide, high = told["part"]
    assert torch.equal(truth, hr[:, top : top + high, left : left + wide])
    assert torch.equal(other[:2], truth[:2])
    assert torch.equal(low, truth[:, ::scale, ::scale])
    x, y, side = told["zoomed"]
    assert 0 <= x <= wide - side
    assert 0 <= y <= high - side


def test_the_part_is_where_the_detail_is(tmp_path: Path) -> None:
    hr = torch.full((3, 600, 900), 90, dtype=torch.uint8)
    hr[:, 500:540:8, 700:740:8] = 255
    save_crops(tmp_path, name="a", lr=hr[:, ::2, ::2], hr=hr, images={}, numbers={})
    told = json.loads((tmp_path / "crops.json").read_text())
    left, top, wide, high = told["part"]
    assert (wide, high) == (384, 256)
    x, y, side = told["zoomed"]
    assert left + x <= 700
    assert left + x + side >= 733
    assert top + y <= 500
    assert top + y + side >= 533


def test_too_many_bytes_are_compressed_and_the_rest_is_named(tmp_path: Path) -> None:
    noise = torch.randint(
        0, 256, (3, 256, 384), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )

    def write(name: str) -> None:
        save_crops(
            tmp_path / "crops" / name,
            name=name,
            lr=noise[:, ::2, ::2],
            hr=noise,
            images={"bicubic": noise, "ours": noise},
            numbers={},
        )

    write("one")
    (section,) = compare_pictures(tmp_path)
    assert section.body.count("data:image/png") == 4
    for number in range(9):
        write(f"other-{number}")
    (section,) = compare_pictures(tmp_path)
    assert len(section.body) < MOST_BYTES * 1.4
    assert "data:image/png" not in section.body
    assert "compressed with loss" in section.body
    shown = section.body.count('class="compare"')
    assert 1 <= shown < 10
    assert f"There was no room for other-{shown - 1}, " in section.body


def test_a_run_without_pictures_has_no_section(tmp_path: Path) -> None:
    assert compare_pictures(tmp_path) == []
