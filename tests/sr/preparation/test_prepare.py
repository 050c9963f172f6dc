"""Low-resolution images are MATLAB's, lie where data sets have them, and are made once."""

from __future__ import annotations

import os
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas import cli
from corenas.errors import CorenasError
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.folders import find_pairs
from corenas_sr.data.images import crop_to_multiple, read_image, resize, write_image
from corenas_sr.data.marks import write_marked
from corenas_sr.preparation import parallel
from corenas_sr.preparation.prepare import Prepared, prepare


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def test_published_low_resolution_images_come_out_bit_for_bit(tmp_path: Path) -> None:
    if not os.environ.get("CORENAS_DATA"):
        pytest.skip("CORENAS_DATA does not name the folder that holds Set5")
    set5 = Path(os.environ["CORENAS_DATA"]) / "Set5"
    for file in (set5 / "HR").iterdir():
        (tmp_path / "HR").mkdir(exist_ok=True)
        shutil.copyfile(file, tmp_path / "HR" / file.name)
    assert prepare(tmp_path, [2, 3, 4]) == Prepared(made=15)
    published = sorted(set5.glob("LR_bicubic/*/*.png"))
    assert len(published) == 15
    for file in published:
        assert torch.equal(read_image(file), read_image(tmp_path / file.relative_to(set5)))


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("HR", "LR_bicubic/X4/ax4.png"),
        ("DIV2K_train_HR", "DIV2K_train_LR_bicubic/X4/ax4.png"),
        ("photos", "photos_LR_bicubic/X4/ax4.png"),
        ("GTmod12", "GTmod12_LR_bicubic/X4/ax4.png"),
    ],
)
def test_prepared_images_are_the_ones_that_are_loaded(tmp_path: Path, hr: str, lr: str) -> None:
    image = picture(25, 38)
    write_image(tmp_path / hr / "a.png", image)
    source = tmp_path / hr
    assert prepare(source, [4]) == Prepared(made=1)
    made = read_image(tmp_path / lr)
    assert torch.equal(made, resize(crop_to_multiple(image, 4), Fraction(1, 4)))
    assert [pair.lr for pair in find_pairs(source, scale=4, split="train").pairs] == [tmp_path / lr]
    (pair,) = load_pairs(str(source), scale=4, split="train")
    assert torch.equal(pair.lr, made)


def test_what_is_right_is_kept_and_anything_else_is_made_again(tmp_path: Path) -> None:
    for number in range(5):
        write_image(tmp_path / f"HR/{number}.png", picture(16, 16, seed=number))
    assert prepare(tmp_path, [2, 4]) == Prepared(made=10)
    folder = tmp_path / "LR_bicubic/X2"
    right = {file: read_image(file) for file in sorted(folder.iterdir())}
    torn, size, pixels, missing, kept = right
    torn.write_bytes(torn.read_bytes()[:50])
    write_marked(size, picture(3, 3), command="prepare")
    write_marked(pixels, picture(8, 8, seed=99), command="prepare")
    missing.unlink()
    before = kept.stat().st_mtime_ns
    assert prepare(tmp_path, [2, 4]) == Prepared(kept=6, made=4)
    assert all(torch.equal(read_image(file), image) for file, image in right.items())
    assert kept.stat().st_mtime_ns == before


def test_bad_images_are_named_and_the_others_are_made(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", picture(8, 8))
    write_image(tmp_path / "tiny.png", picture(3, 8))
    (tmp_path / "bad.png").write_bytes(b"?")
    prepared = prepare(tmp_path, [2, 4])
    assert (prepared.kept, prepared.made) == (0, 3)
    assert [problem.partition(":")[0] for problem in prepared.problems] == [
        str(tmp_path / "bad.png"),
        str(tmp_path / "tiny.png"),
    ]


@pytest.mark.slow
def test_processes_make_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_WORTH_A_PROCESS", 2)
    for name in ("one", "two"):
        for number in range(6):
            write_image(tmp_path / name / f"HR/{number}.png", picture(16, 16, seed=number))
    assert prepare(tmp_path / "one", [2], workers=1) == prepare(tmp_path / "two", [2], workers=2)
    for file in (tmp_path / "one").rglob("*.png"):
        twin = tmp_path / "two" / file.relative_to(tmp_path / "one")
        assert file.read_bytes() == twin.read_bytes()


@pytest.mark.slow
def test_killed_process_is_an_error_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_WORTH_A_PROCESS", 2)
    with pytest.raises(CorenasError, match="dying: a worker process was killed"):
        list(parallel.work_on_each(os._exit, [1] * 4, what="dying", workers=2))


def test_command_makes_images_and_says_how_many(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "photos/a.png", picture(8, 8))
    for counts in ("2 images made, 0 were there already", "0 images made, 2 were there already"):
        assert cli.main(["data", "prepare", str(tmp_path / "photos")]) == 0
        assert capsys.readouterr().out == f"{counts}\n"
    (tmp_path / "photos/b.png").write_bytes(b"?")
    assert cli.main(["data", "prepare", str(tmp_path / "photos"), "--scale", "2"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "0 images made, 1 were there already\n"
    assert f"one file cannot be used: {tmp_path / 'photos/b.png'}: not an image" in captured.err


def test_target_that_cannot_be_written_is_an_error_with_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "photos/a.png", picture(8, 8))
    (tmp_path / "photos_LR_bicubic").write_text("in the way")
    assert cli.main(["data", "prepare", str(tmp_path / "photos")]) == 1
    err = capsys.readouterr().err
    assert f"{tmp_path / 'photos_LR_bicubic/X2/ax2.png'}: cannot be written" in err
    assert err.count("\n") == 1
