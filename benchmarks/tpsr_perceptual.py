"""Stage two of TPSR on photographs: how far LPIPS falls on Set5, and what that costs in PSNR.

    CORENAS_DATA=FOLDER python benchmarks/tpsr_perceptual.py --generator x4.safetensors

The folder holds ``train291/HR``, ``Set5`` and ``weights/squeezenet1_1_features.pth``, whose
features the losses compare and LPIPS reads. Candidates and validation measure on the bundled
photographs, so Set5 decides nothing. Without ``--generator`` one is trained first, by
``benchmarks/tpsr_cell.py`` for ``--minutes``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

PATCH = 24
"""Low-resolution pixels; discriminators judge four times as many."""


def main() -> None:
    arguments = _arguments()
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    started = time.monotonic()
    generator = arguments.generator or _trained(arguments)
    command = _command(arguments, data, generator)
    print("command:", " ".join(command), flush=True)
    subprocess.run(command, check=True)
    summary = json.loads((arguments.out / "summary.json").read_text())
    _report(summary, str(data / "Set5"))
    print(
        f"{(time.monotonic() - started) / 60:.0f} minutes; pictures in {arguments.out / 'images'}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", type=Path, help="trained x4 model file to start from")
    parser.add_argument("--minutes", type=float, default=30, help="of training, without one")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-perceptual"))
    parser.add_argument("--candidates", type=int, default=6)
    parser.add_argument("--proxy-steps", type=int, default=60)
    parser.add_argument("--steps", type=int, default=600, help="of each full training")
    parser.add_argument("--baselines", default="random", help="names with commas between")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-4)
    return parser.parse_args()


def _trained(arguments: argparse.Namespace) -> Path:
    """Train a generator from scratch; return its model file."""
    file = arguments.out.with_name(f"{arguments.out.name}-generator.safetensors")
    file.parent.mkdir(parents=True, exist_ok=True)
    script = Path(__file__).with_name("tpsr_cell.py")
    options = ["--minutes", str(arguments.minutes), "--threads", "1", "--batch", "8"]
    options += ["--rate", "3e-3", "--share", "0.3", "--save", str(file)]
    subprocess.run([sys.executable, str(script), *options], check=True)
    return file


def _large_enough(folder: Path, out: Path) -> Path:
    """Link the images that hold a patch into a folder of their own; one of the 291 is smaller."""
    chosen = out.with_name(f"{out.name}-images")
    chosen.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        link = chosen / file.name
        if min(Image.open(file).size) >= 4 * PATCH and not link.exists():
            link.symlink_to(file)
    return chosen


def _command(arguments: argparse.Namespace, data: Path, generator: Path) -> list[str]:
    trunk = data / "weights" / "squeezenet1_1_features.pth"
    training = {"batch": arguments.batch, "patch": PATCH, "learning_rate": arguments.rate}
    values: dict[str, Any] = {
        "stages": "discriminator",
        "generator": generator,
        "data.train": _large_enough(data / "train291" / "HR", arguments.out),
        "data.benchmarks": json.dumps([str(data / "Set5")]),
        "perceptual.network": "squeezenet1_1",
        "perceptual.weights": trunk,
        "perceptual.metric.net": "squeeze",
        "perceptual.metric.weights": trunk,
        # SqueezeNet's features are larger than VGG19's; at weight 1 they drown the other terms.
        "perceptual.losses.features": 0.02,
        "discriminator.steps": arguments.candidates,
        "discriminator.evaluator.training.steps": arguments.proxy_steps,
        "discriminator.evaluator.evaluate_every": max(1, arguments.proxy_steps // 6),
        "discriminator.evaluator.crops": 8,
        "compare.count": 1,
        "compare.baselines": json.dumps([n for n in arguments.baselines.split(",") if n]),
        "compare.trainings": 1,
        "compare.training.steps": arguments.steps,
        "compare.training.schedule": "cosine",
        "compare.training.validate_every": max(1, arguments.steps // 5),
        "compare.training.report_every": max(1, arguments.steps // 30),
    }
    for which in ("discriminator.evaluator.training", "compare.training"):
        values |= {f"{which}.{name}": value for name, value in training.items()}
    assignments = [f"--set={name}={value}" for name, value in values.items()]
    return ["corenas", "run", "tpsr", f"--out={arguments.out}", *assignments]


def _report(summary: dict[str, Any], images: str) -> None:
    """Print the model before and after, on the images of a benchmark."""
    before, after = (
        next(entry["benchmarks"][images]["metrics"] for entry in summary["models"]
             if entry["name"] == name)
        for name in ("x4", "x4-perceptual")
    )  # fmt: skip
    print(f"best discriminator: {summary['perceptual']['winner']}")
    for name in before:
        print(f"Set5 x4 {name}: {before[name]:.4f} before, {after[name]:.4f} after")
    fall = 100 * (1 - after["lpips"] / before["lpips"])
    loss = before["psnr"] - after["psnr"]
    print(f"LPIPS lower by {fall:.1f} % (asked: 15), PSNR by {loss:.2f} dB (asked: under 2.5)")


if __name__ == "__main__":
    main()
