"""What makes images larger, and which files go in and out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas import DataError, InputError
from corenas_sr.data.datasets import ImagePair
from corenas_sr.data.images import read_image, write_image
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import bicubic, upscale
from corenas_sr.models.upscalers import (
    find_restore,
    find_upscaler,
    input_files,
    output_files,
    saving,
)

WriteModel = Callable[..., Path]


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def test_model_file_knows_its_scale(write_model: WriteModel) -> None:
    file = write_model(scale=4)
    upscaler = find_upscaler(str(file), scale=None)
    assert upscaler.scale == 4
    image = picture(9, 12)
    assert torch.equal(upscaler.run(image), upscale(load_model(file).module, image, scale=4))
    with pytest.raises(InputError, match="its scale is 4, not 2"):
        find_upscaler(str(file), scale=2)


def test_bicubic_is_told_its_scale() -> None:
    image = picture(9, 12)
    assert torch.equal(find_upscaler("bicubic", scale=3).run(image), bicubic(image, 3))
    with pytest.raises(InputError, match="bicubic: say which scale"):
        find_upscaler("bicubic", scale=None)


@pytest.mark.parametrize("name", ["img1.png", "img1_x2.png", "img1x2.png", "img1-SR.png"])
def test_image_of_a_folder_belongs_to_the_pair_whose_name_it_begins_with(
    tmp_path: Path, name: str
) -> None:
    expected = picture(8, 8)
    write_image(tmp_path / name, expected)
    for other in ("img10.png", "img1a.png", "img12_x2.png", "my_img1.png"):
        write_image(tmp_path / other, picture(8, 8, seed=1))
    scale, restore = find_restore(str(tmp_path), scale=2, device="cpu")
    assert scale == 2
    assert torch.equal(restore(ImagePair("img1", picture(4, 4), picture(8, 8))), expected)


def test_exact_name_goes_before_a_longer_one(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(8, 8))
    write_image(tmp_path / "a_x2.png", picture(8, 8, seed=1))
    _, restore = find_restore(str(tmp_path), scale=2, device="cpu")
    assert torch.equal(restore(ImagePair("a", picture(4, 4), picture(8, 8))), picture(8, 8))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["b.png"], "0 images are named a; one is needed"),
        (["a_one.png", "a_two.png"], "2 images are named a; one is needed"),
        (["a.png"], r"a\.png: its size is 8x8, that of the ground truth 8x6"),
    ],
)
def test_folder_without_the_one_fitting_image_is_refused(
    tmp_path: Path, names: list[str], message: str
) -> None:
    for name in names:
        write_image(tmp_path / name, picture(8, 8))
    _, restore = find_restore(str(tmp_path), scale=2, device="cpu")
    with pytest.raises(DataError, match=message):
        restore(ImagePair("a", picture(3, 4), picture(6, 8)))


def test_saved_image_is_the_one_that_is_measured(tmp_path: Path) -> None:
    pair = ImagePair("a", picture(4, 4), picture(8, 8))
    restore = saving(lambda pair: bicubic(pair.lr, 2), tmp_path / "new" / "folder")
    restored = restore(pair)
    assert torch.equal(restored, bicubic(pair.lr, 2))
    assert torch.equal(read_image(tmp_path / "new/folder/a.png"), restored)


def test_input_files_are_found_in_folders_by_their_endings(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpeg", "notes.txt"):
        (tmp_path / name).touch()
    single = tmp_path / "notes.txt"
    assert input_files([tmp_path, single]) == [tmp_path / "a.jpeg", tmp_path / "b.PNG", single]


def test_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(DataError, match=f"{tmp_path}: Permission denied"):
        input_files([tmp_path])
    _, restore = find_restore(str(tmp_path), scale=2, device="cpu")
    with pytest.raises(DataError, match=f"{tmp_path}: Permission denied"):
        restore(ImagePair("img1", picture(4, 4), picture(8, 8)))


def test_output_files_keep_the_names_and_say_the_scale(tmp_path: Path) -> None:
    files = [Path("one/a.jpg"), Path("two/b.c.png")]
    assert output_files(files, tmp_path / "out", scale=4) == {
        Path("one/a.jpg"): tmp_path / "out" / "a_x4.png",
        Path("two/b.c.png"): tmp_path / "out" / "b.c_x4.png",
    }
    assert (tmp_path / "out").is_dir()


def test_same_file_twice_is_written_once(tmp_path: Path) -> None:
    assert len(output_files([Path("a.png"), Path("a.png")], tmp_path, scale=2)) == 1


def test_files_that_would_overwrite_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^a\.png and a\.jpg would both become .*a_x2\.png$"):
        output_files([Path("a.png"), Path("a.jpg")], tmp_path / "out", scale=2)
    assert not (tmp_path / "out").exists()
