from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

import corenas_sr.data.lr_cache
from corenas.files import cache_folder
from corenas_sr.data.images import resize, write_image
from corenas_sr.data.lr_cache import cached_lr


@pytest.fixture
def hr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """An image, in the file hr.png; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 24, 36), generator=generator, dtype=torch.uint8)
    write_image(tmp_path / "hr.png", image)
    return image


def entries() -> list[Path]:
    return sorted(path for path in cache_folder().rglob("*") if path.is_file())


@pytest.fixture
def resized(monkeypatch: pytest.MonkeyPatch) -> list[Fraction]:
    """The factors of all resizes that really happen."""
    factors: list[Fraction] = []

    def counting(images: Tensor, factor: Fraction) -> Tensor:
        factors.append(factor)
        return resize(images, factor)

    monkeypatch.setattr(corenas_sr.data.lr_cache, "resize", counting)
    return factors


def test_second_time_comes_from_the_cache(
    tmp_path: Path, hr: Tensor, resized: list[Fraction]
) -> None:
    first = cached_lr(tmp_path / "hr.png", hr, 2)
    os.rename(tmp_path / "hr.png", tmp_path / "moved.png")
    second = cached_lr(tmp_path / "moved.png", hr, 2)
    assert torch.equal(first, resize(hr, Fraction(1, 2)))
    assert torch.equal(second, first)
    assert resized == [Fraction(1, 2)]


def test_other_scale_and_changed_file_have_their_own_entries(
    tmp_path: Path, hr: Tensor, resized: list[Fraction]
) -> None:
    cached_lr(tmp_path / "hr.png", hr, 2)
    cached_lr(tmp_path / "hr.png", hr, 4)
    write_image(tmp_path / "hr.png", 255 - hr)
    changed = cached_lr(tmp_path / "hr.png", 255 - hr, 2)
    assert torch.equal(changed, resize(255 - hr, Fraction(1, 2)))
    assert len(entries()) == len(resized) == 3


@pytest.mark.parametrize("damage", ["truncated", "empty", "of another size"])
def test_damaged_entry_is_made_again(
    tmp_path: Path, hr: Tensor, resized: list[Fraction], damage: str
) -> None:
    expected = cached_lr(tmp_path / "hr.png", hr, 2)
    (entry,) = entries()
    whole = entry.read_bytes()
    if damage == "of another size":
        write_image(entry, hr)
    else:
        entry.write_bytes(whole[: len(whole) // 2 if damage == "truncated" else 0])
    assert torch.equal(cached_lr(tmp_path / "hr.png", hr, 2), expected)
    assert len(resized) == 2
    assert entry.read_bytes() == whole


def test_cache_that_cannot_be_written_is_done_without(tmp_path: Path, hr: Tensor) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="bicubic/x2: cannot keep low-resolution images"):
        lr = cached_lr(tmp_path / "hr.png", hr, 2)
    assert torch.equal(lr, resize(hr, Fraction(1, 2)))


def test_cache_is_in_the_home_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/corenas")
