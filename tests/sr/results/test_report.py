"""What a finished run gives its user."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy

import pytest
import torch

from corenas import Run, Stop, choose
from corenas.cost import count
from corenas.show.reporter import Quiet
from corenas_sr.config import DataConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.images import write_image
from corenas_sr.models.files import load_model
from corenas_sr.models.inference import bicubic, upscale
from corenas_sr.results.evaluation import build_metrics, evaluate
from corenas_sr.results.report import cost_at_output, hand_over, table

WriteModel = Callable[..., Path]


class Notes(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def run(tmp_path: Path, notes: Notes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = Run(tmp_path / "run", seed=0, stop=Stop(), reporter=notes)
    yield run
    run.close()


@pytest.fixture
def benchmarks(tmp_path: Path) -> tuple[str, str]:
    """Two sets whose folders have the same name."""
    folders = (tmp_path / "One" / "HR", tmp_path / "Two" / "HR")
    for seed, folder in enumerate(folders):
        generator = torch.Generator().manual_seed(seed)
        image = torch.randint(0, 256, (3, 48, 40), generator=generator, dtype=torch.uint8)
        write_image(folder / "a.png", image)
    return str(folders[0]), str(folders[1])


def test_models_and_bicubic_are_measured_on_validation_and_benchmarks(
    run: Run,
    notes: Notes,
    photographs: Path,
    benchmarks: tuple[str, str],
    write_model: WriteModel,
) -> None:
    files = {
        f"x{scale}": Path(copy(write_model(scale=scale), run.models / f"x{scale}.safetensors"))
        for scale in (2, 4)
    }
    valid = str(photographs / "valid")
    data = DataConfig(train=str(photographs / "train"), validation=valid, benchmarks=benchmarks)
    chosen = [choose("metrics", "psnr"), choose("metrics", "ssim")]
    summary = hand_over(run, files, data=data, metrics=chosen)
    json.dumps(summary, allow_nan=False)
    metrics = build_metrics(chosen)
    assert [entry["scale"] for entry in summary["models"]] == [2, 4]
    for entry in summary["models"]:
        scale = entry["scale"]
        module = load_model(run.folder / entry["file"]).module
        cost = count(module, (1, 3, 720 // scale, 1280 // scale))
        assert (entry["params"], entry["mult_adds"]) == (cost.params, cost.mult_adds)
        assert entry["input"] == [1280 // scale, 720 // scale]
        assert set(entry["benchmarks"]) == set(benchmarks)
        for source, values in {valid: entry, **entry["benchmarks"]}.items():
            pairs = load_pairs(source, scale=scale, split="validation")
            ours = evaluate(
                lambda pair, m=module, s=scale: upscale(m, pair.lr, scale=s),
                pairs,
                metrics,
                scale=scale,
            )
            base = evaluate(lambda p, s=scale: bicubic(p.lr, s), pairs, metrics, scale=scale)
            assert values["metrics"] == pytest.approx(ours.mean)
            assert values["bicubic"] == pytest.approx(base.mean)
        assert (run.images / f"comparison-x{scale}.png").stat().st_size > 1000
    assert summary["data"]["benchmarks"] == list(benchmarks)
    assert set(summary["protocol"]) == {"psnr", "ssim"}
    head = next(i for i, line in enumerate(notes.said) if line.startswith("model"))
    rows = [line.split() for line in notes.said[head + 1 : head + 7]]
    assert [row[:2] for row in rows] == [
        [f"x{scale}", source] for scale in (2, 4) for source in ("validation", "HR", "HR")
    ]


def test_cost_is_that_for_the_literatures_output(write_model: WriteModel) -> None:
    model = load_model(write_model(scale=4))
    assert cost_at_output(model).input == (1, 3, 180, 320)
    assert cost_at_output(model, (64, 32)).input == (1, 3, 8, 16)


def test_table_has_bicubic_beside_every_number_and_a_dash_for_none() -> None:
    values = {"metrics": {"psnr": 30.5}, "bicubic": {"psnr": None}}
    entry = {
        "name": "x2",
        "params": 60_761,
        "mult_adds": 13_953_024_000,
        "benchmarks": {},
        **values,
    }
    head, row = table([{**entry, "benchmarks": {}}])
    assert head.split() == ["model", "images", "params", "mult-adds", "psnr", "(bicubic)"]
    assert row == "x2     validation  60.76 K  13.95 G    30.5000 (-)"
