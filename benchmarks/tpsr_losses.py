"""What the losses of TPSR's stage two give on photographs: their weights, and other losses.

    CORENAS_DATA=FOLDER python benchmarks/tpsr_losses.py weights --generator x4.safetensors
    CORENAS_DATA=FOLDER python benchmarks/tpsr_losses.py ideas --generator x4.safetensors

The folder holds what ``tpsr_perceptual.py`` needs; networks, images and judges of Set5 are the
same, and no discriminator is searched. ``weights`` trains against SRGAN's discriminator by other
weights of the three losses, from the first seed, and draws beside it what lies between the
generator and each of them: the front of PSNR against LPIPS. ``ideas`` trains against a random
discriminator by other adversarial losses and what is said to steady them, from several seeds, of
which each has the same discriminator for all. The last weights of each training count: the best by
LPIPS would draw every point of the front to one side. With the same --out and options it goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from matplotlib.figure import Figure
from shared.judging import (
    PUBLISHED,
    SET5,
    Measured,
    Numbers,
    measure_all,
    median_and_range,
    paired_differences,
    print_head,
    print_row,
    shown,
)
from shared.perceptual import StageTwo, run_all

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

PLAIN, BARE = "standard loss", "no batch norm"

IDEAS: Mapping[str, Mapping[str, Any]] = {
    PLAIN: {},
    "hinge": {"perceptual.adversarial": "hinge"},
    "relativistic": {"perceptual.adversarial": "relativistic"},
    "balance 0.9": {"perceptual.balance": 0.9},
    # Of the last hundred steps or so; 0.999 would keep the generator's first weights in so few.
    "EMA 0.99": {"perceptual.ema": 0.99},
    BARE: {"discriminator.space.batch_norm": "none"},
    "no batch norm, R1 10": {"discriminator.space.batch_norm": "none", "perceptual.r1": 10},
}
"""What steadies adversarial training, by the literature; R1 is compared without batch norm."""

AGAINST = {"no batch norm, R1 10": BARE}
"""What an idea is compared with, where it isn't the standard loss."""

# A search has one candidate at least; it counts for nothing here, and is over in three steps.
NO_SEARCH = {
    "discriminator.steps": 1,
    "discriminator.evaluator.training.steps": 3,
    "discriminator.evaluator.evaluate_every": 1,
    "compare.count": 0,
    "compare.keep": "last",
}


def main() -> int | str | None:
    arguments = _arguments()
    torch.set_num_threads(1)
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    started = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    generator = arguments.generator.absolute()
    weights = arguments.what == "weights"
    runs, status = run_all(
        list(_weighted(arguments) if weights else _ideas(arguments)),
        data,
        arguments.out,
        generator,
        steps=arguments.steps,
    )
    if not runs:
        return status
    files = [generator, *(file for run in runs for file in run.models.values())]
    measured = measure_all(files, data, arguments.out, SET5)
    print_head("x4, Set5" if weights else "x4, Set5, medians (least to most)", SET5)
    print_row("before", shown(measured[generator]), SET5)
    if weights:
        _report_weights(measured, runs, arguments.out / "weights.png")
    else:
        _report_ideas(measured, runs)
    print(f"{(time.monotonic() - started) / 60:.0f} minutes, in this start")
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["weights", "ideas"])
    parser.add_argument("--generator", type=Path, required=True, help="trained x4 model file")
    parser.add_argument("--out", type=Path, help="a folder for each of the two")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    arguments = parser.parse_args()
    arguments.out = arguments.out or Path(f"runs/benchmark-losses-{arguments.what}")
    return arguments


def _weighted(arguments: argparse.Namespace) -> Iterator[StageTwo]:
    for number, weights in enumerate(WEIGHTS):
        changes = {
            **NO_SEARCH,
            **{f"perceptual.losses.{name}": value for name, value in weights.items()},
            "compare.baselines": '["srgan"]',
            "compare.interpolate": "[0.3, 0.7]",
        }
        title = ", ".join(f"{key} {value:g}" for key, value in weights.items())
        folder = arguments.out / f"weights-{number}"
        yield StageTwo(folder, arguments.seeds[0], changes, title)


def _ideas(arguments: argparse.Namespace) -> Iterator[StageTwo]:
    for seed in arguments.seeds:
        for number, (title, idea) in enumerate(IDEAS.items()):
            baselines = {"compare.baselines": '["random"]', "compare.interpolate": "[]"}
            folder = arguments.out / f"idea-{number}-seed-{seed}"
            yield StageTwo(folder, seed, {**NO_SEARCH, **baselines, **idea}, title)


def _influence(run: StageTwo) -> float:
    (contender,) = run.summary["contenders"]
    return 100 * (contender.get("influence") or 0.0)


def _report_weights(measured: Measured, runs: Sequence[StageTwo], picture: Path) -> None:
    curves: dict[str, list[Numbers]] = {}
    for run in runs:
        if not run.contenders:
            continue
        # The generator, what lies between, and the training's last weights.
        curves[run.title] = [measured[file] for file in run.models.values()]
        title = f"{run.title}: influence of SRGAN's discriminator {_influence(run):.2g} %"
        print_row(title, shown(curves[run.title][-1]), SET5)
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


def _report_ideas(measured: Measured, runs: Sequence[StageTwo]) -> None:
    """Print medians over seeds, and how far each idea is from what it is compared with."""
    by_title: dict[str, dict[int, Numbers]] = {}
    influences: dict[str, list[float]] = {}
    for run in runs:
        if run.contenders:
            *_, trained = run.models.values()
            by_title.setdefault(run.title, {})[run.seed] = measured[trained]
            influences.setdefault(run.title, []).append(_influence(run))
    for title, rows in by_title.items():
        influence = f"influence {median(influences[title]):.2g} %"
        name = f"{title}, {len(rows)} seeds: {influence}"
        print_row(name, median_and_range(list(rows.values())), SET5)
    for title, rows in by_title.items():
        other = AGAINST.get(title, PLAIN)
        both = sorted(rows.keys() & by_title.get(other, {}).keys())
        if title != other and len(both) > 1:
            pairs = [rows[seed] for seed in both], [by_title[other][seed] for seed in both]
            name = f"{title} less {other}, {len(both)} seeds, mean and interval"
            print_row(name, paired_differences(*pairs), SET5)


if __name__ == "__main__":
    sys.exit(main())
