"""Bad input: one line that names the file, and exit status 2, before anything is done."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from corenas import choose, cli, default_registry
from corenas.errors import DataError
from corenas_sr.data.images import quantise, write_image
from corenas_sr.models.files import save_model
from corenas_sr.models.named import find_architecture

pytestmark = pytest.mark.abuse("unusable images")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder with a good image, to which tests add a bad one."""
    write_image(tmp_path / "images/good.png", picture(48, 48))
    return tmp_path / "images"


def rgba(path: Path) -> None:
    Image.new("RGBA", (32, 32), (9, 9, 9, 128)).save(path.with_suffix(".png"))


def palette_with_transparency(path: Path) -> None:
    Image.new("P", (32, 32)).save(path.with_suffix(".png"), transparency=0)


def sixteen_bit_grey(path: Path) -> None:
    Image.fromarray(np.full((32, 32), 40_000, np.uint16)).save(path.with_suffix(".png"))


def sixteen_bit_colour(path: Path) -> None:
    """Written by hand, because Pillow cannot."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x9c\x40" * 3 * 32) * 32)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def one_pixel(path: Path) -> None:
    write_image(path.with_suffix(".png"), picture(1, 1))


def text(path: Path) -> None:
    path.with_suffix(".png").write_text("This is no image.")


def nothing(path: Path) -> None:
    path.with_suffix(".png").write_bytes(b"")


def truncated_png(path: Path) -> None:
    write_image(path.with_suffix(".png"), picture(48, 48))
    content = path.with_suffix(".png").read_bytes()
    path.with_suffix(".png").write_bytes(content[: len(content) // 2])


def truncated_jpeg(path: Path) -> None:
    image = Image.fromarray(picture(48, 48).permute(1, 2, 0).numpy())
    image.save(path.with_suffix(".jpg"))
    content = path.with_suffix(".jpg").read_bytes()
    path.with_suffix(".jpg").write_bytes(content[: len(content) // 2])


def animation(path: Path) -> None:
    frames = [Image.new("L", (32, 32), level) for level in (0, 200)]
    frames[0].save(path.with_suffix(".png"), save_all=True, append_images=frames[1:])


BAD: list[tuple[Callable[[Path], None], str]] = [
    (rgba, "bad.png: has transparency (alpha)"),
    (palette_with_transparency, "bad.png: has transparency (alpha)"),
    (sixteen_bit_grey, "bad.png: more than 8 bits per channel"),
    (sixteen_bit_colour, "bad.png: more than 8 bits per channel"),
    (one_pixel, "bad.png: 1x1 is smaller than the scale 2"),
    (text, "bad.png: not an image of a known format"),
    (nothing, "bad.png: not an image of a known format"),
    (truncated_png, "bad.png: damaged image"),
    (truncated_jpeg, "bad.jpg: damaged image"),
    (animation, "bad.png: animated or several pages"),
]

COMMANDS = {
    "evaluate": ["evaluate", "bicubic", "{}", "--scale", "2"],
    "check": ["data", "check", "{}", "--scale", "2"],
    "prepare": ["data", "prepare", "{}", "--scale", "2"],
    "dry run": ["run", "train", "--dry-run", "--set", "data.validation={}", "--set", "scale=2"],
}


def fails(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str, *folders: Path
) -> None:
    """Run a command that must end with status 2 and one line on stderr."""
    given = iter(map(str, folders))
    filled = [each.replace("{}", next(given)) if "{}" in each else each for each in arguments]
    assert cli.main(filled) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("make", "message"), BAD, ids=lambda each: getattr(each, "__name__", ""))
def test_bad_image_is_named(
    good: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    message: str,
    command: str,
) -> None:
    make(good / "bad")
    fails(capsys, COMMANDS[command], message, good)


@pytest.mark.parametrize("command", COMMANDS)
def test_greyscale_is_accepted(
    good: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    Image.fromarray(picture(48, 48)[0].numpy()).save(good / "grey.png")
    arguments = [each.replace("{}", str(good)) for each in COMMANDS[command]]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("folder", "message"), [("empty", "empty: no images"), ("absent", "absent: No such file or")]
)
def test_folder_without_images_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, folder: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    fails(capsys, COMMANDS[command], message, tmp_path / folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_folder_that_may_not_be_read_is_named(
    good: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every folder")
    good.chmod(0)
    try:
        fails(capsys, COMMANDS[command], "images: Permission denied", good)
    finally:
        good.chmod(0o755)


@pytest.mark.parametrize("command", COMMANDS)
def test_refused_folder_is_named_whoever_asks(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The same for root, whom no permission stops: the system's answer is put in."""
    listed = Path.iterdir

    def refused(self: Path) -> object:
        if self == good:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refused)
    fails(capsys, COMMANDS[command], "images: Permission denied", good)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "prepare"])
def test_pair_whose_sizes_do_not_fit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    write_image(tmp_path / "HR/a.png", picture(48, 48))
    write_image(tmp_path / "LR_bicubic/X2/ax2.png", picture(24, 23))
    message = "LR_bicubic/X2/ax2.png: 23x24 does not fit a.png; needed 24x24 (1/2 of 48x48)"
    fails(capsys, COMMANDS[command], message, tmp_path)


def test_upscaled_image_of_another_size_than_the_ground_truth_is_named(
    tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "up/good.png", picture(48, 46))
    message = "up/good.png: its size is 46x48, that of the ground truth 48x48"
    fails(capsys, ["evaluate", "{}", "{}", "--scale", "2"], message, tmp_path / "up", good)


def test_image_with_less_than_two_blocks_is_named(
    good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "bicubic", "{}", "--scale", "2", "--metrics", "niqe"]
    fails(capsys, arguments, "good: an image of 48x48 pixels is too small for NIQE", good)


def test_network_with_weights_that_are_no_numbers_is_named(
    tmp_path: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = find_architecture("tpsr/paper", scale=2)
    module = named.space.build().build(named.architecture)
    with torch.no_grad():
        next(module.parameters()).flatten()[0] = torch.nan
    file = tmp_path / "diverged.safetensors"
    save_model(file, module, space=named.space, architecture=named.architecture, scale=2)
    message = "diverged.safetensors: its weights are not all finite numbers"
    fails(capsys, ["evaluate", "{}", "{}"], message, file, good)
    fails(capsys, ["upscale", "{}", "{}"], message, file, good)


def test_values_that_are_no_numbers_become_no_pixels() -> None:
    image = torch.full((3, 4, 4), 17.0)
    image[1, 2, 3] = torch.nan
    with pytest.raises(DataError, match="values that are not numbers"):
        quantise(image)
    extremes = torch.tensor([torch.inf, -torch.inf, 300.0, -1.0])
    assert quantise(extremes).tolist() == [255, 0, 255, 0]


# lpips needs weights; random-features goes through the same code.
MEASURABLE = sorted(default_registry().components("metrics").keys() - {"lpips"})


@pytest.mark.parametrize("name", MEASURABLE)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -1.0, 256.0, 0.5])
def test_metrics_refuse_what_is_not_quantised(name: str, bad: float) -> None:
    metric = choose("metrics", name).build()
    image = picture(192, 192)[None].double()
    image[0, 1, 90, 90] = bad
    with pytest.raises(ValueError, match=r"whole numbers in 0\.\.255"):
        metric(image, picture(192, 192)[None].double(), scale=2)
