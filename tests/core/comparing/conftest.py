"""A recipe whose trials are known in advance, runs of it, and the comparison as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corenas import cli
from corenas.testing.installed import InstallPlugin

RECIPE = """
from pathlib import Path

from attrs import frozen

from corenas import (
    Architecture, Event, Measurement, NothingYet, Quantity, Recipe, Result, Trial, hookimpl, option
)


@frozen
class Options:
    psnr: tuple[float, ...] = option((30.0, 31.0), "one trial each")
    size: tuple[float, ...] = option((10.0, 20.0), "the cost of each")
    bonus: tuple[float, ...] = option((), "added to the last psnr, by seed")
    nets: tuple[int, ...] = option((), "the architecture of each; by default all differ")
    shares: tuple[float, ...] = option((), "the fidelity of each; by default all are full")
    digest: str = option("", "what the run knows of its data; by default where they lie")
    strategy: str = option("random", "a name")
    protocol: str = option("ten images", "how it is measured")
    stage: str = option("search", "the stage's name")
    also: str = option("", "another stage, which measures a number of its own")
    stop_at: int = option(0, "when to be interrupted")
    data: Path = option(Path("here"), "where data lie", place=True)
    tested: float = option(90.0, "the model's number")
    measured: bool = option(True, "whether there are trials")


class Listed:
    def __init__(self, options, run, quality="psnr"):
        self.options, self.run, self.done, self.quality = options, run, 0, quality

    def events(self):
        options = self.options
        while self.done < len(options.psnr):
            number = self.done
            self.done += 1
            if options.stop_at == self.done:
                self.run.stop.request("interrupted")
            net = options.nets[number] if options.nets else number
            one = Architecture("nets", {"net": str(net)})
            psnr = options.psnr[number]
            if options.bonus and self.done == len(options.psnr):
                psnr += options.bonus[self.run.seed]
            numbers = {self.quality: psnr, "size": options.size[number]}
            share = options.shares[number] if options.shares else 1.0
            trial = Trial(number, one, Measurement(numbers, 1.0), psnr, fidelity=share)
            yield Event("trial", self.done, len(options.psnr), trial=trial)

    def state(self):
        return {"done": self.done}

    def restore(self, state):
        self.done = state["done"]

    def result(self, folder):
        return Result({})


def run(run, options):
    run.confirm("digest", options.digest or str(options.data))
    quantities = [Quantity("psnr", "higher", "dB", options.protocol), Quantity("size", "lower")]
    if options.measured:
        run.stage(options.stage, Listed(options, run), quantities=quantities)
    if options.also:
        quantities[0] = Quantity("lpips", "lower")
        run.stage(options.also, Listed(options, run, "lpips"), quantities=quantities)
    if run.stopping():
        raise NothingYet("nothing yet")
    return {"models": [{"name": "net", "tested": options.tested, "scale": 2, "size": 5}]}


@hookimpl
def corenas_recipes():
    return [Recipe(name, "listed_runs:run", Options) for name in ("listed", "other")]
"""

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _recipe(install_plugin: InstallPlugin) -> None:
    install_plugin("listed-runs", RECIPE)


@pytest.fixture
def make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    """Make a run's folder."""

    def made(name: str, *, recipe: str = "listed", seed: int = 0, **options: Any) -> Path:
        folder = tmp_path / name
        sets = [w for k, v in options.items() for w in ("--set", f"{k}={json.dumps(v)}")]
        status = cli.main(["run", recipe, "--out", str(folder), "--seed", str(seed), *sets])
        assert status == (130 if "stop_at" in options else 0), capsys.readouterr().err
        capsys.readouterr()
        return folder

    return made


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Compare folders; return the JSON value."""

    def compared(*words: Path | str) -> Any:
        assert cli.main(["compare", *map(str, words), "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return compared
