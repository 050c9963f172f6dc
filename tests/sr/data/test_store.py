"""Decoded images are kept once a machine: what is mapped is what would be decoded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from corenas_sr.data import datasets, store
from corenas_sr.data.datasets import ImagePair, check_pairs, load_pairs
from corenas_sr.data.images import crop_to_multiple, read_image, resize, write_image

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corenas" / "images"


@pytest.fixture
def folder(tmp_path: Path, photographs: Path) -> Path:
    shutil.copytree(photographs / "train", tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded, in order."""
    names: list[str] = []

    def read(path: Path, **options: int) -> torch.Tensor:
        names.append(path.name)
        return read_image(path, **options)

    monkeypatch.setattr(datasets, "read_image", read)
    return names


def load(folder: Path) -> tuple[ImagePair, ...]:
    """Do as a new process does."""
    datasets._load.cache_clear()
    return load_pairs(str(folder), scale=2, split="train")


def assert_right(pairs: tuple[ImagePair, ...], folder: Path) -> None:
    files = sorted(folder.iterdir())
    assert [pair.files for pair in pairs] == [(file,) for file in files]
    for pair, file in zip(pairs, files, strict=True):
        hr = crop_to_multiple(read_image(file), 2)
        assert torch.equal(pair.hr, hr)
        assert torch.equal(pair.lr, resize(hr, Fraction(1, 2)))


def stores(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.is_dir()]


def test_second_run_decodes_nothing_and_sees_the_same(
    folder: Path, cache: Path, decoded: list[str]
) -> None:
    report = check_pairs(str(folder), scale=2, split="train")
    assert decoded == ["train0.png", "train1.png", "train2.png"]
    assert_right(load(folder), folder)
    assert check_pairs(str(folder), scale=2, split="train") == report
    moved = folder.rename(folder.with_name("moved"))
    assert_right(load(moved), moved)
    assert len(decoded) == 3
    assert len(stores(cache)) == 1


def test_low_resolution_files_that_are_given_are_kept_as_they_are(
    tmp_path: Path, cache: Path, decoded: list[str]
) -> None:
    image = read_image(write(tmp_path / "set/HR/a.png", 7, (12, 16)))
    small = read_image(write(tmp_path / "set/LR_bicubic/X2/ax2.png", 8, (6, 8)))
    for _ in range(2):
        (pair,) = load(tmp_path / "set")
        assert torch.equal(pair.lr, small)
        assert torch.equal(pair.hr, image)
    assert len(decoded) == 2
    write(tmp_path / "set/LR_bicubic/X2/ax2.png", 9, (6, 8))
    (pair,) = load(tmp_path / "set")
    assert not torch.equal(pair.lr, small)


def write(path: Path, seed: int, size: tuple[int, int]) -> Path:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)
    write_image(path, image)
    return path


def test_only_changed_images_are_decoded_and_the_stale_store_is_removed(
    folder: Path, cache: Path, decoded: list[str]
) -> None:
    load(folder)
    decoded.clear()
    write(folder / "train1.png", 1, (30, 41))
    write(folder / "train3.png", 2, (26, 20))
    (folder / "train0.png").unlink()
    assert_right(load(folder), folder)
    assert decoded == ["train1.png", "train3.png"]
    assert len(stores(cache)) == 1


def test_store_that_another_folder_needs_is_not_removed(
    folder: Path, cache: Path, decoded: list[str]
) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    load(folder)
    load(folder.with_name("copy"))
    assert len(stores(cache)) == 1
    write(folder / "train0.png", 3, (30, 30))
    load(folder)
    decoded.clear()
    assert_right(load(folder.with_name("copy")), folder.with_name("copy"))
    assert decoded == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "pixel changed": lambda made: flip(made / "hr.bin"),
    "small side changed": lambda made: flip(made / "lr.bin"),
    "cut": lambda made: os.truncate(made / "hr.bin", 1000),
    "side missing": lambda made: (made / "lr.bin").unlink(),
    "list changed": lambda made: flip(made / "images.json"),
    "list empty": lambda made: (made / "images.json").write_bytes(b""),
    "list of something else": lambda made: (made / "images.json").write_text('{"entries": [1]}'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_store_is_said_and_made_again(
    folder: Path, cache: Path, decoded: list[str], damage: str
) -> None:
    load(folder)
    (made,) = stores(cache)
    DAMAGES[damage](made)
    with pytest.warns(UserWarning, match="damaged; its images are decoded again"):
        pairs = load(folder)
    assert_right(pairs, folder)
    assert len(decoded) == 6
    assert_right(load(folder), folder)
    assert len(decoded) == 6


def test_what_a_process_writes_into_its_images_stays_its_own(folder: Path, cache: Path) -> None:
    load(folder)[0].hr.fill_(7)
    assert_right(load(folder), folder)


def test_without_a_place_to_keep_them_images_are_decoded_into_memory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept for the next run"):
        pairs = load(folder)
    assert_right(pairs, folder)


def test_full_disk_is_left_alone(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12, 2**28))
    with pytest.warns(UserWarning, match="the disk is too full"):
        pairs = load(folder)
    assert_right(pairs, folder)
    assert stores(cache) == []


def test_what_a_kill_left_is_removed(folder: Path, cache: Path) -> None:
    load(folder)
    (made,) = stores(cache)
    torn = cache / f".{made.name}.abc~"
    made.rename(torn)
    assert_right(load(folder), folder)
    assert stores(cache) == [made]


def test_what_a_kill_left_of_other_images_is_removed_and_so_are_stores_of_places_that_are_gone(
    folder: Path, cache: Path
) -> None:
    load(folder)
    (made,) = stores(cache)
    made.rename(cache / f".{made.name}.abc~")
    gone = folder.with_name("gone")
    write(gone / "a.png", 5, (20, 20))
    load(gone)
    assert len(stores(cache)) == 1
    shutil.rmtree(gone)
    other = folder.with_name("other")
    write(other / "a.png", 6, (20, 20))
    assert_right(load(other), other)
    assert len(stores(cache)) == 1


def test_store_of_another_format_is_not_opened(
    folder: Path, cache: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(folder)
    decoded.clear()
    monkeypatch.setattr(store, "_FORMAT", store._FORMAT + 1)
    assert_right(load(folder), folder)
    assert len(decoded) == 3


def test_store_that_vanishes_while_it_is_opened_costs_its_use_alone(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = datasets.open_store

    def vanishing(*arguments: object, **options: object) -> store.Store:
        found = opened(*arguments, **options)  # type: ignore[arg-type]
        shutil.rmtree(found.folder)
        return found

    monkeypatch.setattr(datasets, "open_store", vanishing)
    with pytest.warns(UserWarning, match="cannot be kept for the next run"):
        pairs = load(folder)
    assert_right(pairs, folder)


def test_name_that_is_no_text_is_a_name(folder: Path, cache: Path) -> None:
    (folder / "train0.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    for _ in range(2):
        assert_right(load(folder), folder)
        assert check_pairs(str(folder), scale=2, split="train").images == 3


SIDE_BY_SIDE = """
import sys
from corenas_sr.data import datasets
from corenas_sr.data.images import read_image

def read(path, **options):
    with open(sys.argv[2], "a") as log:
        log.write(f"{path.name}\\n")
    return read_image(path, **options)

datasets.read_image = read
pairs = datasets.load_pairs(sys.argv[1], scale=2, split="train")
print(sum(int(pair.hr.sum()) for pair in pairs))
"""


def test_of_processes_at_once_one_decodes(folder: Path, cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SIDE_BY_SIDE, str(folder), str(tmp_path / "log")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate()[0] for process in running]
    expected = sum(int(crop_to_multiple(read_image(f), 2).sum()) for f in folder.iterdir())
    assert printed == [f"{expected}\n"] * 2
    assert sorted((tmp_path / "log").read_text().split()) == sorted(os.listdir(folder))
