"""Stage two of TPSR on photographs: discriminators found, drawn at random, and known ones.

    CORENAS_DATA=FOLDER python benchmarks/tpsr_perceptual.py --generator x4.safetensors

The folder holds ``train291/HR``, ``kodak24/HR``, ``Set5`` and ``weights`` with the features of
SqueezeNet, AlexNet and VGG16. For each seed a run searches a discriminator and trains the generator
against the best one found, a random one, SRGAN's and ESRGAN's; two runs work side by side, so that
an even number of seeds wastes nothing. So few candidates teach a policy nothing: what is found is
the best of so many draws by the score of the search. Losses read SqueezeNet's features; LPIPS of
AlexNet on eight images of kodak24 is what the search goes by, and what picks the checkpoint of a
training. LPIPS of VGG16 and both ST-LPIPS have had no part in any of that, nor have Set5 and the
other sixteen images of kodak24. The weights of the losses were found on Set5 and the eight images,
by trainings of 300 steps with one seed, so that nothing at all was chosen by the sixteen. Then the
networks between the generator and what came of it, of the first seed. With --weights, what other
weights of the three losses give is measured instead, against SRGAN's discriminator, by the last
weights of one training each, and drawn beside what lies between. With the same --out and options it
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
from matplotlib.figure import Figure
from scipy.stats import t
from shared.judging import Numbers, measure_all
from shared.perceptual import (
    BATCH,
    PATCH,
    assignments,
    link_images,
    perceptual_options,
)
from shared.running import Failed, is_finished, run_side_by_side

PUBLISHED = {
    "psnr": 29.60,
    "lpips vgg": 0.2221,
    "lpips alex": 0.1207,
    "lpips squeeze": 0.1082,
    "st-lpips alex": 0.0742,
}
"""Of the perceptual x4 model that the authors of TPSR published, measured here on Set5."""

CONFIDENCE = 0.95

WEIGHTS = (
    {"pixel": 0.1, "features": 0.01, "adversarial": 0.1},
    {"pixel": 0.1, "features": 0.01, "adversarial": 0.0},
    {"pixel": 0.1, "features": 0.01, "adversarial": 0.3},
    {"pixel": 0.1, "features": 0.0025, "adversarial": 0.1},
    {"pixel": 0.1, "features": 0.04, "adversarial": 0.1},
    {"pixel": 0.01, "features": 0.01, "adversarial": 0.1},
    {"pixel": 0.01, "features": 0.02, "adversarial": 0.005},
)
"""Weights of the losses: alpha is ``pixel``, lambda ``features``, gamma ``adversarial``.

The last are the recipe's own with SqueezeNet.
"""


def main() -> int | str | None:
    arguments = _arguments()
    torch.set_num_threads(1)
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    started = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    generator = (arguments.generator or _trained(arguments)).absolute()
    runs = dict(_weighted(arguments) if arguments.weights else _seeded(arguments))
    images = link_images(data, arguments.out)
    # Also those that are finished: a run that is there refuses other options than its own.
    commands = {
        folder.name: _command(arguments, data, images, generator, folder, seed, changes)
        for folder, (seed, changes) in runs.items()
    }
    status: int | str | None = 0
    try:
        run_side_by_side(commands, arguments.out)
    except Failed as failed:
        # What is finished is worth its table, unless it is a run of other options.
        status = failed.code
        runs = {folder: about for folder, about in runs.items() if folder.name not in failed.names}
    runs = {folder: about for folder, about in runs.items() if is_finished(folder)}
    if not runs:
        return status
    # Of which runs the networks between both ends are shown.
    between = list(runs) if arguments.weights else list(runs)[:1]
    files = [
        generator,
        *(file for folder in runs for file in _contenders(folder).values()),
        *(file for folder in between for file in _models(folder).values()),
    ]
    measured = measure_all(files, data, arguments.out)
    before = measured[generator]
    if arguments.weights:
        _report_weights(measured, before, runs, arguments.out / "weights.png")
    else:
        found = f"best of {arguments.candidates}"
        seeds = {folder: seed for folder, (seed, _) in runs.items()}
        _report_contenders(measured, before, seeds, found)
        for folder in between:
            _report_between(measured, folder)
    print(f"{(time.monotonic() - started) / 60:.0f} minutes, in this start")
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", type=Path, help="trained x4 model file to start from")
    parser.add_argument("--minutes", type=float, default=30, help="of training, without one")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-perceptual"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--candidates", type=int, default=6)
    parser.add_argument("--proxy-steps", type=int, default=60)
    parser.add_argument("--steps", type=int, default=600, help="of each full training")
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--weights", action="store_true", help="measure weights of the losses")
    parser.add_argument("--set", action="append", default=[], dest="more", metavar="OPTION=VALUE")
    return parser.parse_args()


Runs = Iterator[tuple[Path, tuple[int, Mapping[str, Any]]]]
"""Of each run its folder, its seed, and its own options."""


def _seeded(arguments: argparse.Namespace) -> Runs:
    for seed in arguments.seeds:
        changes = {"compare.count": 1, "compare.baselines": '["random", "srgan", "esrgan"]'}
        yield arguments.out / f"seed-{seed}", (seed, changes)


def _weighted(arguments: argparse.Namespace) -> Runs:
    for number, weights in enumerate(WEIGHTS):
        changes: dict[str, Any] = {"compare.count": 0, "compare.baselines": '["srgan"]'}
        # The best by LPIPS would draw every point of the front to one side.
        changes["compare.keep"] = "last"
        # A search has one candidate at least; this one counts for nothing.
        changes |= {"discriminator.steps": 1, "compare.interpolate": "[0.3, 0.7]"}
        changes |= {f"perceptual.losses.{name}": value for name, value in weights.items()}
        yield arguments.out / f"weights-{number}", (arguments.seeds[0], changes)


def _trained(arguments: argparse.Namespace) -> Path:
    """Train a generator from scratch; return its model file."""
    minutes = f"{arguments.minutes:g}"
    file = arguments.out.with_name(f"{arguments.out.name}-generator-{minutes}.safetensors")
    if file.exists():
        return file
    script = Path(__file__).with_name("tpsr_cell.py")
    options = ["--minutes", minutes, "--threads", "1", "--batch", "8"]
    options += ["--rate", "3e-3", "--share", "0.3", "--save", str(file)]
    subprocess.run([sys.executable, str(script), *options], check=True)
    return file


def _command(
    arguments: argparse.Namespace,
    data: Path,
    images: Mapping[str, str],
    generator: Path,
    folder: Path,
    seed: int,
    changes: Mapping[str, Any],
) -> list[str]:
    training = {"batch": arguments.batch, "patch": PATCH, "learning_rate": arguments.rate}
    values: dict[str, Any] = {
        "stages": "discriminator",
        "generator": generator,
        "data": images,
        "perceptual": perceptual_options(data),
        "discriminator.steps": arguments.candidates,
        "discriminator.evaluator.training.steps": arguments.proxy_steps,
        "discriminator.evaluator.evaluate_every": max(1, arguments.proxy_steps // 6),
        "discriminator.evaluator.crops": 16,
        # The same patches for all candidates, and the mean: else their order is mostly luck.
        "discriminator.evaluator.patches": seed,
        "discriminator.evaluator.counts": "mean",
        "compare.trainings": 1,
        "compare.training.steps": arguments.steps,
        "compare.training.schedule": "cosine",
        "compare.training.milestones": "[]",
        "compare.training.validate_every": max(1, arguments.steps // 5),
        "compare.training.report_every": max(1, arguments.steps // 30),
    }
    for which in ("discriminator.evaluator.training", "compare.training"):
        values |= {f"{which}.{name}": value for name, value in training.items()}
    values |= changes
    more = [f"--set={each}" for each in arguments.more]
    options = [f"--out={folder}", f"--seed={seed}", "--workers=1"]
    return ["corenas", "run", "tpsr", *options, *assignments(values), *more]


COLUMNS = (
    "psnr",
    "lpips vgg",
    "st-lpips vgg",
    "lpips alex",
    "st-lpips alex",
    "lpips squeeze",
    "niqe",
    "psnr, kodak",
    "st-lpips, kodak",
    "niqe, kodak",
)
"""Of Set5, and of the sixteen images of kodak24. LPIPS of AlexNet chose; losses read SqueezeNet."""

SHORT = ("psnr", "niqe", "psnr, kodak", "niqe, kodak")
"""Columns with two digits."""


def _print_head(first: str) -> None:
    print(f"| {first} | {' | '.join(COLUMNS)} |")
    print(f"|---|{'--:|' * len(COLUMNS)}")


def _print_row(name: str, values: Mapping[str, str]) -> None:
    print(f"| {name} | {' | '.join(values.get(each, '') for each in COLUMNS)} |", flush=True)


def _shown(numbers: Numbers) -> dict[str, str]:
    return {n: f"{v:.2f}" if n in SHORT else f"{v:.4f}" for n, v in numbers.items()}


Measured = Mapping[Path, Numbers]


def _summary(folder: Path) -> Mapping[str, Any]:
    summary: Mapping[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def _contenders(folder: Path) -> Mapping[str, Path]:
    rows = _summary(folder)["perceptual"].get("contenders", [])
    return {row["name"]: folder / row["file"] for row in rows if row["file"]}


def _models(folder: Path) -> Mapping[str, Path]:
    """Return the model files that a run hands over: the generator, those between, the best."""
    return {entry["name"]: folder / entry["file"] for entry in _summary(folder)["models"]}


def _report_contenders(
    measured: Measured, before: Numbers, seeds: Mapping[Path, int], found: str
) -> None:
    """Print medians over seeds with their range, and how far found ones are from random ones."""
    by_name: dict[str, dict[int, Numbers]] = {}
    for folder, seed in seeds.items():
        for name, file in _contenders(folder).items():
            by_name.setdefault(name, {})[seed] = measured[file]
    _print_head("x4, medians over seeds (least to most)")
    _print_row("before", _shown(before))
    for name, rows in by_name.items():
        shown = found if name == "searched-1" else name
        _print_row(f"{shown}, {len(rows)} seeds", _median_and_range(list(rows.values())))
    _print_row("published by the authors", _shown(PUBLISHED))
    searched, random = by_name.get("searched-1", {}), by_name.get("random", {})
    if len(both := sorted(searched.keys() & random.keys())) > 1:
        pairs = [searched[seed] for seed in both], [random[seed] for seed in both]
        _print_row(f"{found} less random, {len(both)} seeds, mean and interval", _interval(*pairs))


def _median_and_range(rows: Sequence[Numbers]) -> dict[str, str]:
    shown = {}
    for name in COLUMNS:
        values = [row[name] for row in rows]
        middle, least, most = (
            _shown({name: value})[name] for value in (median(values), min(values), max(values))
        )
        shown[name] = f"{middle} ({least} to {most})"
    return shown


def _interval(ours: Sequence[Numbers], theirs: Sequence[Numbers]) -> dict[str, str]:
    """Return mean differences of the same seeds with the half width of their interval (t)."""
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(ours) - 1))
    shown = {}
    for name in COLUMNS:
        differences = [a[name] - b[name] for a, b in zip(ours, theirs, strict=True)]
        half = quantile * stdev(differences) / len(differences) ** 0.5
        shown[name] = f"{mean(differences):+.4f} ± {half:.4f}"
    return shown


def _report_between(measured: Measured, folder: Path) -> None:
    """Print the networks between the generator and the best training of a run."""
    winner = _summary(folder)["perceptual"].get("winner", "none")
    _print_head(f"x4, {folder.name}: between the generator and the best training ({winner})")
    for name, file in _models(folder).items():
        _print_row(name, _shown(measured[file]))


def _report_weights(
    measured: Measured, before: Numbers, folders: Iterable[Path], picture: Path
) -> None:
    _print_head("x4, one seed, by the weights of the losses; influence of SRGAN's discriminator")
    _print_row("before", _shown(before))
    curves: dict[str, list[Numbers]] = {}
    for folder in folders:
        weights = WEIGHTS[int(folder.name.removeprefix("weights-"))]
        name = ", ".join(f"{key} {value:g}" for key, value in weights.items())
        if not _contenders(folder):
            continue
        # The generator, what lies between, and the training's last weights.
        curves[name] = [measured[file] for file in _models(folder).values()]
        (contender,) = _summary(folder)["perceptual"]["contenders"]
        influence = contender.get("influence") or 0.0
        _print_row(f"{name}: influence {100 * influence:.2g} %", _shown(curves[name][-1]))
    _draw_weights(curves, picture)


def _draw_weights(curves: Mapping[str, Sequence[Numbers]], picture: Path) -> None:
    """Draw PSNR against LPIPS of VGG16: a curve from the generator to each training."""
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        axes.plot(
            [each["psnr"] for each in points],
            [each["lpips vgg"] for each in points],
            marker=".",
            label=name,
        )
    axes.plot(PUBLISHED["psnr"], PUBLISHED["lpips vgg"], "k*", label="published by the authors")
    axes.set_xlabel("PSNR-Y of Set5 in dB")
    axes.set_ylabel("LPIPS of VGG16, lower is better")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
