"""Options of the teacher, whose images the networks learn to make (no torch here)."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from corenas.options.structuring import option
from corenas_sr.config import CandidateConfig, absolute_file

GROUND_TRUTH = "ground-truth"
"""Names the high-resolution images themselves, instead of a teacher."""


def _absolute(source: str) -> str:
    """Return a file's or folder's absolute path: a run may be resumed from elsewhere."""
    return source if source == GROUND_TRUTH else str(Path(source).expanduser().absolute())


@frozen
class TeacherConfig:
    """Options of the teacher (``d`` in Alg. 1 of Wu et al. compares with its output)."""

    source: str = option(
        GROUND_TRUTH,
        "what the networks learn from: 'ground-truth' for the images themselves; a model file of "
        "CoreNAS, or of another project that spandrel knows (.pth, .safetensors); or a folder of "
        "the teacher's images, named like the training images",
        paper="RRDB_PSNR_x4.pth; RRDB_ESRGAN_x4.pth for visual quality",
        converter=_absolute,
    )
    tile: int | None = option(
        None,
        "side of the tiles in which the teacher works; unset: images whole, up to 512x512, and "
        "larger ones in tiles where it does not look further than 128 pixels",
        unit="low-resolution pixels",
        ge=16,
    )
    cache: Path | None = option(
        None,
        "folder where the teacher's images are kept; unset: in the user's cache folder",
        converter=absolute_file,
    )

    @property
    def description(self) -> str:
        """The teacher in a few words, for reports."""
        if self.source == GROUND_TRUTH:
            return "the ground truth"
        return f"images in {self.source}" if Path(self.source).is_dir() else self.source


@frozen
class TaughtSupernetConfig(CandidateConfig):
    """Options of the evaluator ``taught-supernet``."""

    teacher: TeacherConfig | None = option(
        None,
        "whose images a supernet learns to make; unset: the recipe's teacher, and without a recipe "
        "the ground truth",
    )
