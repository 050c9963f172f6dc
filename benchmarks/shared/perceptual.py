"""What the benchmarks of TPSR's stage two share: losses, the metric that chooses, and images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.running import link_large_enough

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


def assignments(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield nested options as assignments of a command line."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from assignments(value, f"{prefix}{name}.")
        else:
            yield f"--set={prefix}{name}={value}"
