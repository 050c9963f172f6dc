"""What commands on images write over, leave out, refuse and say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from corenas import cli
from corenas_sr.data import datasets
from corenas_sr.data.images import read_image, read_profile

pytestmark = pytest.mark.abuse("files of the user in the way, odd names")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    datasets._load.cache_clear()  # every test has another folder of the same name
    yield
    datasets._load.cache_clear()


def photograph(path: str, *, seed: int = 0, mode: str = "RGB", **options: object) -> None:
    """Write random pixels with Pillow, as another program would."""
    values = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).convert(mode).save(path, **options)  # type: ignore[arg-type]


def run(*arguments: object) -> int:
    return cli.main([str(each) for each in arguments])


FOREIGN = {
    "evaluate": (["evaluate", "bicubic", "hr", "--scale=2", "--save-images=out"], "out/a.png"),
    "upscale": (["upscale", "bicubic", "hr", "--scale=2", "--out=out"], "out/a_x2.png"),
    "prepare": (["data", "prepare", "hr", "--scale=2"], "hr_LR_bicubic/X2/ax2.png"),
}


@pytest.mark.parametrize("command", FOREIGN)
def test_files_of_others_are_replaced_on_request_only(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, target = FOREIGN[command]
    photograph("hr/a.png")
    small = np.zeros((12, 16, 3), np.uint8)
    Path(target).parent.mkdir(parents=True)
    Image.fromarray(small).save(target)
    before = Path(target).read_bytes()
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert target in err
    assert "--overwrite" in err
    assert Path(target).read_bytes() == before
    assert run(*arguments, "--overwrite") == 0
    assert Path(target).read_bytes() != before
    photograph("hr/a.png", seed=1)
    assert run(*arguments) == 0  # its own files


@pytest.mark.parametrize("command", FOREIGN)
def test_own_files_that_were_changed_are_not_ours(command: str) -> None:
    arguments, target = FOREIGN[command]
    photograph("hr/a.png")
    assert run(*arguments) == 0
    with Image.open(target) as image:
        changed = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed.save(target)
    assert run(*arguments) == 2


@pytest.mark.parametrize("content", ["torn", "no image", "empty", "link"])
@pytest.mark.parametrize("command", FOREIGN)
def test_what_cannot_be_read_is_not_ours(command: str, content: str) -> None:
    arguments, target = FOREIGN[command]
    photograph("hr/a.png")
    Path(target).parent.mkdir(parents=True)
    if content == "link":
        os.symlink("nowhere", target)
    else:
        whole = Path("hr/a.png").read_bytes()
        bytes_of = {"torn": whole[: len(whole) // 2], "no image": b"text", "empty": b""}
        Path(target).write_bytes(bytes_of[content])
    before = None if content == "link" else Path(target).read_bytes()
    assert run(*arguments) == 2
    assert Path(target).is_symlink() == (content == "link")
    assert before is None or Path(target).read_bytes() == before


@pytest.mark.parametrize("left", [60, 400])
@pytest.mark.parametrize("command", FOREIGN)
def test_own_torn_files_are_made_again(command: str, left: int) -> None:
    arguments, target = FOREIGN[command]
    photograph("hr/a.png")
    assert run(*arguments) == 0
    whole = Path(target).read_bytes()
    Path(target).write_bytes(whole[:left])
    assert run(*arguments) == 0
    assert Path(target).read_bytes() == whole


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
@pytest.mark.parametrize("truth", ["hr", ""])
def test_table_never_replaces_what_is_measured(truth: str, options: list[str]) -> None:
    photograph("hr/a.png")
    before = Path("hr/a.png").read_bytes()
    model = "bicubic" if truth else "hr"
    metrics = [] if truth else ["--metrics=niqe"]
    places = [truth, "--scale=2"] if truth else []
    assert run("evaluate", model, *places, *metrics, "--csv=hr/a.png", *options) == 2
    assert Path("hr/a.png").read_bytes() == before


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), OSError(28, "No space left on device", "weights")]
)
def test_what_fails_while_measuring_is_not_said_of_the_table(
    error: OSError, there: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("hr/a.png")
    if there:
        Path("t.csv").write_text("name,psnr\n")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("corenas_sr.results.evaluation.evaluate", fail)
    assert run("evaluate", "bicubic", "hr", "--scale=2", "--csv=t.csv") == 1
    err = capsys.readouterr().err
    assert str(error.strerror) in err
    assert "t.csv" not in err
    assert (Path("t.csv").read_text() if there else None) == ("name,psnr\n" if there else None)
    assert sorted(path.name for path in Path().iterdir() if path.is_file()) == ["t.csv"] * there


@pytest.mark.parametrize("place", ["open", "write", "close"])
def test_table_that_cannot_be_written_is_named(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("hr/a.png")
    monkeypatch.setattr("corenas.files.atomic_write", partial(failing_write, place))
    assert run("evaluate", "bicubic", "hr", "--scale=2", "--csv=t.csv") == 2
    assert "t.csv: cannot be written: Input/output error" in capsys.readouterr().err


@contextmanager
def failing_write(place: str, path: Path) -> Iterator[object]:
    """Stand for a file on a disk that fails at one place."""
    if place == "open":
        raise OSError(5, "Input/output error")

    class File:
        def write(self, content: bytes) -> None:
            if place == "write":
                raise OSError(5, "Input/output error")

    yield File()
    raise OSError(5, "Input/output error")


def test_only_tables_are_replaced_by_tables(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("hr/a.png")
    Path("t.csv").write_text("my notes")
    arguments = ["evaluate", "bicubic", "hr", "--scale=2", "--csv=t.csv"]
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert "t.csv" in err
    assert "--overwrite" in err
    assert Path("t.csv").read_text() == "my notes"
    assert run(*arguments, "--overwrite") == 0
    assert run(*arguments) == 0


def test_ground_truth_is_never_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("hr/a.png")
    before = Path("hr/a.png").read_bytes()
    arguments = ["evaluate", "bicubic", "hr", "--scale=2", "--save-images=hr", "--overwrite"]
    assert run(*arguments) == 2
    assert "hr/a.png" in capsys.readouterr().err
    assert Path("hr/a.png").read_bytes() == before


@pytest.mark.parametrize("made_by", ["nothing", "prepare", "another resize"])
def test_numbers_say_where_their_low_resolution_side_is_from(
    made_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("hr/a.png")
    if made_by == "prepare":
        assert run("data", "prepare", "hr", "--scale=2") == 0
    elif made_by == "another resize":
        Path("hr_LR_bicubic/X2").mkdir(parents=True)
        with Image.open("hr/a.png") as image:
            image.resize((16, 12), Image.Resampling.BILINEAR).save("hr_LR_bicubic/X2/ax2.png")
    capsys.readouterr()
    assert run("evaluate", "bicubic", "hr", "--scale=2", "--json") == 0
    said = json.loads(capsys.readouterr().out)["low_resolution"]
    assert ("hr_LR_bicubic/X2" in said) == (made_by != "nothing")
    assert ("DIFFER" in said) == (made_by == "another resize")
    assert run("evaluate", "bicubic", "hr", "--scale=2") == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("name", ["b.jfif", "b.jpe", "b.jpg", "b.gif", "b.ppm", "b.bmp", "b.webp"])
def test_formats_of_pillow_are_taken(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    photograph(f"hr/{name}", format={"b.jfif": "JPEG", "b.jpe": "JPEG"}.get(name))
    photograph("hr/a.png")
    assert run("evaluate", "bicubic", "hr", "--scale=2", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["images"]) == 2


@pytest.mark.parametrize("other", ["notes.txt", "gone.png"])
@pytest.mark.parametrize("command", ["evaluate", "upscale", "prepare", "check"])
def test_what_is_left_out_is_said(
    command: str, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("hr/a.png")
    if other == "gone.png":
        os.symlink("nowhere", "hr/gone.png")
    else:
        Path("hr", other).write_text("text")
    arguments = FOREIGN[command][0] if command in FOREIGN else ["data", "check", "hr"]
    assert run(*arguments) == 0
    assert f"hr: 1 file left out, no images: {other}" in capsys.readouterr().err


def test_broken_image_does_not_end_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "c"):
        photograph(f"in/{name}.png")
    Path("in/b.png").write_text("no image")
    arguments = ["upscale", "bicubic", "in", "--scale=2", "--out=out"]
    assert run(*arguments) == 2
    assert "in/b.png" in capsys.readouterr().err
    assert sorted(os.listdir("out")) == ["a_x2.png", "c_x2.png"]
    assert run(*arguments) == 2
    assert "2 were there already" in capsys.readouterr().out


def test_failed_preparation_leaves_the_set_usable(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("hr/a.png")
    photograph(f"hr/{'n' * 250}.png")
    assert run("data", "prepare", "hr", "--scale=2") != 0
    capsys.readouterr()
    assert run("evaluate", "bicubic", "hr", "--scale=2", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["images"]) == 2


NAMES = ["photo [edited]", "[red]x", "a\x1b[31mb", "a\nb", os.fsdecode(b"caf\xe9"), "日本"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_any_name_is_printed_whole_and_safely(
    name: str, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    photograph(f"hr/{name}.png")
    options = {"table": [], "json": ["--json"], "csv": ["--csv=t.csv"]}[form]
    assert run("evaluate", "bicubic", "hr", "--scale=2", *options) == 0
    out, _ = capfd.readouterr()
    assert "\x1b" not in out
    if form == "json":
        assert json.loads(out)["images"][0]["name"] == name
    if form == "table" and name.isprintable():
        assert name in out
    if form == "csv":
        lines = Path("t.csv").read_bytes().splitlines()
        assert len(lines) == 3
        if "\n" not in name and "\x1b" not in name:
            assert lines[1].startswith(os.fsencode(name))


MISTAKEN = {
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "HTML page": b"\n<!DOCTYPE html><html><body>404</body></html>",
}


@pytest.mark.parametrize("said", MISTAKEN)
@pytest.mark.parametrize("name", ["m.pth", "m.safetensors", "in/a.png"])
def test_what_a_clone_or_server_left_is_called_so(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photograph("in/good.png")
    Path(name).write_bytes(MISTAKEN[said])
    model = "bicubic" if name.startswith("in/") else name
    assert run("upscale", model, "in", *(["--scale=2"] if model == "bicubic" else [])) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "run code" not in err


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_is_taken(mode: str) -> None:
    photograph("a.png", mode=mode)
    with Image.open("a.png") as image:
        expected = np.array(image.convert("RGB"))
    assert np.array_equal(read_image("a.png").permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("source", ["in/a.png", "in/a.jpg"])
def test_colour_profile_goes_with_its_image(source: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photograph(source, icc_profile=profile)
    assert run("upscale", "bicubic", "in", "--scale=2") == 0
    assert read_profile("upscaled/a_x2.png") == profile


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_no_defect_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    photograph("hr/a.png")
    assert run("evaluate", "bicubic", "hr", "--scale=2", "--csv=/dev/full") != 0
    err = capsys.readouterr().err
    assert "No space left" in err
    assert "(unexpected" not in err
