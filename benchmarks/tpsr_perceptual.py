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
networks between the generator and what came of it, of the first seed. With the same --out and
options it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from shared.judging import (
    PUBLISHED,
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


def main() -> int | str | None:
    arguments = _arguments()
    torch.set_num_threads(1)
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    started = time.monotonic()
    arguments.out.mkdir(parents=True, exist_ok=True)
    generator = (arguments.generator or _trained(arguments)).absolute()
    runs, status = run_all(
        [_run(arguments, seed) for seed in arguments.seeds],
        data,
        arguments.out,
        generator,
        steps=arguments.steps,
    )
    if not runs:
        return status
    files = [generator, *(file for run in runs for file in run.contenders.values())]
    measured = measure_all([*files, *runs[0].models.values()], data, arguments.out)
    _report_contenders(measured, measured[generator], runs, f"best of {arguments.candidates}")
    _report_between(measured, runs[0])
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
    parser.add_argument("--baselines", nargs="+", default=["random", "srgan", "esrgan"])
    return parser.parse_args()


def _run(arguments: argparse.Namespace, seed: int) -> StageTwo:
    changes = {
        "discriminator.steps": arguments.candidates,
        "discriminator.evaluator.training.steps": arguments.proxy_steps,
        "discriminator.evaluator.training.schedule": "cosine",
        "discriminator.evaluator.evaluate_every": max(1, arguments.proxy_steps // 6),
        # The same patches for all candidates, and the mean: else their order is mostly luck.
        "discriminator.evaluator.patches": seed,
        "discriminator.evaluator.counts": "mean",
        "compare.count": 1,
        "compare.baselines": json.dumps(arguments.baselines),
    }
    return StageTwo(arguments.out / f"seed-{seed}", seed, changes)


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


def _report_contenders(
    measured: Measured, before: Numbers, runs: Sequence[StageTwo], found: str
) -> None:
    """Print medians over seeds with their range, and how far found ones are from random ones."""
    by_name: dict[str, dict[int, Numbers]] = {}
    for run in runs:
        for name, file in run.contenders.items():
            by_name.setdefault(name, {})[run.seed] = measured[file]
    print_head("x4, medians over seeds (least to most)")
    print_row("before", shown(before))
    for name, rows in by_name.items():
        title = found if name == "searched-1" else name
        print_row(f"{title}, {len(rows)} seeds", median_and_range(list(rows.values())))
    print_row("published by the authors", shown(PUBLISHED))
    searched, random = by_name.get("searched-1", {}), by_name.get("random", {})
    if len(both := sorted(searched.keys() & random.keys())) > 1:
        pairs = [searched[seed] for seed in both], [random[seed] for seed in both]
        title = f"{found} less random, {len(both)} seeds, mean and interval"
        print_row(title, paired_differences(*pairs))


def _report_between(measured: Measured, run: StageTwo) -> None:
    """Print the networks between the generator and the best training of a run."""
    winner = run.summary.get("winner", "none")
    print_head(f"x4, {run.folder.name}: between the generator and the best training ({winner})")
    for name, file in run.models.items():
        print_row(name, shown(measured[file]))


if __name__ == "__main__":
    sys.exit(main())
