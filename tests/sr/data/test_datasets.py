from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas.errors import DataError
from corenas_sr.data import datasets
from corenas_sr.data.datasets import check_disjoint, check_pairs, load_pairs
from corenas_sr.data.images import crop_to_multiple, read_image, resize, write_image
from corenas_sr.data.photographs import TRAINING, VALIDATION


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_given_low_resolution_files_are_used_as_they_are(tmp_path: Path) -> None:
    hr, lr = picture(25, 38), picture(6, 9, seed=1)
    write_image(tmp_path / "HR/a.png", hr)
    write_image(tmp_path / "LR_bicubic/X4/ax4.png", lr)
    (pair,) = load_pairs(str(tmp_path), scale=4, split="validation")
    assert pair.name == "a"
    assert torch.equal(pair.lr, lr)
    assert torch.equal(pair.hr, hr[:, :24, :36])


def test_missing_low_resolution_side_is_made_from_the_cropped_image(tmp_path: Path) -> None:
    hr = picture(25, 38)
    write_image(tmp_path / "a.png", hr)
    (pair,) = load_pairs(str(tmp_path), scale=3, split="train")
    assert torch.equal(pair.hr, hr[:, :24, :36])
    assert torch.equal(pair.lr, resize(hr[:, :24, :36], Fraction(1, 3)))


def test_published_set_gives_the_same_pairs_with_and_without_its_low_resolution_files(
    tmp_path: Path,
) -> None:
    if not os.environ.get("CORENAS_DATA"):
        pytest.skip("CORENAS_DATA does not name the folder that holds Set5")
    set5 = Path(os.environ["CORENAS_DATA"]) / "Set5"
    (tmp_path / "plain").symlink_to(set5 / "HR")
    given = load_pairs(str(set5), scale=3, split="validation")
    made = load_pairs(str(tmp_path / "plain"), scale=3, split="validation")
    assert [pair.name for pair in given] == ["baby", "bird", "butterfly", "head", "woman"]
    for one, other in zip(given, made, strict=True):
        assert torch.equal(one.lr, other.lr)
        assert torch.equal(one.hr, other.hr)


def test_images_are_opened_once_a_process(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(8, 8))
    first = load_pairs(str(tmp_path), scale=2, split="train")
    (tmp_path / "a.png").unlink()
    assert load_pairs(str(tmp_path), scale=2, split="train") is first


def test_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_image(tmp_path / "photos/a.png", picture(8, 8))
    assert len(load_pairs("~/photos", scale=2, split="train")) == 1


# the bundled photographs


def test_bundled_photographs_are_split_without_overlap() -> None:
    assert not set(TRAINING) & set(VALIDATION)
    training = check_pairs("embedded", scale=4, split="train", patch=48)
    validation = check_pairs("embedded", scale=4, split="validation", patch=48)
    check_disjoint(training, validation)
    assert list(training.digests) == [Path(name).stem for name in TRAINING]
    assert list(validation.digests) == ["chelsea", "coffee"]


def test_bundled_validation_photographs_are_in_colour() -> None:
    for pair in load_pairs("embedded", scale=2, split="validation"):
        red, _, blue = pair.hr.double()
        assert (red - blue).abs().mean() > 10
        assert torch.equal(pair.lr, resize(pair.hr, Fraction(1, 2)))


def test_bundled_photographs_leave_nothing_in_the_cache() -> None:
    check_pairs("embedded", scale=2, split="validation")
    assert not list(Path(os.environ["XDG_CACHE_HOME"]).iterdir())


# checks


def test_report_counts_images_and_pixels(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(25, 38))
    write_image(tmp_path / "b.png", picture(12, 16))
    report = check_pairs(str(tmp_path), scale=4, split="train")
    assert report.layout == "high-resolution images"
    assert report.images == 2
    assert (report.smallest, report.largest) == ((16, 12), (36, 24))
    assert report.megapixels == pytest.approx((16 * 12 + 36 * 24) / 1e6)


def bad_folder(root: Path) -> Path:
    """Five files, of which only the first can be used at scale 4 with its partner."""
    for name, size in {"good": (8, 8), "odd": (8, 8), "tiny": (3, 8), "alone": (8, 8)}.items():
        write_image(root / f"HR/{name}.png", picture(*size))
    (root / "HR/broken.png").write_bytes(b"no image")
    for name, size in {"good": (2, 2), "odd": (2, 3), "tiny": (1, 2), "broken": (2, 2)}.items():
        write_image(root / f"LR_bicubic/X4/{name}x4.png", picture(*size))
    return root


@pytest.mark.parametrize("use", [load_pairs, check_pairs])
def test_all_bad_files_are_named_at_once(tmp_path: Path, use: object) -> None:
    source = bad_folder(tmp_path)
    assert callable(use)
    with pytest.raises(DataError) as caught:
        use(str(source), scale=4, split="validation")
    message = str(caught.value)
    assert message.splitlines()[0] == f"{source}: 4 files cannot be used:"
    assert "alone.png: no LR partner 'alonex4'" in message
    assert "broken.png: not an image" in message
    assert "oddx4.png: 3x2 does not fit odd.png; needed 2x2 (1/4 of 8x8)" in message
    assert "tiny.png: 8x3 is smaller than the scale 4" in message
    assert "good" not in message


def test_after_ten_bad_files_the_others_are_counted(tmp_path: Path) -> None:
    for number in range(13):
        (tmp_path / f"{number:02}.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        check_pairs(str(tmp_path), scale=2, split="train")
    lines = str(caught.value).splitlines()
    assert len(lines) == 12
    assert lines[-1].strip() == "and 3 more"


def test_images_smaller_than_a_patch_are_named(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(48, 24))
    write_image(tmp_path / "b.png", picture(48, 23))
    check_pairs(str(tmp_path / "."), scale=2, split="train", patch=11)
    with pytest.raises(DataError, match="b: 11x24 LR pixels; a patch needs 12") as caught:
        check_pairs(str(tmp_path), scale=2, split="train", patch=12)
    assert ": a:" not in str(caught.value)


def test_validation_image_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "train/a.png", picture(8, 8))
    write_image(tmp_path / "valid/same.png", picture(8, 8))
    write_image(tmp_path / "valid/other.png", picture(8, 8, seed=1))
    training = check_pairs(str(tmp_path / "train"), scale=2, split="train")
    validation = check_pairs(str(tmp_path / "valid"), scale=2, split="validation")
    with pytest.raises(DataError, match=r"same: the same image as a in .*train") as caught:
        check_disjoint(training, validation)
    assert "other" not in str(caught.value)


def test_image_read_again_equals_the_loaded_one(tmp_path: Path) -> None:
    for number, size in enumerate([(9, 7), (20, 31), (6, 6)]):
        write_image(tmp_path / f"{number}.png", picture(*size, seed=number))
    for pair in load_pairs(str(tmp_path), scale=2, split="train"):
        assert torch.equal(pair.hr, crop_to_multiple(read_image(tmp_path / f"{pair.name}.png"), 2))


def test_a_second_check_decodes_only_what_was_changed(
    tmp_path: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(photographs / "train", folder)
    first = datasets.check_pairs(str(folder), scale=2, split="train")
    decoded: list[str] = []

    def read(path: Path, **options: object) -> torch.Tensor:
        decoded.append(path.name)
        return read_image(path)

    monkeypatch.setattr(datasets, "read_image", read)
    assert datasets.check_pairs(str(folder), scale=2, split="train") == first
    assert decoded == []
    write_image(folder / "train1.png", 255 - read_image(folder / "train1.png"))
    again = datasets.check_pairs(str(folder), scale=2, split="train")
    assert decoded == ["train1.png"]
    assert again.digests["train0"] == first.digests["train0"]
    assert again.digests["train1"] != first.digests["train1"]
