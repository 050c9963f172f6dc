"""What the benchmarks of TPSR's stage two share: losses, the metric that chooses, images, runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from shared.running import Failed, is_finished, link_large_enough, run_side_by_side

PATCH = 24
"""Low-resolution pixels; discriminators judge four times as many."""

BATCH = 4

VALIDATION, OTHERS = slice(8), slice(8, None)
"""Images of kodak24 that candidates and checkpoints are measured on, and the rest."""


def perceptual_options(data: Path) -> dict[str, Any]:
    """Return the options of losses and metric: those read SqueezeNet, and AlexNet chooses.

    VGG16 then has had no part in anything, and can judge.
    """
    weights = data / "weights"
    return {
        "network": "squeezenet1_1",
        "weights": str(weights / "squeezenet1_1_features.pth"),
        "metric": {"use": "lpips", "net": "alex", "weights": str(weights / "alexnet_features.pth")},
        # By the paper's weights the features have nearly all of the gradient, and which one judges
        # makes no difference; a larger alpha keeps PSNR up.
        "losses": {"pixel": 0.1, "features": 0.01, "adversarial": 0.1},
    }


def link_images(data: Path, folder: Path) -> dict[str, str]:
    """Link the images of trainings and of validation; return them as options of the data."""
    folder.mkdir(parents=True, exist_ok=True)
    least = 4 * PATCH
    train = link_large_enough([data / "train291" / "HR"], folder / "images", least=least)
    validation = link_large_enough(
        [data / "kodak24" / "HR"], folder / "validation", least=least, some=VALIDATION
    )
    return {"train": str(train), "validation": str(validation)}


def link_others(data: Path, folder: Path) -> Path:
    """Link the images of kodak24 that candidates and checkpoints are not measured on."""
    sources = [data / "kodak24" / "HR"]
    return link_large_enough(sources, folder / "others", least=4 * PATCH, some=OTHERS)


@frozen
class StageTwo:
    """A run of stage two from a trained generator: options of its own, and what tables call it."""

    folder: Path
    seed: int
    changes: Mapping[str, Any]
    title: str = ""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What came of it."""
        summary = json.loads((self.folder / "summary.json").read_text())
        return {**summary["perceptual"], "models": summary["models"]}

    @property
    def contenders(self) -> Mapping[str, Path]:
        """The best model file against each discriminator."""
        rows = self.summary.get("contenders", [])
        return {row["name"]: self.folder / row["file"] for row in rows if row["file"]}

    @property
    def models(self) -> Mapping[str, Path]:
        """The model files handed over: the generator, those between, and the best training."""
        return {entry["name"]: self.folder / entry["file"] for entry in self.summary["models"]}

    def command(
        self, data: Path, images: Mapping[str, str], generator: Path, *, steps: int
    ) -> list[str]:
        """Return its command, on linked images, with full trainings of so many steps."""
        values: dict[str, Any] = {
            "stages": "discriminator",
            "generator": generator,
            "data": images,
            "perceptual": perceptual_options(data),
            "discriminator.evaluator.crops": 16,
            "compare.trainings": 1,
            "compare.training.steps": steps,
            "compare.training.schedule": "cosine",
            "compare.training.milestones": "[]",
            "compare.training.validate_every": max(1, steps // 5),
            "compare.training.report_every": max(1, steps // 30),
        }
        training = {"batch": BATCH, "patch": PATCH, "learning_rate": 2e-4}
        for which in ("discriminator.evaluator.training", "compare.training"):
            values |= {f"{which}.{name}": value for name, value in training.items()}
        values |= self.changes
        options = [f"--out={self.folder}", f"--seed={self.seed}", "--workers=1"]
        return ["corenas", "run", "tpsr", *options, *_assignments(values)]


def run_all(
    runs: Sequence[StageTwo], data: Path, out: Path, generator: Path, *, steps: int
) -> tuple[list[StageTwo], int | str | None]:
    """Bring runs to their ends, two at once; return those that are there, and the exit status."""
    images = link_images(data, out)
    # Also those that are finished: a run that is there refuses other options than its own.
    commands = {run.folder.name: run.command(data, images, generator, steps=steps) for run in runs}
    failed: Sequence[str] = ()
    status: int | str | None = 0
    try:
        run_side_by_side(commands, out)
    except Failed as failure:
        # What is finished is worth its table, unless it is a run of other options.
        failed, status = failure.names, failure.code
    there = [run for run in runs if run.folder.name not in failed and is_finished(run.folder)]
    return there, status


def _assignments(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield nested options as assignments of a command line."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{prefix}{name}.")
        else:
            yield f"--set={prefix}{name}={value}"
