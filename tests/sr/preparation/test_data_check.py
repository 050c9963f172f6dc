"""Folders of images, checked: what is counted, what is wrong, and what is trained on twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas import cli
from corenas.errors import DataError, InputError
from corenas_sr.commands.data import parse_scales
from corenas_sr.data.images import write_image
from corenas_sr.preparation import parallel
from corenas_sr.preparation.check import check_folder, duplicates


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def div2k(root: Path) -> Path:
    """Two training images and one for validation, with low-resolution images at x2 only."""
    for part, numbers in (("train", (1, 2)), ("valid", (3,))):
        for n in numbers:
            size = (8 + 2 * n, 12)
            write_image(root / f"DIV2K_{part}_HR/{n:04}.png", picture(*size, seed=n))
            lr = picture(size[0] // 2, 6, seed=n)
            write_image(root / f"DIV2K_{part}_LR_bicubic/X2/{n:04}x2.png", lr)
    return root


def test_report_counts_images_sizes_and_pairs(tmp_path: Path) -> None:
    training, validation = check_folder(div2k(tmp_path), [2, 4])
    assert training.to_json() == {
        "folder": str(tmp_path / "DIV2K_train_HR"),
        "layout": "DIV2K or Flickr2K",
        "images": 2,
        "smallest": [12, 10],
        "largest": [12, 12],
        "megapixels": 0.0,
        "pairs": {"2": 2, "4": 0},
        "problems": [],
    }
    assert (validation.folder.name, len(validation.images)) == ("DIV2K_valid_HR", 1)


@pytest.mark.parametrize("above", ["", "benchmark"])
def test_each_of_several_data_sets_is_reported(tmp_path: Path, above: str) -> None:
    for name in ("Set5", "Set14"):
        write_image(tmp_path / above / name / "HR/a.png", picture(8, 8))
        write_image(tmp_path / above / name / "LR_bicubic/X4/ax4.png", picture(2, 2))
    reports = check_folder(tmp_path, [4])
    assert [str(report.folder.relative_to(tmp_path / above)) for report in reports] == [
        "Set14/HR",
        "Set5/HR",
    ]
    assert [report.pairs for report in reports] == [{4: 1}, {4: 1}]


def test_all_that_is_wrong_is_named(tmp_path: Path) -> None:
    div2k(tmp_path)
    train = tmp_path / "DIV2K_train_HR"
    (train / "0001.png").write_bytes((train / "0001.png").read_bytes()[:-60])
    write_image(tmp_path / "DIV2K_train_LR_bicubic/X2/0002x2.png", picture(9, 9))
    write_image(tmp_path / "DIV2K_train_LR_bicubic/X2/0009x2.png", picture(9, 9))
    write_image(train / "0005.png", picture(1, 40))
    report, _ = check_folder(tmp_path, [2, 4])
    problems = sorted(problem.replace(str(tmp_path), "") for problem in report.problems)
    assert [problem.split(":")[0] for problem in problems] == [
        "/DIV2K_train_HR/0001.png",
        "/DIV2K_train_HR/0005.png",
        "/DIV2K_train_HR/0005.png",
        "/DIV2K_train_HR/0005.png",
        "/DIV2K_train_LR_bicubic/X2/0002x2.png",
        "/DIV2K_train_LR_bicubic/X2/0009x2.png",
    ]
    assert "damaged image" in problems[0]
    assert {problem.partition(": ")[2] for problem in problems[1:4]} == {
        "no LR partner '0005x2'",
        "40x1 is smaller than the scale 2",
        "40x1 is smaller than the scale 4",
    }
    assert "9x9 does not fit 0002.png; needed 6x6" in problems[4]
    assert problems[5].endswith("no HR partner")


def test_duplicates_are_found_by_their_pixels_not_their_files(tmp_path: Path) -> None:
    image = picture(8, 8)
    write_image(tmp_path / "mine/a.png", image)
    write_image(tmp_path / "mine/c.png", picture(8, 8, seed=1))
    from PIL import Image

    (tmp_path / "held").mkdir()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / "held/b.bmp")
    training, held_out = (check_folder(tmp_path / name, [2]) for name in ("mine", "held"))
    assert (tmp_path / "held/b.bmp").read_bytes() != (tmp_path / "mine/a.png").read_bytes()
    assert duplicates(training, held_out) == [(tmp_path / "held/b.bmp", tmp_path / "mine/a.png")]
    assert duplicates(held_out, []) == []


def test_damaged_files_are_no_duplicates_of_each_other(tmp_path: Path) -> None:
    for name in ("mine/a.png", "held/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"?")
    training, held_out = (check_folder(tmp_path / name, [2]) for name in ("mine", "held"))
    assert duplicates(training, held_out) == []


def test_nothing_is_written_by_a_check(tmp_path: Path, cache: Path) -> None:
    write_image(tmp_path / "photos/a.png", picture(8, 8))
    check_folder(tmp_path / "photos", [2, 4])
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "a.png"]
    assert not list(cache.iterdir())


def test_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images; their names end in"):
        check_folder(tmp_path, [2])


@pytest.mark.slow
def test_processes_give_the_same_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        write_image(tmp_path / f"{number}.png", picture(8 + number, 8, seed=number))
    (tmp_path / "8.png").write_bytes(b"?")
    here = check_folder(tmp_path, [2])
    monkeypatch.setattr(parallel, "_WORTH_A_PROCESS", 2)
    monkeypatch.setattr(parallel, "default_workers", lambda devices: 2)
    assert check_folder(tmp_path, [2]) == here


# the command


def test_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "check", str(div2k(tmp_path))]) == 0
    captured = capsys.readouterr()
    head, training, validation = captured.out.splitlines()
    assert head.endswith("megapixels  LR x2  LR x4")
    assert training.split()[-4:] == ["0.0", "2", "from", "HR"]
    assert "DIV2K_valid_HR" in validation
    assert captured.err == ""  # no bar where there is no terminal


def test_command_shows_a_bar_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert cli.main(["data", "check", str(div2k(tmp_path)), "--json"]) == 0
    captured = capsys.readouterr()
    assert "checking DIV2K_train_HR" in captured.err
    assert json.loads(captured.out)["ok"] is True


def test_command_finds_validation_images_that_are_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    div2k(tmp_path)
    same = picture(10, 12, seed=1)  # the first image of the training half
    write_image(tmp_path / "DIV2K_valid_HR/0801.png", same)
    write_image(tmp_path / "DIV2K_valid_LR_bicubic/X2/0801x2.png", picture(5, 6))
    write_image(tmp_path / "held/z.png", same)
    train = str(tmp_path / "DIV2K_train_HR")
    for arguments, where in (
        ([str(tmp_path)], "DIV2K_valid_HR/0801.png"),
        ([train, "--validation", str(tmp_path / "held")], "held/z.png"),
    ):
        assert cli.main(["data", "check", *arguments, "--scale", "2"]) == 2
        err = capsys.readouterr().err
        assert f"{tmp_path / where}: the same image as {train}/0001.png, which is trained on" in err
        assert err.count("\n") == 1


def test_command_prints_json_with_all_problems_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_bytes(b"?")
    assert cli.main(["data", "check", str(tmp_path), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert len(found["problems"]) == len(found["sets"][0]["problems"]) == 12
    assert found["sets"][0]["smallest"] is None


@pytest.mark.parametrize("text", ["", "1", "4x", "2,,4", "2;4", "2,9", "-2"])
def test_wrong_scales_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected factors from 2 to 8 such as 2,4"):
        parse_scales(text)


def test_scales_are_read_in_any_order_once() -> None:
    assert parse_scales("4, 2,3,2") == [2, 3, 4]
