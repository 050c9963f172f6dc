"""What every executor promises, as a test class to subclass."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from corenas.errors import Diverged, Stopped
from corenas.protocols import Executor
from corenas.stopping import Stop
from corenas.testing.jobs import Give, Raise, WaitForFile
from corenas.values.evaluation import Failure, Order, Outcome

FAILURES = [
    pytest.param(ValueError("two\nlines"), "error", "ValueError: two lines", id="error"),
    pytest.param(SystemExit(3), "error", "SystemExit: 3", id="exit"),
    pytest.param(Diverged("the loss is nan"), "diverged", "the loss is nan", id="diverged"),
    pytest.param(MemoryError(), "memory", "MemoryError", id="memory"),
    pytest.param(
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        "memory",
        "CUDA out of memory",
        id="cuda-memory",
    ),
]


class ExecutorContract:
    """Subclass it, say how the executor is made and what it does.

    ``workers`` is how many jobs run at once; with one, results come in the order of submission.
    """

    workers: ClassVar[int] = 1
    order: ClassVar[Order] = "completion"

    def make(self, stop: Stop) -> Executor:
        """Return a new executor."""
        raise NotImplementedError

    @pytest.fixture
    def stop(self) -> Stop:
        return Stop()

    @pytest.fixture
    def executor(self, stop: Stop) -> Iterator[Executor]:
        executor = self.make(stop)
        yield executor
        executor.close()

    def test_outcome_comes_back_whole_with_its_key(self, executor: Executor) -> None:
        executor.submit(7, Give(0.5, payload=b"\0weights" * 100_000))
        assert executor.next() == (7, Outcome({"value": 0.5}, payload=b"\0weights" * 100_000))

    def test_every_key_comes_back_once_also_when_more_wait_than_run(
        self, executor: Executor
    ) -> None:
        values = {3 * i % 11: float(i) for i in range(2 * self.workers + 3)}
        for key, value in values.items():
            executor.submit(key, Give(value))
        results = [executor.next() for _ in values]
        assert sorted(key for key, _ in results) == sorted(values)
        assert all(outcome == Outcome({"value": values[key]}) for key, outcome in results)

    def test_results_come_in_the_promised_order(self, executor: Executor, tmp_path: Path) -> None:
        if self.workers == 1:
            for key in (5, 2, 9):
                executor.submit(key, Give(0.0))
            assert [executor.next()[0] for _ in range(3)] == [5, 2, 9]
            return
        awaited = tmp_path / "awaited"
        executor.submit(0, WaitForFile(tmp_path / "begun", awaited))
        if self.order == "submission":
            executor.submit(1, WaitForFile(begun=awaited, awaited=awaited))
            assert [executor.next()[0] for _ in range(2)] == [0, 1]
        else:
            executor.submit(1, Give(0.0))
            assert executor.next()[0] == 1
            awaited.touch()
            assert executor.next()[0] == 0

    def test_idle_until_every_worker_has_a_job(self, executor: Executor) -> None:
        for key in range(self.workers):
            assert executor.idle
            executor.submit(key, Give(0.0))
        assert not executor.idle

    def test_idle_again_when_a_result_is_handed_out_and_not_before(
        self, executor: Executor
    ) -> None:
        for key in range(self.workers + 1):
            executor.submit(key, Give(0.0))
        executor.next()
        assert not executor.idle
        executor.next()
        assert executor.idle

    @pytest.mark.parametrize(("error", "kind", "message"), FAILURES)
    def test_failing_job_costs_one_trial_and_says_why_in_one_line(
        self, executor: Executor, error: BaseException, kind: str, message: str
    ) -> None:
        executor.submit(0, Raise(error))
        key, failure = executor.next()
        assert key == 0
        assert isinstance(failure, Failure)
        assert failure.kind == kind
        assert message in failure.message
        assert "\n" not in failure.message
        executor.submit(1, Give(1.0))
        assert executor.next() == (1, Outcome({"value": 1.0}))

    def test_stop_interrupts_a_running_job(
        self, executor: Executor, stop: Stop, tmp_path: Path
    ) -> None:
        executor.submit(0, WaitForFile(tmp_path / "begun", tmp_path / "never"))
        timer = threading.Timer(0.2, stop.request, ["interrupted"])
        timer.start()
        with pytest.raises(Stopped, match="interrupted"):
            executor.next()
        timer.join()

    def test_stop_requested_before_starts_nothing_more(
        self, executor: Executor, stop: Stop
    ) -> None:
        executor.submit(0, Give(0.0))
        stop.request("time budget")
        with pytest.raises(Stopped, match="time budget"):
            executor.next()

    def test_close_ends_it_with_jobs_in_flight_and_may_be_repeated(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        executor.submit(0, WaitForFile(tmp_path / "begun", tmp_path / "never"))
        executor.close()
        executor.close()

    def test_waiting_without_a_job_is_an_error(self, executor: Executor) -> None:
        with pytest.raises(RuntimeError, match="without a job"):
            executor.next()
