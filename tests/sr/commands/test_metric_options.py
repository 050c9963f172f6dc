"""Options of metrics on the command line, and metrics that compare with nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from corenas import choose, cli
from corenas.errors import ConfigError, InputError, UnknownName
from corenas.testing.installed import InstallPlugin, install_plugin
from corenas_sr.commands.metric_options import choose_metrics
from corenas_sr.data.images import read_image, write_image

__all__ = ["install_plugin"]

STRANGER = """
import torch
from corenas import Component, hookimpl, option
from corenas_sr.metric import MetricInfo
from attrs import frozen


@frozen
class Options:
    power: int = option(1, "of the mean", ge=1)


class Brightness:
    def __init__(self, options):
        self.power = options.power
        self.info = MetricInfo("higher", "none", protocol=f"mean to the power of {options.power}")

    def __call__(self, image, reference, *, scale):
        return image.double().mean((1, 2, 3)) ** self.power


@hookimpl
def corenas_metrics():
    info = MetricInfo("higher", "none")
    return [Component("brightness", "bright:Brightness", Options, "mean", info)]
"""


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of upscaled images, and one of their ground truth."""
    for name, seeds in (("up", (1, 2)), ("hr", (3, 4))):
        for letter, seed in zip("ab", seeds, strict=True):
            write_image(tmp_path / name / f"{letter}.png", picture(48, 40, seed))
    return tmp_path / "up", tmp_path / "hr"


def value(folders: tuple[Path, Path], name: str, protocol: str) -> float:
    metric = choose_metrics([name], [f"{name}.protocol={protocol}"])[0].build()
    image, truth = (read_image(folder / "a.png")[None] for folder in folders)
    return float(metric(image, truth, scale=4))


def test_options_change_the_metric_they_name_alone() -> None:
    first, second = choose_metrics(["psnr", "ssim"], ["ssim.protocol=rgb"])
    assert first == choose("metrics", "psnr")
    assert second.config.protocol == "rgb"


def test_later_options_win_and_others_stay() -> None:
    options = ["niqe.model=a.json", "niqe.protocol=y", "niqe.protocol=pirm"]
    (metric,) = choose_metrics(["niqe"], options)
    assert (metric.config.protocol, metric.config.model) == ("pirm", Path("a.json").absolute())


@pytest.mark.parametrize(
    ("names", "options", "error", "message"),
    [
        (["pnsr"], [], UnknownName, r"unknown image metric 'pnsr'; did you mean 'psnr'\?"),
        (["psnr", "psnr"], [], InputError, "--metrics: 'psnr' stands twice"),
        (["psnr"], ["ssim.protocol=y"], ConfigError, "'ssim' is not measured; allowed: psnr|mean"),
        (
            ["niqe"],
            ["niqe.protocol=prim"],
            ConfigError,
            "^niqe.protocol: unknown value 'prim'; did",
        ),
        (
            ["psnr", "niqe"],
            ["niqe.modl=a"],
            ConfigError,
            r"^niqe: unknown key 'modl'; did you mean",
        ),
        (["niqe"], ["niqe=a"], ConfigError, "--set niqe=a: expected metric.option=value"),
        (["niqe"], ["niqe.model"], ConfigError, "--set niqe.model: expected key=value"),
    ],
)
def test_wrong_options_are_refused_with_the_metric_in_their_path(
    names: list[str], options: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        choose_metrics(names, options)


def test_evaluate_measures_with_the_options(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", *map(str, pair), "--scale", "4", "--metrics", "psnr, ssim", "--json"]
    assert cli.main([*arguments, "--set", "psnr.protocol=rgb"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"][0]["psnr"] == pytest.approx(value(pair, "psnr", "rgb"), rel=1e-12)
    assert found["images"][0]["ssim"] == pytest.approx(value(pair, "ssim", "y"), rel=1e-12)
    assert found["protocol"]["psnr"] == "RGB, shave 0"


@pytest.mark.parametrize(
    ("protocol", "scale", "text"),
    [
        ("y", 4, "Y of BT.601 studio range, shave = 4, unrounded"),
        ("edsr-div2k", 2, "RGB, shave = 2 + 6"),
        ("rgb", 2, "RGB, shave 0"),
    ],
)
def test_protocol_beside_the_numbers_has_the_scale_filled_in(
    pair: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    protocol: str,
    scale: int,
    text: str,
) -> None:
    arguments = ["evaluate", *map(str, pair), "--scale", str(scale), "--metrics", "psnr"]
    assert cli.main([*arguments, "--set", f"psnr.protocol={protocol}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"psnr: {text}"


def test_stranger_metric_needs_no_ground_truth(
    pair: tuple[Path, Path],
    tmp_path: Path,
    install_plugin: InstallPlugin,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_plugin("bright", STRANGER)
    table = tmp_path / "table.csv"
    up = pair[0]
    arguments = ["evaluate", str(up), "--metrics", "brightness", "--set", "brightness.power=2"]
    assert cli.main([*arguments, "--json", "--csv", str(table)]) == 0
    found = json.loads(capsys.readouterr().out)
    means = [float(read_image(up / f"{n}.png").double().mean()) for n in "ab"]
    values = [each["brightness"] for each in found["images"]]
    assert [each["name"] for each in found["images"]] == ["a.png", "b.png"]
    assert values == pytest.approx([mean**2 for mean in means], rel=1e-12)
    assert found["protocol"] == {"brightness": "mean to the power of 2"}
    with table.open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["name", "brightness"]
    assert [row[0] for row in rows[1:]] == ["a.png", "b.png", "mean"]
    assert float(rows[3][1]) == pytest.approx(sum(values) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{up}"], "psnr compares with a ground truth; name its folder, too"),
        (["{up}/a.png", "--metrics", "niqe"], "without a ground truth, a folder of images is need"),
        (
            ["{up}/none", "--metrics", "niqe"],
            "without a ground truth, a folder of images is needed",
        ),
        (["{up}", "--metrics", "niqe"], "up/a.png: an image of 40x48 pixels is too small for NIQE"),
        (["{up}", "--metrics", "niqe", "--save-images", "x"], "nothing is upscaled without FOLDER"),
    ],
)
def test_missing_ground_truth_is_said(
    pair: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert cli.main(["evaluate", *(each.format(up=pair[0]) for each in arguments)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_evaluate_shows_a_bar_on_a_terminal_alone(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["evaluate", *map(str, pair), "--scale", "4", "--json"]
    assert cli.main(arguments) == 0
    plain = capsys.readouterr()
    assert plain.err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert "measuring" in shown.err
    assert shown.out == plain.out


@pytest.mark.filterwarnings("default")
def test_warning_is_one_line_without_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "a.png", picture(96, 192))
    assert cli.main(["evaluate", str(tmp_path), "--metrics", "niqe", "--json"]) == 0
    assert capsys.readouterr().err == (
        "warning: NIQE of images with fewer than 10 blocks of 96x96 pixels is unreliable\n"
    )
