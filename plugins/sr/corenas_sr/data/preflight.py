"""All images of a configuration, checked before anything is trained."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from corenas import Run
from corenas_sr.config import EMBEDDED, DataConfig
from corenas_sr.data.datasets import DataReport, check_disjoint, check_pairs
from corenas_sr.data.folders import Split, describe_left_out, find_pairs


def check_data(config: DataConfig, *, patches: Mapping[int, int]) -> list[DataReport]:
    """Decode every image at every scale; refuse validation images that are trained on.

    A warning names the files of a folder that are no images.

    Args:
        config: Names the sources.
        patches: By scale, the low-resolution pixels that training images must have at least.

    Raises:
        DataError: Files cannot be used; they are named.
    """
    reports = []
    for scale, patch in patches.items():
        training = check_pairs(config.train, scale=scale, split="train", patch=patch)
        validation = check_pairs(config.validation, scale=scale, split="validation")
        check_disjoint(training, validation)
        reports += [training, validation]
        reports += [check_pairs(s, scale=scale, split="validation") for s in config.benchmarks]
    scale = min(patches)
    folders = _folders(config.train, scale, "train")
    for source in (config.validation, *config.benchmarks):
        folders |= _folders(source, scale, "validation")
    for line in describe_left_out(folders):
        warnings.warn(line, stacklevel=2)
    return reports


def check_run_data(run: Run, config: DataConfig, *, patches: Mapping[int, int]) -> None:
    """Do what `check_data` does for a run, and hold it to the images that it began with.

    They may lie elsewhere when the run goes on (``resume --set data.train=FOLDER``).

    Raises:
        DataError: Files cannot be used; they are named.
        ResumeError: There are other images than at the beginning.
    """
    reports = check_data(config, patches=patches)
    run.confirm("image-set", [report.content for report in reports])


def _folders(source: str, scale: int, split: Split) -> dict[Path, None]:
    """Return the folders of a source's high-resolution images, in order."""
    if source == EMBEDDED:
        return {}  # what skimage brings besides its photographs was never meant
    found = find_pairs(Path(source).expanduser(), scale=scale, split=split)
    return dict.fromkeys(pair.hr.parent for pair in found.pairs)
