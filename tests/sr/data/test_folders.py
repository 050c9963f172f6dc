"""Each published folder layout is built file by file and recognised."""

from __future__ import annotations

from pathlib import Path

import pytest

from corenas.errors import DataError
from corenas_sr.data.folders import Found, Split, find_pairs


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def partners(found: Found, root: Path) -> dict[str, tuple[str, str | None]]:
    return {
        files.name: (
            files.hr.relative_to(root).as_posix(),
            files.lr.relative_to(root).as_posix() if files.lr else None,
        )
        for files in found.pairs
    }


LAYOUTS = {
    "DIV2K": (
        "DIV2K or Flickr2K",
        "train",
        ["DIV2K_train_HR/0001.png", "DIV2K_train_LR_bicubic/X4/0001x4.png"],
    ),
    "DIV2K, other half": (
        "DIV2K or Flickr2K",
        "validation",
        ["DIV2K_valid_HR/0801.png", "DIV2K_valid_LR_bicubic/X4/0801x4.png"],
    ),
    "Flickr2K": (
        "DIV2K or Flickr2K",
        "train",
        ["Flickr2K_HR/000001.png", "Flickr2K_LR_bicubic/X4/000001x4.png"],
    ),
    "EDSR benchmark": ("EDSR benchmark", "validation", ["HR/baby.png", "LR_bicubic/X4/babyx4.png"]),
    "BasicSR": ("BasicSR", "validation", ["GTmod12/baby.png", "LRbicx4/baby.png"]),
    "NTIRE": ("NTIRE", "validation", ["LSDIR_valid_HR/0801.png", "LSDIR_valid_LR/0801x4.png"]),
}


@pytest.mark.parametrize(("name", "split", "files"), LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("by", ["root", "HR folder"])
def test_published_layout_is_recognised(
    tmp_path: Path, name: str, split: Split, files: list[str], by: str
) -> None:
    touch(tmp_path, *files)
    source = tmp_path if by == "root" else (tmp_path / files[0]).parent
    found = find_pairs(source, scale=4, split=split)
    stem = Path(files[0]).stem
    assert found == Found(name, found.pairs, ())
    assert partners(found, tmp_path) == {stem: tuple(files)}


def div2k(root: Path) -> None:
    for name in ("train", "valid"):
        touch(root, f"DIV2K_{name}_HR/{name}.png")
        touch(root, f"DIV2K_{name}_LR_bicubic/X4/{name}x4.png")
        touch(root, f"DIV2K_{name}_LR_bicubic/X2/{name}x2.png")


@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("validation", "valid")])
def test_root_with_both_halves_is_read_by_split(tmp_path: Path, split: Split, name: str) -> None:
    div2k(tmp_path)
    found = find_pairs(tmp_path, scale=2, split=split)
    low = f"DIV2K_{name}_LR_bicubic/X2/{name}x2.png"
    assert partners(found, tmp_path) == {name: (f"DIV2K_{name}_HR/{name}.png", low)}


def test_named_folder_is_used_for_any_split(tmp_path: Path) -> None:
    div2k(tmp_path)
    found = find_pairs(tmp_path / "DIV2K_train_HR", scale=2, split="validation")
    assert [files.name for files in found.pairs] == ["train"]


def test_root_without_the_wanted_half_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "DIV2K_train_HR/0001.png")
    with pytest.raises(DataError, match="no validation images, only DIV2K_train_HR"):
        find_pairs(tmp_path, scale=4, split="validation")


def test_root_with_several_sets_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "A_HR/1.png", "B_HR/1.png")
    with pytest.raises(DataError, match=r"several data sets \(A_HR, B_HR\)"):
        find_pairs(tmp_path, scale=4, split="train")


def test_other_scales_beside_the_wanted_one_are_ignored(tmp_path: Path) -> None:
    touch(tmp_path, "V_HR/1.png", "V_LR/1x4.png", "V_LR/1x2.png", "V_LR/7x2.png")
    assert find_pairs(tmp_path, scale=4, split="validation").problems == ()
    assert partners(find_pairs(tmp_path, scale=2, split="validation"), tmp_path) == {
        "1": ("V_HR/1.png", "V_LR/1x2.png")
    }


def test_scale_without_low_resolution_folder_is_left_to_be_made(tmp_path: Path) -> None:
    touch(tmp_path, "HR/baby.png", "LR_bicubic/X4/babyx4.png")
    found = find_pairs(tmp_path, scale=3, split="validation")
    assert partners(found, tmp_path) == {"baby": ("HR/baby.png", None)}
    assert found.layout == "high-resolution images"


def test_plain_folder_lists_its_images_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a.jpg", "c.tiff", "._a.jpg", "notes.txt", "more/d.png")
    found = find_pairs(tmp_path, scale=2, split="train")
    assert partners(found, tmp_path) == {
        "a": ("a.jpg", None),
        "b": ("b.PNG", None),
        "c": ("c.tiff", None),
    }


def test_missing_partners_are_reported_from_both_sides(tmp_path: Path) -> None:
    touch(tmp_path, "HR/a.png", "HR/b.png", "LR_bicubic/X4/ax4.png", "LR_bicubic/X4/cx4.png")
    found = find_pairs(tmp_path, scale=4, split="validation")
    assert found.problems == (
        f"{tmp_path / 'HR/b.png'}: no LR partner 'bx4'",
        f"{tmp_path / 'LR_bicubic/X4/cx4.png'}: no HR partner",
    )


def test_names_that_differ_in_their_ending_only_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "a.png")
    (problem,) = find_pairs(tmp_path, scale=4, split="train").problems
    assert problem == f"{tmp_path / 'a.jpg'}: same name as a.png"


def test_unknown_layout_is_told_what_is_understood(tmp_path: Path) -> None:
    touch(tmp_path, "summer/1.png", "winter/1.png")
    with pytest.raises(DataError, match=r"only the folders summer, winter; .*LR_bicubic/X4"):
        find_pairs(tmp_path, scale=4, split="train")


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match=r"no images; their names end in .*\.png"):
        find_pairs(tmp_path, scale=4, split="train")
    touch(tmp_path, "set/HR/notes.txt")
    with pytest.raises(DataError, match=r"HR: no images"):
        find_pairs(tmp_path / "set", scale=4, split="train")


def test_unusable_source_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "file.png")
    with pytest.raises(DataError, match=r"file\.png: Not a directory"):
        find_pairs(tmp_path / "file.png", scale=4, split="train")
    with pytest.raises(DataError, match="absent: No such file or directory"):
        find_pairs(tmp_path / "absent", scale=4, split="train")

    def forbidden(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(DataError, match="Permission denied"):
        find_pairs(tmp_path, scale=4, split="train")
