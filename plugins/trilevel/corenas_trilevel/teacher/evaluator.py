"""The evaluator ``taught-supernet``: that of ``sr-training``, whose supernet has a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from corenas import SearchSpace
from corenas_sr.config import DataConfig
from corenas_sr.data.datasets import ImagePair
from corenas_sr.training.short_training import ShortTraining
from corenas_sr.training.supervision import PatchSupervision
from corenas_trilevel.teacher.checks import check_teacher_option
from corenas_trilevel.teacher.config import TaughtSupernetConfig, TeacherConfig
from corenas_trilevel.teacher.images import taught_pairs


class TaughtSupernet(ShortTraining):
    """Trains candidates against the ground truth, and a supernet against a teacher's images."""

    def __init__(self, config: TaughtSupernetConfig, space: SearchSpace, data: DataConfig) -> None:
        super().__init__(config, space, data)
        self._teacher = config.teacher or TeacherConfig()
        # Every part of a search learns from the same images.
        self._taught = cache(self._teach)

    def check(self) -> None:
        """Look at metrics and images, and at the teacher.

        Raises:
            CorenasError: Any of them cannot be used.
        """
        super().check()
        check_teacher_option(
            "search.evaluator.teacher", self._teacher, scale=self._scale, source=self._data.train
        )

    def supervising_pairs(self, device: str) -> Sequence[ImagePair]:
        return self._taught(device)

    def rehearsal(self) -> PatchSupervision:
        """Return the supervision by the ground truth, whose images are as large."""
        return ShortTraining(self._config, self._space, self._data).supervision()

    def _teach(self, device: str) -> Sequence[ImagePair]:
        pairs = super().supervising_pairs(device)
        return taught_pairs(pairs, self._teacher, scale=self._scale, device=device)
