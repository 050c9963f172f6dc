from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from corenas_sr.data.images import resize
from corenas_sr.models.inference import bicubic
from corenas_sr.results._pictures import comparison, most_detailed

MARGIN, HEAD, PANEL, GAP, FOOT = 24, 72, 360, 12, 40


def photograph(height: int, width: int) -> Tensor:
    """A quiet image with a patch of noise of 40 pixels at row 96, column 144."""
    image = torch.full((3, height, width), 90, dtype=torch.uint8)
    noise = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(0))
    image[:, 96:136, 144:184] = noise.to(torch.uint8)
    return image


def draw(
    path: Path, hr: Tensor, *, name: str = "photograph", numbers: str = "PSNR 31.10"
) -> Tensor:
    lr = resize(hr, Fraction(1, 2))
    images = {"bicubic": bicubic(lr, 2), "ours": hr.flip(0)}
    comparison(path, name=name, lr=lr, hr=hr, images=images, numbers={"ours": numbers})
    return read_opaque(path)


def read_opaque(path: Path) -> Tensor:
    """Read a PNG whose alpha is one everywhere."""
    from PIL import Image

    with Image.open(path) as image:
        pixels = np.array(image.convert("RGBA"))
    assert (pixels[..., 3] == 255).all()
    return torch.from_numpy(pixels[..., :3].copy()).permute(2, 0, 1)


def test_crops_are_enlarged_five_times_without_a_change(tmp_path: Path) -> None:
    hr = photograph(240, 320)
    picture = draw(tmp_path / "a.png", hr)
    whole = 270
    assert picture.shape[1:] == (
        HEAD + whole + GAP + PANEL + FOOT,
        2 * MARGIN + 4 * PANEL + 3 * GAP,
    )
    top, left, side = most_detailed(hr, side=72, step=2)
    lr = resize(hr, Fraction(1, 2))
    nearest = lr.repeat_interleave(2, 1).repeat_interleave(2, 2)
    expected = [nearest, bicubic(lr, 2), hr.flip(0), hr]
    for column, image in enumerate(expected):
        x, y = MARGIN + column * (PANEL + GAP), HEAD + whole + GAP
        crop = image[:, top : top + side, left : left + side]
        enlarged = crop.repeat_interleave(5, 1).repeat_interleave(5, 2)
        assert torch.equal(picture[:, y : y + PANEL, x : x + PANEL], enlarged)


def test_box_marks_the_crop_in_every_whole_image(tmp_path: Path) -> None:
    hr = photograph(240, 320)
    picture = draw(tmp_path / "a.png", hr).int()
    top, left, side = (value * PANEL / 320 for value in most_detailed(hr, side=72, step=2))
    reddish = (picture[0] - picture[1] > 60) & (picture[0] - picture[2] > 60)
    for column in range(4):
        x = round(MARGIN + column * (PANEL + GAP) + left + side / 2)
        assert reddish[HEAD + round(top) - 2 : HEAD + round(top) + 2, x].any()


def test_numbers_stand_below_their_image(tmp_path: Path) -> None:
    hr = photograph(240, 320)
    first = draw(tmp_path / "a.png", hr, numbers="PSNR 31.10")
    second = draw(tmp_path / "b.png", hr, numbers="PSNR 27.95")
    rows, columns = (first != second).any(dim=0).nonzero().unbind(1)
    assert rows.min() >= first.shape[1] - FOOT
    ours = MARGIN + 2 * (PANEL + GAP)
    assert ours <= columns.min() <= columns.max() < ours + PANEL


def test_same_images_give_the_same_file(tmp_path: Path) -> None:
    hr = photograph(240, 320)
    draw(tmp_path / "a.png", hr)
    draw(tmp_path / "b.png", hr)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("size", [(400, 200), (200, 800), (30, 50), (4, 4)])
def test_images_of_any_shape_are_drawn(tmp_path: Path, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    hr = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    picture = draw(tmp_path / "a.png", hr, name="$a_b$ \\ & {")
    assert picture.shape[2] == 2 * MARGIN + 4 * PANEL + 3 * GAP
    assert picture.shape[1] <= HEAD + 480 + GAP + PANEL + FOOT


def test_most_detailed_square_holds_the_detail() -> None:
    top, left, side = most_detailed(photograph(240, 320), side=72, step=4)
    assert side == 72
    assert top % 4 == left % 4 == 0
    assert top <= 96 <= 136 <= top + side
    assert left <= 144 <= 184 <= left + side


def test_edges_count_more_than_grain() -> None:
    image = torch.full((3, 200, 200), 100, dtype=torch.uint8)
    checks = torch.arange(100)[:, None] + torch.arange(100)
    image[:, :100, :100] += (40 * (checks % 2)).to(torch.uint8)
    image[:, 150:, 150:] = 255
    top, left, _ = most_detailed(image, side=50)
    assert top > 100
    assert left > 100


def test_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    hr = photograph(240, 320)
    lr = resize(hr, Fraction(1, 2))
    with pytest.raises(ValueError, match="ours: 318×240 does not fit 320×240"):
        comparison(
            tmp_path / "a.png", name="a", lr=lr, hr=hr, images={"ours": hr[..., 2:]}, numbers={}
        )
    with pytest.raises(ValueError, match="low resolution"):
        comparison(tmp_path / "a.png", name="a", lr=lr[..., 1:], hr=hr, images={}, numbers={})


def test_matplotlib_is_loaded_only_to_draw() -> None:
    modules = "corenas_sr.results._pictures, corenas.drawing.plots"
    code = f"import sys, {modules}; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
