"""Oracles: MATLAB's published images, torch's own antialiased bicubic, and written-down values."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from corenas.errors import CorenasError, DataError
from corenas_sr.data.images import crop_to_multiple, luma, quantise, read_image, resize, write_image

FACTORS = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 4), Fraction(2), Fraction(3), Fraction(4)]


@pytest.fixture
def set5() -> Path:
    root = os.environ.get("CORENAS_DATA")
    if not root:
        pytest.skip("CORENAS_DATA does not name the folder that holds Set5")
    return Path(root) / "Set5"


def random_image(height: int, width: int, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


# resize


def ramp(length: int) -> Tensor:
    return torch.arange(length, dtype=torch.float64).expand(3, length, length)


@pytest.mark.parametrize(
    ("length", "factor", "expected"),
    [
        (
            16,
            Fraction(1, 2),
            [0.449219, 2.488281, 4.5, 6.5, 8.5, 10.5, 12.511719, 14.550781],
        ),
        (16, Fraction(1, 4), [1.359863, 5.483887, 9.516113, 13.640137]),
        (
            4,
            Fraction(2),
            [-0.09375, 0.179688, 0.726562, 1.25, 1.75, 2.273438, 2.820312, 3.09375],
        ),
    ],
)
def test_resized_ramp_has_matlabs_values(
    length: int, factor: Fraction, expected: list[float]
) -> None:
    columns = resize(ramp(length), factor)[0, 0]
    rows = resize(ramp(length).mT, factor)[0, :, 0]
    assert columns.tolist() == pytest.approx(expected, abs=5.1e-7)
    torch.testing.assert_close(rows, columns, rtol=0, atol=0)


def interpolated(image: Tensor, factor: Fraction, axis: int) -> Tensor:
    """Resize one axis of a float64 image by torch: symmetric padding, antialiased bicubic, crop."""
    size, pad = image.shape[axis], 4 * max(factor.numerator, factor.denominator)
    line = torch.arange(size)
    mirrored = torch.cat([line[:pad].flip(0), line, line[-pad:].flip(0)])
    factors = (float(factor), 1.0) if axis == -2 else (1.0, float(factor))
    resized = F.interpolate(
        image.index_select(axis, mirrored)[None],
        scale_factor=factors,
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )[0]
    return resized.narrow(axis, int(pad * factor), int(size * factor))


@pytest.mark.parametrize("factor", FACTORS, ids=str)
def test_resize_equals_antialiased_interpolation(factor: Fraction) -> None:
    image = torch.rand(3, 36, 48, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = interpolated(interpolated(image, factor, -2), factor, -1)
    torch.testing.assert_close(resize(image, factor), expected, rtol=0, atol=1e-12)


def test_uint8_is_rounded_after_each_pass_rows_first() -> None:
    image = random_image(24, 40)

    def passes(first: int, second: int) -> Tensor:
        values = image.double()
        for axis in (first, second):
            values = (interpolated(values, Fraction(1, 2), axis) + 0.5).floor().clamp(0, 255)
        return values.to(torch.uint8)

    assert torch.equal(resize(image, Fraction(1, 2)), passes(-2, -1))
    assert not torch.equal(resize(image, Fraction(1, 2)), passes(-1, -2))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_published_low_resolution_images_come_out_bit_for_bit(set5: Path, scale: int) -> None:
    files = sorted((set5 / "HR").glob("*.png"))
    assert len(files) == 5
    for file in files:
        lr = resize(crop_to_multiple(read_image(file), scale), Fraction(1, scale))
        published = set5 / "LR_bicubic" / f"X{scale}" / f"{file.stem}x{scale}.png"
        assert torch.equal(lr, read_image(published)), file.stem


def test_reference_input_rounded_once_after_both_passes_has_its_hash() -> None:
    image = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)
    lr = quantise(resize(image.double(), Fraction(1, 4)))
    restored = quantise(resize(lr.double(), 4)).permute(1, 2, 0).contiguous()
    assert hashlib.sha256(restored.numpy().tobytes()).hexdigest()[:16] == "23e1235b974e4aef"


@pytest.mark.parametrize(
    ("size", "factor", "expected"), [(7, Fraction(1, 2), 4), (5, Fraction(1, 4), 2), (5, 3, 15)]
)
def test_new_size_is_rounded_up(size: int, factor: Fraction | int, expected: int) -> None:
    assert resize(random_image(size, size), factor).shape == (3, expected, expected)


def test_image_smaller_than_the_kernel_is_mirrored_repeatedly() -> None:
    pixels = torch.tensor([10.0, 30.0, 50.0], dtype=torch.float64).expand(3, 3, 3)
    endless = torch.cat([pixels, pixels.flip(-1)] * 8, dim=-1)[:, :, : 3 * 15]
    middle = resize(endless, Fraction(1, 3))[0, 0, 6]  # one whole copy, far from the borders
    assert resize(pixels, Fraction(1, 3)).flatten()[0] == pytest.approx(float(middle), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_batch_is_resized_like_its_images(dtype: torch.dtype) -> None:
    images = torch.stack([random_image(12, 16, seed=seed) for seed in (1, 2)]).to(dtype)
    batch = resize(images, Fraction(1, 4))
    assert batch.dtype == dtype
    assert torch.equal(batch[1], resize(images[1], Fraction(1, 4)))


@pytest.mark.parametrize("factor", [0, Fraction(-1, 2)])
def test_factor_must_be_positive(factor: Fraction | int) -> None:
    with pytest.raises(ValueError, match="cannot resize 8 pixels"):
        resize(random_image(8, 8), factor)


# luma, quantise, crop


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((10, 20, 30), 16 + 3974.85 / 255),
    ],
)
def test_luma_is_studio_range_bt601(rgb: tuple[int, int, int], expected: float) -> None:
    image = torch.tensor(rgb, dtype=torch.uint8).view(1, 3, 1, 1)
    assert luma(image).dtype == torch.float64
    assert luma(image).item() == pytest.approx(expected, abs=1e-12)
    assert luma(image, rounded=True).item() == round(expected)
    assert luma(image.float()).dtype == torch.float32


def test_luma_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        luma(torch.zeros(3, 4, 4))


def test_quantise_clamps_and_rounds_halves_up() -> None:
    values = torch.tensor([-3.0, -0.5, 0.49, 0.5, 1.5, 2.5, 254.5, 300.0])
    assert quantise(values).tolist() == [0, 0, 0, 1, 2, 3, 255, 255]
    assert quantise(values).dtype == torch.uint8


def test_crop_keeps_the_top_left() -> None:
    image = random_image(11, 14)
    assert torch.equal(crop_to_multiple(image, 4), image[:, :8, :12])
    assert torch.equal(crop_to_multiple(image[:, :8, :12], 4), image[:, :8, :12])


# files


def test_written_image_is_read_back(tmp_path: Path) -> None:
    image = random_image(5, 7)
    write_image(tmp_path / "image.png", image)
    assert torch.equal(read_image(tmp_path / "image.png"), image)
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_interrupted_write_leaves_the_old_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image.png"
    write_image(path, random_image(5, 7, seed=1))

    def half(self: Image.Image, file: Any, format: str, **options: Any) -> None:
        file.write(b"half an image")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(CorenasError, match=r"image\.png: cannot be written: No space left"):
        write_image(path, random_image(5, 7, seed=2))
    assert torch.equal(read_image(path), random_image(5, 7, seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_only_png_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"image\.jpg: .*\.png"):
        write_image(tmp_path / "image.jpg", random_image(5, 7))
    with pytest.raises(ValueError, match="uint8"):
        write_image(tmp_path / "image.png", random_image(5, 7).float())


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_greyscale_and_palette_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(random_image(6, 8).permute(1, 2, 0).numpy()).convert(mode)
    picture.save(tmp_path / "image.png")
    expected = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
    assert torch.equal(read_image(tmp_path / "image.png"), expected)


def test_rotation_flag_of_a_camera_is_obeyed(tmp_path: Path) -> None:
    picture = Image.fromarray(random_image(6, 8).permute(1, 2, 0).numpy())
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise to see it upright
    picture.save(tmp_path / "image.png", exif=exif)
    upright = random_image(6, 8).rot90(-1, (1, 2))
    assert torch.equal(read_image(tmp_path / "image.png"), upright)


def saved(mode: str, **options: Any) -> Callable[[Path], None]:
    """Return what writes a small picture of a mode, with Pillow's options."""
    return lambda path: Image.new(mode, (8, 6)).save(path, **options)


def truncated(path: Path) -> None:
    pixels = random_image(64, 64).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:6000])


def sixteen_bit_colour(path: Path) -> None:
    """A PNG of 2x1 pixels, written by hand: Pillow cannot write 16-bit colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1 + 2 * 3 * 2)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


def animated(path: Path) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (saved("RGBA", format="PNG"), "transparency"),
        (saved("LA", format="PNG"), "transparency"),
        (saved("P", format="PNG", transparency=0), "transparency"),
        (saved("I;16", format="PNG"), "more than 8 bits"),
        (saved("F", format="TIFF"), "more than 8 bits"),
        (sixteen_bit_colour, "more than 8 bits"),
        (saved("CMYK", format="JPEG"), "colour mode CMYK"),
        (animated, "animated"),
        (truncated, "damaged image: .*truncated"),
        (lambda path: path.write_text("not an image"), "not an image of a known format"),
        (lambda path: path.write_bytes(b""), "not an image of a known format"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: None, "No such file"),
    ],
)
def test_unusable_file_is_named_with_the_reason(
    tmp_path: Path, write: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "bad.png"
    write(path)
    with pytest.raises(DataError, match=rf"bad\.png: .*{reason}"):
        read_image(path)
