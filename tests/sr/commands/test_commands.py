"""The commands train, cost, evaluate and upscale, as a user gives them."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from corenas import cli
from corenas.cost import count
from corenas_sr.data.images import read_image, write_image
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import bicubic
from corenas_trilevel.space.published import PUBLISHED

WriteModel = Callable[..., Path]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def corenas(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must succeed; return what it prints."""

    def run(*arguments: object) -> str:
        assert cli.main([str(each) for each in arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command whose input is wrong; return the line that says so."""

    def run(*arguments: object) -> str:
        assert cli.main([str(each) for each in arguments]) == 2
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.err

    return run


Run = Callable[..., str]


@pytest.fixture
def training(photographs: Path) -> list[str]:
    """Options of a training that takes no time."""
    options = {
        "data.train": photographs / "train",
        "data.validation": photographs / "valid",
        "training.steps": 2,
        "training.batch": 1,
        "training.patch": 8,
        "training.learning_rate": 1e-30,
    }
    return [f"--set={key}={value}" for key, value in options.items()]


class TestTrain:
    def test_published_architecture_is_trained_measured_and_saved(
        self, corenas: Run, training: list[str], tmp_path: Path
    ) -> None:
        out = tmp_path / "run"
        printed = corenas("train", "tpsr/paper", "--scale", 2, "--out", out, *training)
        assert printed.endswith(f"finished: {out}\n")
        summary = json.loads((out / "summary.json").read_text())
        (model,) = summary["models"]
        assert (model["scale"], model["params"], model["mult_adds"]) == (2, 60_761, 13_953_024_000)
        assert set(model["metrics"]) == set(model["bicubic"]) == {"psnr", "ssim"}
        assert list(summary["seconds"]) == ["train"]
        loaded = load_model(out / model["file"])
        assert loaded.architecture == loaded.space.build().known["tpsr/paper"]
        assert (out / "images" / "comparison-x2.png").exists()

    def test_larger_scale_starts_from_the_found_model(
        self, corenas: Run, training: list[str], tmp_path: Path, write_model: WriteModel
    ) -> None:
        found, out = write_model(scale=2), tmp_path / "run"
        corenas("train", found, "--scale", 4, f"--set=start={found}", "--out", out, *training)
        trained = load_model(out / "models" / "model-x4.safetensors")
        start = load_model(found)
        assert trained.scale == 4
        assert trained.architecture == start.architecture
        weights = trained.module.state_dict()
        for name, tensor in start.module.state_dict().items():
            assert torch.equal(weights.pop(name), tensor), name
        assert {name.split(".")[0] for name in weights} == {"up2"}

    def test_same_seed_gives_the_same_file(
        self, corenas: Run, training: list[str], tmp_path: Path, write_model: WriteModel
    ) -> None:
        files = []
        for number, seed in enumerate((3, 3, 4)):
            out = tmp_path / str(number)
            corenas("train", write_model(), "--seed", seed, "--out", out, *training)
            files.append((out / "models" / "model-x2.safetensors").read_bytes())
        assert files[0] == files[1] != files[2]

    def test_dry_run_estimates_and_makes_no_folder(
        self, corenas: Run, training: list[str], tmp_path: Path, write_model: WriteModel
    ) -> None:
        printed = corenas("train", write_model(), "--dry-run", *training)
        row = printed.splitlines()[1].split()
        assert row[:2] == ["train", "2"]
        assert "MiB" in row
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize("more", [[], ["--dry-run"]])
    def test_start_with_other_weights_is_refused(
        self, refused: Run, training: list[str], write_model: WriteModel, more: list[str]
    ) -> None:
        start = write_model(channels=8)
        arguments = ["train", write_model(), f"--set=start={start}", *training, *more]
        expected = f"error: start: {start}: its weights do not fit this network\n"
        assert refused(*arguments) == expected

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["tpsr/papr"], "'tpsr/papr' is neither a model file (.safetensors) nor a published "),
            (["absent.safetensors"], "absent.safetensors: cannot be read: No such file"),
            (["tpsr/paper", "--scale=3"], "scale: must be one of 2, 4, got 3"),
            (["tpsr-generator"], "'tpsr-generator' is a search space; a file with an architecture"),
            (["tpsr/paper", "--set=start=absent.safetensors"], "absent.safetensors: cannot be rea"),
            (["tpsr/paper", "--set=training.step=3"], "unknown key 'step'; did you mean 'steps'?"),
        ],
    )
    def test_wrong_input_is_named(
        self, refused: Run, training: list[str], arguments: list[str], message: str
    ) -> None:
        error = refused("train", *arguments, *training)
        assert message in error
        assert error.count("\n") == 1


CELL = [["conv3", 0], ["identity", 1], *(["identity", node] for node in range(2, 10))]


def cost(corenas: Run, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(corenas("cost", *arguments, "--json"))
    return found


class TestCost:
    @pytest.mark.parametrize(
        ("scale", "params", "mult_adds"), [(2, 60_761, 13_953_024_000), (4, 61_097, 3_562_905_600)]
    )
    def test_published_architecture_costs_what_the_paper_says(
        self, corenas: Run, scale: int, params: int, mult_adds: int
    ) -> None:
        found = cost(corenas, "tpsr/paper", "--scale", scale)
        assert (found["params"], found["mult_adds"]) == (params, mult_adds)
        assert found["input"] == [1280 // scale, 720 // scale]
        assert found["output"] == [1280, 720]

    def test_model_file_is_counted_at_its_own_scale(
        self, corenas: Run, write_model: WriteModel
    ) -> None:
        file = write_model(scale=4)
        found = cost(corenas, file)
        expected = count(load_model(file).module, (1, 3, 180, 320))
        assert (found["params"], found["mult_adds"]) == (expected.params, expected.mult_adds)
        assert (found["scale"], found["input"]) == (4, [320, 180])

    def test_architecture_of_a_space_is_read_from_a_file(
        self, corenas: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "cell.json"
        file.write_text(json.dumps(CELL))
        found = cost(corenas, "tpsr-generator", "--architecture", file, "--scale", 2)
        assert found["mult_adds"] == (2160 + 2304) * 640 * 360

    @pytest.mark.parametrize(
        ("option", "size", "small", "large"),
        [
            ("--input", "64x32", [64, 32], [128, 64]),
            ("--output", "64x32", [32, 16], [64, 32]),
        ],
    )
    def test_size_is_that_of_the_input_or_the_output(
        self, corenas: Run, option: str, size: str, small: list[int], large: list[int]
    ) -> None:
        found = cost(corenas, "tpsr/paper", "--scale", 2, option, size)
        assert (found["input"], found["output"]) == (small, large)
        assert found["mult_adds"] == 13_953_024_000 * math.prod(small) // (640 * 360)

    @pytest.mark.parametrize(
        ("arguments", "gflops", "millions"),
        [
            (["trilevel-a/table-1"], 117.3933, 0.377283),
            (["trilevel-a/table-1", "--set", "share_up=true"], 117.3933, 0.340355),
            (["trilevel-b/table-3"], 33.3625, 0.519392),
        ],
    )
    def test_published_network_is_counted_as_its_paper_did(
        self, corenas: Run, arguments: list[str], gflops: float, millions: float
    ) -> None:
        found = cost(corenas, *arguments, "--convention", "paper")
        assert (found["gflops"], found["params_millions"]) == (gflops, millions)
        assert found["params"] == round(millions * 1e6)
        assert round(found["mult_adds"] / 1e9, 4) == gflops
        assert (found["convention"], found["input"]) == ("paper", [256, 256])
        smaller = cost(corenas, *arguments, "--convention", "paper", "--input", "128x64")
        assert smaller["input"] == [128, 64]
        assert 8 * smaller["mult_adds"] == found["mult_adds"]
        printed = corenas("cost", *arguments, "--convention", "paper")
        rows = dict(line.split() for line in printed.splitlines())
        assert float(rows["gflops"]) == gflops

    def test_true_way_of_counting_is_the_default(self, corenas: Run) -> None:
        found = cost(corenas, "trilevel-b/table-3")
        assert found == cost(corenas, "trilevel-b/table-3", "--convention", "true")
        assert (found["params"], found["input"]) == (509_072, [320, 180])
        assert "convention" not in found

    @pytest.mark.parametrize("path", ["000001", [0, 0, 0, 0, 0, 1]])
    def test_written_architecture_is_counted_by_a_convention(
        self, corenas: Run, tmp_path: Path, path: object
    ) -> None:
        file = tmp_path / "table-3.json"
        value = {**PUBLISHED["trilevel-b/table-3"], "path": path}
        file.write_text(json.dumps(value))
        arguments = ["--architecture", file, "--convention", "paper"]
        assert cost(corenas, "trilevel-b", *arguments)["gflops"] == 33.3625

    def test_people_get_a_table(self, corenas: Run) -> None:
        printed = corenas("cost", "tpsr/paper", "--scale", 2)
        rows = dict(line.split() for line in printed.splitlines())
        assert rows["mult_adds"] == "13,953,024,000"
        assert (rows["input"], rows["output"]) == ("640x360", "1280x720")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["tpsr/paper", "--input=64x32", "--output=64x32"],
                "--input and --output exclude each other",
            ),
            (
                ["tpsr/paper", "--scale=4", "--output=642x32"],
                "--output 642x32: not a multiple of the scale 4",
            ),
            (
                ["tpsr/paper", "--input=640"],
                "--input '640': expected WIDTHxHEIGHT, such as 320x180",
            ),
            (
                ["tpsr/paper", "--output=0x720"],
                "--output '0x720': expected WIDTHxHEIGHT, such as 320x180",
            ),
            (["tpsr-generator", "--architecture=absent.json"], "absent.json: No such file"),
            (["tpsr-generator", "--architecture=text.json"], "text.json: not JSON"),
            (["tpsr-generator", "--architecture=cell.json"], "cell.json: expected 10 nodes, got 1"),
            (
                ["trilevel-b", "--architecture=wrong.json"],
                "wrong.json: cells[0][2]: unknown operation 'conv5'; did you mean 'conv3'?",
            ),
            (
                ["trilevel-b/table-3", "--convention=papr"],
                "--convention 'papr': the space 'trilevel-b' has no such way of counting; did you "
                "mean 'paper'?",
            ),
            (
                ["tpsr/paper", "--convention=paper"],
                "the space 'tpsr-generator' has no such way of counting; allowed: true",
            ),
            (
                ["trilevel-a/table-1", "--set=share=true"],
                "unknown key 'share'; did you mean 'share_up'?",
            ),
            (["trilevel-a/table-1", "--set=share_up=1"], "share_up: expected true or false, got 1"),
            (["tpsr-genrator", "--architecture=cell.json"], "did you mean 'tpsr-generator'?"),
            (["tpsr-generator"], "is a search space; a file with an architecture is missing"),
            (["pickle.safetensors"], "pickle.safetensors: refused: a pickle"),
        ],
    )
    def test_wrong_input_is_named(
        self, refused: Run, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        (tmp_path / "text.json").write_text("conv3")
        (tmp_path / "cell.json").write_text('[["conv3", 0]]')
        cell = [["conv1", 64], ["conv1", 64], ["conv5", 64], ["conv1", 64], ["conv1", 64]]
        (tmp_path / "wrong.json").write_text(json.dumps({"path": "0", "cells": [cell]}))
        torch.save({"weights": torch.zeros(3)}, tmp_path / "pickle.safetensors")
        error = refused("cost", *arguments)
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1


def luma_psnr(file: Path, reference: Path, *, shave: int) -> float:
    """Compute the PSNR between two image files independently, on Y without rounding."""

    def y(path: Path) -> NDArray[np.float64]:
        red, green, blue = read_image(path).numpy().astype(np.float64)
        luma = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
        return luma[shave:-shave, shave:-shave]

    return float(10 * np.log10(255**2 / np.mean((y(file) - y(reference)) ** 2)))


class TestEvaluate:
    def test_numbers_are_those_of_the_images_that_are_saved(
        self, corenas: Run, photographs: Path, tmp_path: Path
    ) -> None:
        valid = photographs / "valid"
        arguments = ["evaluate", "bicubic", valid, "--scale", 4, "--metrics", "psnr,ssim", "--json"]
        found = json.loads(corenas(*arguments, "--save-images", tmp_path / "up"))
        assert found.keys() >= {"mean", "images", "protocol"}
        assert [image["name"] for image in found["images"]] == ["valid0", "valid1"]
        for image in found["images"]:
            files = [folder / f"{image['name']}.png" for folder in (tmp_path / "up", valid)]
            assert image["psnr"] == pytest.approx(luma_psnr(*files, shave=4), abs=1e-6)
        for name in ("psnr", "ssim"):
            values = [image[name] for image in found["images"]]
            assert found["mean"][name] == pytest.approx(sum(values) / 2)
            assert "shave" in found["protocol"][name]
        # Images that are there already are measured alike.
        again = json.loads(corenas("evaluate", tmp_path / "up", *arguments[2:]))
        assert "not used" in again["low_resolution"]
        origin = found["low_resolution"]
        assert {**again, "model": "bicubic", "low_resolution": origin} == found

    def test_what_upscale_writes_can_be_evaluated(
        self, corenas: Run, photographs: Path, tmp_path: Path
    ) -> None:
        for number in (1, 10):
            image = read_image(photographs / "valid" / f"valid{number % 2}.png")
            write_image(tmp_path / "hr" / f"img{number}.png", image)
            low = image[:, ::2, ::2].contiguous()
            write_image(tmp_path / "lr" / f"img{number}.png", low)
        corenas("upscale", "bicubic", "lr", "--scale", 2, "--out", "up")
        found = json.loads(corenas("evaluate", "up", "hr", "--scale", 2, "--json"))
        files = [("up/img1_x2.png", "hr/img1.png"), ("up/img10_x2.png", "hr/img10.png")]
        for image, (ours, reference) in zip(found["images"], files, strict=True):
            assert image["psnr"] == pytest.approx(
                luma_psnr(Path(ours), Path(reference), shave=2), abs=1e-6
            )

    def test_model_is_measured_at_its_own_scale_as_table_and_csv(
        self, corenas: Run, photographs: Path, tmp_path: Path, write_model: WriteModel
    ) -> None:
        arguments = ["evaluate", write_model(scale=2), photographs / "valid", "--metrics", "psnr"]
        found = json.loads(corenas(*arguments, "--json", "--csv", tmp_path / "numbers.csv"))
        assert found["scale"] == 2
        with (tmp_path / "numbers.csv").open() as file:
            rows = {row["name"]: float(row["psnr"]) for row in csv.DictReader(file)}
        assert rows == {
            **{image["name"]: image["psnr"] for image in found["images"]},
            "mean": found["mean"]["psnr"],
        }
        printed = corenas(*arguments)
        for name, value in rows.items():
            assert any(name in row and f"{value:.4f}" in row for row in printed.splitlines())
        assert f"psnr: {found['protocol']['psnr']}" in printed

    def test_equal_images_are_null_in_json(self, corenas: Run, photographs: Path) -> None:
        valid = photographs / "valid"
        printed = corenas("evaluate", valid, valid, "--scale", 2, "--json")

        def refuse(word: str) -> None:
            raise ValueError(f"{word} is not JSON")

        found = json.loads(printed, parse_constant=refuse)
        assert found["mean"] == {"psnr": None, "ssim": pytest.approx(1.0)}
        assert "inf" in corenas("evaluate", valid, valid, "--scale", 2)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["bicubic", "{valid}"], "bicubic: say which scale with --scale"),
            (["{model}", "{valid}", "--scale=4"], ".safetensors: its scale is 2, not 4"),
            (["absent.safetensors", "{valid}"], "absent.safetensors: cannot be read: No such file"),
            (["bicubic", "absent", "--scale=2"], "absent: No such file or directory"),
            (["bicubic", "{valid}", "--scale=2", "--metrics=pnsr"], "did you mean 'psnr'"),
            (
                ["{train}", "{valid}", "--scale=2"],
                "train: 0 images are named valid0; one",
            ),
            (
                ["bicubic", "{valid}", "--scale=2", "--csv=absent/numbers.csv"],
                "absent/numbers.csv: cannot be written: No such file",
            ),
            (
                ["bicubic", "{valid}", "--scale=2", "--save-images={valid}/valid0.png"],
                "valid0.png: cannot be made: File exists",
            ),
        ],
    )
    def test_wrong_input_is_named(
        self,
        refused: Run,
        photographs: Path,
        write_model: WriteModel,
        arguments: list[str],
        message: str,
    ) -> None:
        places = {
            "valid": photographs / "valid",
            "train": photographs / "train",
            "model": write_model(scale=2),
        }
        error = refused("evaluate", *(each.format(**places) for each in arguments))
        assert message in error
        assert error.count("\n") == 1

    @pytest.mark.parametrize(
        ("command", "option"),
        [("evaluate", "--scale=0"), ("upscale", "--scale=-1"), ("upscale", "--tile=0")],
    )
    def test_scale_and_tile_are_at_least_one(
        self, refused: Run, photographs: Path, command: str, option: str
    ) -> None:
        error = refused(command, "bicubic", photographs / "valid", "--scale=2", option)
        assert option.split("=")[0] in error

    @pytest.mark.parametrize(
        ("scale", "psnr", "ssim", "images"),
        [
            (2, 33.6734, 0.93029, {}),
            (
                4,
                28.4290,
                0.81114,
                {
                    "baby": (31.7842, 0.85754),
                    "bird": (30.1815, 0.87357),
                    "butterfly": (22.0996, 0.73746),
                    "head": (31.6133, 0.75461),
                    "woman": (26.4665, 0.83250),
                },
            ),
        ],
    )
    def test_bicubic_on_set5_has_the_known_numbers(
        self,
        corenas: Run,
        scale: int,
        psnr: float,
        ssim: float,
        images: dict[str, tuple[float, float]],
    ) -> None:
        if not os.environ.get("CORENAS_DATA"):
            pytest.skip("CORENAS_DATA does not name the folder that holds Set5")
        set5 = Path(os.environ["CORENAS_DATA"]) / "Set5"
        found = json.loads(corenas("evaluate", "bicubic", set5, "--scale", scale, "--json"))
        assert found["mean"]["psnr"] == pytest.approx(psnr, abs=5e-5)
        assert found["mean"]["ssim"] == pytest.approx(ssim, abs=5e-6)
        values = {image["name"]: (image["psnr"], image["ssim"]) for image in found["images"]}
        assert list(values) == ["baby", "bird", "butterfly", "head", "woman"]
        for name, (expected_psnr, expected_ssim) in images.items():
            assert values[name] == (
                pytest.approx(expected_psnr, abs=5e-5),
                pytest.approx(expected_ssim, abs=5e-6),
            )


class TestUpscale:
    def test_files_and_folders_are_upscaled(
        self, corenas: Run, photographs: Path, tmp_path: Path, write_model: WriteModel
    ) -> None:
        single = photographs / "train" / "train1.png"
        printed = corenas(
            "upscale", write_model(scale=4), photographs / "valid", single, "--out", "up/here"
        )
        assert printed.endswith("3 images in up/here\n")
        files = sorted((tmp_path / "up" / "here").iterdir())
        assert [f.name for f in files] == ["train1_x4.png", "valid0_x4.png", "valid1_x4.png"]
        assert all(read_image(file).shape == (3, 256, 288) for file in files)

    def test_tiles_give_the_whole_image(
        self, corenas: Run, tmp_path: Path, write_model: WriteModel
    ) -> None:
        generator = torch.Generator().manual_seed(0)
        image = torch.randint(0, 256, (3, 210, 250), generator=generator, dtype=torch.uint8)
        write_image(tmp_path / "large.png", image)
        arguments = ["upscale", write_model(), "large.png", "--out"]
        corenas(*arguments, "whole")
        corenas(*arguments, "tiled", "--tile", 100)
        whole, tiled = (read_image(f"{folder}/large_x2.png") for folder in ("whole", "tiled"))
        assert whole.shape == (3, 420, 500)
        assert torch.equal(whole, tiled)

    def test_bicubic_needs_no_model(self, corenas: Run, photographs: Path) -> None:
        file = photographs / "valid" / "valid0.png"
        corenas("upscale", "bicubic", file, "--scale", 3)
        assert torch.equal(read_image("upscaled/valid0_x3.png"), bicubic(read_image(file), 3))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["absent.png"], "absent.png: no such file or folder"),
            (["empty"], "empty: no images in this folder"),
            (["text.png"], "text.png: not an image of a known format"),
            (["one/a.png", "two/a.png"], "one/a.png and two/a.png would both become upscaled/a_x2"),
            (["one/a.png", "--out=text.png"], "text.png: cannot be made: File exists"),
        ],
    )
    def test_wrong_input_is_named(
        self, refused: Run, tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "text.png").write_text("no image")
        for folder in ("one", "two"):
            write_image(tmp_path / folder / "a.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
        error = refused("upscale", "bicubic", "--scale=2", *arguments)
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1
        assert not list(tmp_path.glob("upscaled/*"))
