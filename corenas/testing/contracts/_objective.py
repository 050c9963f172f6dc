"""What every objective promises."""

from __future__ import annotations

import pytest

from corenas.protocols import Objective
from corenas.values.trial import Measurement


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

    def test_reads_all_that_it_needs_and_nothing_else(
        self, objective: Objective, better: Measurement
    ) -> None:
        needed = {name: better.metrics[name] for name in objective.needs}
        assert objective(Measurement(needed)) == objective(better)
        assert needed
        for name in needed:
            fewer = {other: value for other, value in needed.items() if other != name}
            with pytest.raises(KeyError):
                objective(Measurement(fewer))
