"""What every objective promises."""

from __future__ import annotations

import pytest

from corenas.objective import Objective
from corenas.trial import Measurement


class ObjectiveContract:
    """What every `Objective` promises."""

    @pytest.fixture
    def objective(self) -> Objective:
        raise NotImplementedError

    @pytest.fixture
    def better(self) -> Measurement:
        raise NotImplementedError

    @pytest.fixture
    def worse(self) -> Measurement:
        raise NotImplementedError

    def test_better_measurement_has_the_higher_score(
        self, objective: Objective, better: Measurement, worse: Measurement
    ) -> None:
        assert objective(better) > objective(worse)

    def test_score_depends_on_the_measurement_alone(
        self, objective: Objective, better: Measurement, worse: Measurement
    ) -> None:
        before = objective(better)
        objective(worse)
        assert objective(better) == before

    def test_missing_metric_is_a_key_error(self, objective: Objective) -> None:
        with pytest.raises(KeyError):
            objective(Measurement({}))
