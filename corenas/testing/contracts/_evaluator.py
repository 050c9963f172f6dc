"""What every evaluator promises."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import pytest

from corenas.errors import Stopped
from corenas.protocols import Evaluator, Job
from corenas.search.scheduling import Gradual
from corenas.testing.contracts._states import reloaded
from corenas.values.architecture import Architecture
from corenas.values.evaluation import Outcome, Rejected
from corenas.values.fidelity import FULL_TRAINING, Share
from corenas.values.trial import Measurement, Trial


class EvaluatorContract:
    """What every `Evaluator` promises."""

    def make(self) -> Evaluator:
        """Return a new evaluator."""
        raise NotImplementedError

    @pytest.fixture
    def architecture(self) -> Architecture:
        """A candidate that is not refused."""
        raise NotImplementedError

    @pytest.fixture
    def refused(self) -> Architecture:
        """A candidate that is refused."""
        pytest.skip("this evaluator refuses nothing")

    def job(self, evaluator: Evaluator, architecture: Architecture, number: int) -> Job:
        job = evaluator.prepare(architecture, number=number, seed=number)
        assert not isinstance(job, Rejected)
        return job

    def outcome(self, job: Job) -> Outcome:
        """Run the job as a worker does, on a copy that went through a pickle."""
        copy: Job = pickle.loads(pickle.dumps(job))
        return copy.run("cpu", lambda step, value: False)

    def collect(self, evaluator: Evaluator, architecture: Architecture, number: int) -> Measurement:
        outcome = self.outcome(self.job(evaluator, architecture, number))
        measurement = evaluator.measure(architecture, outcome)
        evaluator.collect(Trial(number, architecture, measurement, score=0.5), outcome)
        return measurement

    def test_measurement_has_the_metrics_of_the_outcome(self, architecture: Architecture) -> None:
        evaluator = self.make()
        outcome = self.outcome(self.job(evaluator, architecture, 0))
        metrics = evaluator.measure(architecture, outcome).metrics
        assert metrics.items() >= dict(outcome.metrics).items()
        assert metrics
        assert set(evaluator.measures) <= set(metrics)
        assert {name: quantity.name for name, quantity in evaluator.measures.items()} == {
            name: name for name in evaluator.measures
        }
        assert all(math.isfinite(value) for value in metrics.values())

    def test_good_one_passes_its_own_check(self) -> None:
        self.make().check()

    def test_plan_of_a_candidate_has_steps_and_seconds(self) -> None:
        plan = self.make().plan("cpu")
        if plan is not None:
            assert plan.steps > 0
            assert plan.seconds_per_step > 0

    def test_from_scratch_no_job_profits_from_another(self, architecture: Architecture) -> None:
        alone, after = self.make().from_scratch(), self.make().from_scratch()
        self.collect(after, architecture, 0)
        outcomes = [self.outcome(self.job(each, architecture, 1)) for each in (alone, after)]
        assert outcomes[0].metrics == outcomes[1].metrics
        assert list(alone.measures.items()) == list(self.make().measures.items())

    def test_result_depends_on_the_seed_and_not_on_the_time(
        self, architecture: Architecture
    ) -> None:
        first, again, other = (
            self.outcome(self.job(self.make(), architecture, number)) for number in (0, 0, 1)
        )
        assert first.metrics == again.metrics
        assert first.payload == again.payload
        assert first.metrics != other.metrics

    def test_job_in_flight_is_the_same_after_a_restore(self, architecture: Architecture) -> None:
        evaluator = self.make()
        expected = self.outcome(self.job(evaluator, architecture, 0))
        self.collect(evaluator, architecture, 1)
        restored = self.make()
        restored.restore(reloaded(evaluator.state()))
        outcome = self.outcome(self.job(restored, architecture, 0))
        assert outcome.metrics == expected.metrics
        assert outcome.payload == expected.payload

    def test_restored_evaluator_goes_on_like_the_uninterrupted_one(
        self, architecture: Architecture
    ) -> None:
        evaluator = self.make()
        self.collect(evaluator, architecture, 0)
        restored = self.make()
        restored.restore(reloaded(evaluator.state()))
        outcomes = [self.outcome(self.job(e, architecture, 1)) for e in (evaluator, restored)]
        assert outcomes[0].metrics == outcomes[1].metrics

    def test_failed_job_is_forgotten(self, architecture: Architecture) -> None:
        evaluator = self.make()
        self.collect(evaluator, architecture, 0)
        before = len(pickle.dumps(evaluator.state()))
        self.job(evaluator, architecture, 1)
        evaluator.drop(1)
        assert len(pickle.dumps(evaluator.state())) == before

    def test_job_that_reports_stops_when_it_is_told_to(self, architecture: Architecture) -> None:
        reported = []

        def stop(step: int, value: float) -> bool:
            reported.append(step)
            return True

        try:
            self.job(self.make(), architecture, 0).run("cpu", stop)
        except Stopped:
            assert len(reported) == 1
        else:
            assert not reported

    def test_refusal_has_a_reason_and_the_costs(self, refused: Architecture) -> None:
        answer = self.make().prepare(refused, number=0, seed=0)
        assert isinstance(answer, Rejected)
        assert answer.reason
        assert answer.metrics

    def test_save_writes_the_files_that_it_names(
        self, architecture: Architecture, tmp_path: Path
    ) -> None:
        evaluator = self.make()
        self.collect(evaluator, architecture, 0)
        files = evaluator.save(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == set(files.values())


class _Reports:
    """Remembers the steps that a job reports, and never stops it."""

    def __init__(self, steps: list[int]) -> None:
        self._steps = steps

    def __call__(self, step: int, value: float) -> bool:
        self._steps.append(step)
        return False


class GradualEvaluatorContract(EvaluatorContract):
    """What an `Evaluator` promises that is `Gradual`: its trainings may end early, and go on."""

    def train_to(self, architecture: Architecture, share: Share) -> Outcome:
        """Train to a share as a new evaluator in another process would."""
        evaluator = self.make()
        assert isinstance(evaluator, Gradual)
        job = evaluator.prepare_share(architecture, share, number=0, seed=0)
        assert not isinstance(job, Rejected)
        return self.outcome(job)

    def test_continued_training_gives_what_the_uninterrupted_one_does(
        self, architecture: Architecture
    ) -> None:
        third = self.train_to(architecture, Share(1 / 3))
        more = self.train_to(architecture, Share(2 / 3, third.state))
        whole = self.train_to(architecture, Share(1.0, more.state))
        assert whole.metrics == self.train_to(architecture, FULL_TRAINING).metrics
        assert more.metrics == self.train_to(architecture, Share(2 / 3)).metrics
        full = self.make().prepare(architecture, number=0, seed=0)
        assert not isinstance(full, Rejected)
        assert whole.metrics == self.outcome(full).metrics

    def test_state_is_handed_back_where_it_can_be_gone_on_from(
        self, architecture: Architecture
    ) -> None:
        third = self.train_to(architecture, Share(1 / 3))
        evaluator = self.make()
        assert isinstance(evaluator, Gradual)
        assert bool(third.state) == evaluator.continues
        assert isinstance(third.state, bytes)
        assert self.train_to(architecture, Share(1.0, third.state)).state == b""

    def test_a_smaller_share_is_another_training_of_the_same_seed(
        self, architecture: Architecture
    ) -> None:
        found = []
        for share in (Share(1 / 3), Share(1 / 3), FULL_TRAINING):
            evaluator = self.make()
            assert isinstance(evaluator, Gradual)
            job = evaluator.prepare_share(architecture, share, number=0, seed=0)
            assert not isinstance(job, Rejected)
            reported: list[int] = []
            outcome = job.run("cpu", _Reports(reported))
            found.append((outcome.metrics, reported))
        third, again, full = found
        assert third == again
        # After few steps a metric may be what it was; then the job tells of fewer.
        assert third != full

    def test_annealed_share_goes_on_too(self, architecture: Architecture) -> None:
        third = self.train_to(architecture, Share(1 / 3, annealed=True))
        whole = self.train_to(architecture, Share(1.0, third.state, annealed=True))
        assert whole.metrics.keys() == third.metrics.keys()

    def test_refusal_does_not_depend_on_the_share(self, refused: Architecture) -> None:
        evaluator = self.make()
        assert isinstance(evaluator, Gradual)
        answer = evaluator.prepare_share(refused, Share(1 / 3), number=0, seed=0)
        assert isinstance(answer, Rejected)
        assert answer == self.make().prepare(refused, number=0, seed=0)
