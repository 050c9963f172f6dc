"""The few photographs that scikit-image brings along: enough to try everything without a download.

They are read from the installed package; its own reader would download what is missing.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from corenas.errors import DataError
from corenas_sr.data.folders import Split

TRAINING = (
    "astronaut.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "brick.png",  # this and the next two are grey textures
    "grass.png",
    "gravel.png",
)
VALIDATION = ("chelsea.png", "coffee.png")
"""Natural colour photographs; never trained on."""

_SPLITS: dict[Split, tuple[str, ...]] = {"train": TRAINING, "validation": VALIDATION}


def photographs(split: Split) -> list[Path]:
    """Return the files of one half of the bundled photographs.

    Raises:
        DataError: scikit-image is not installed.
    """
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise DataError("embedded: the photographs come with scikit-image, which is not installed")
    folder = Path(package.origin).parent / "data"
    return [folder / name for name in _SPLITS[split]]
