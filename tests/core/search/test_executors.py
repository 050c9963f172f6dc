from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from corenas.devices import default_workers
from corenas.errors import ConfigError, Stopped
from corenas.protocols import Executor
from corenas.search.executors.attempt import attempt
from corenas.search.executors.config import ProcessesConfig, SerialConfig
from corenas.search.executors.processes import processes
from corenas.search.executors.serial import Serial, serial
from corenas.stopping import Stop
from corenas.testing.contracts import ExecutorContract
from corenas.testing.jobs import Describe, GetReadyFirst, Raise, WaitForFile, description
from corenas.values.evaluation import Failure, Outcome, Report


class TestSerial(ExecutorContract):
    def make(self, stop: Stop) -> Executor:
        return serial(SerialConfig(), stop)

    def test_getting_ready_does_not_count_as_time_of_the_job(
        self, stop: Stop, tmp_path: Path
    ) -> None:
        executor = Serial(stop=stop, time_limit=0.1)
        executor.submit(0, GetReadyFirst(tmp_path / "loaded"))
        timer = threading.Timer(0.5, (tmp_path / "loaded").touch)
        timer.start()
        assert executor.next() == (0, Outcome({}))
        timer.join()

    def test_job_told_of_the_time_limit_is_a_timeout(self, stop: Stop, tmp_path: Path) -> None:
        executor = Serial(stop=stop, time_limit=0.05)
        executor.submit(0, WaitForFile(tmp_path / "begun", tmp_path / "never"))
        _, failure = executor.next()
        assert failure == Failure("timeout", "took longer than its limit of 0.05 s")

    def test_job_that_finishes_unasked_after_the_stop_is_kept(self, stop: Stop) -> None:
        executor = Serial(stop=stop)
        executor.submit(0, _RequestStop(stop, ask=False))
        assert executor.next() == (0, Outcome({}))

    def test_outcome_of_a_job_that_was_told_to_stop_is_lost(self, stop: Stop) -> None:
        executor = Serial(stop=stop)
        executor.submit(0, _RequestStop(stop, ask=True))
        with pytest.raises(Stopped):
            executor.next()

    def test_second_interrupt_leaves_the_job_at_once(self, stop: Stop) -> None:
        executor = Serial(stop=stop)
        executor.submit(0, Raise(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            executor.next()

    def test_job_runs_in_this_process_on_the_device(self, stop: Stop) -> None:
        executor = serial(SerialConfig(), stop, devices=("meta",))
        executor.submit(0, Describe())
        assert description(executor.next()[1]) == {"pid": os.getpid(), "device": "meta"}


class _RequestStop:
    """Requests a stop as a signal in the middle of a job would, and finishes all the same."""

    def __init__(self, stop: Stop, *, ask: bool) -> None:
        self._stop = stop
        self._ask = ask

    def run(self, device: str, report: Report) -> Outcome:
        self._stop.request("interrupted")
        if self._ask:
            assert report(1, 0.0)
        return Outcome({})


class TestProcesses(ExecutorContract):
    workers = 2

    def make(self, stop: Stop) -> Executor:
        return processes(ProcessesConfig(), stop, workers=2)


class TestProcessesInOrderOfSubmission(ExecutorContract):
    workers = 2
    order = "submission"

    def make(self, stop: Stop) -> Executor:
        return processes(ProcessesConfig(order="submission"), stop, workers=2)


def test_real_allocator_running_out_is_a_memory_failure() -> None:
    torch = pytest.importorskip("torch")

    class Huge:
        def run(self, device: str, report: Report) -> Outcome:
            return Outcome({"sum": float(torch.zeros(2**50, device=device).sum())})

    failure = attempt(Huge(), "cpu", lambda step, value: False)
    assert isinstance(failure, Failure)
    assert failure.kind == "memory"


def test_failure_names_the_place_in_the_code() -> None:
    failure = attempt(Raise(ValueError("no")), "cpu", lambda step, value: False)
    assert isinstance(failure, Failure)
    assert failure.message.startswith("ValueError: no (jobs.py, line ")


def test_job_that_gives_no_outcome_is_an_error() -> None:
    class GiveNothing:
        def run(self, device: str, report: Report) -> Outcome:
            return None  # type: ignore[return-value] # the point of it

    failure = attempt(GiveNothing(), "cpu", lambda step, value: False)
    assert failure == Failure("error", "GiveNothing.run returned NoneType, not an Outcome")


def test_default_is_a_worker_per_core_or_per_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5, 6}, raising=False)
    assert default_workers(("cpu",)) == 4
    assert default_workers(("cuda:0", "cuda:1", "cuda:2")) == 3


@pytest.mark.parametrize(
    "options",
    [{"order": "random"}, {"time_limit": 0.0}],
    ids=lambda options: next(iter(options)),
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        ProcessesConfig(**options)  # type: ignore[arg-type] # the point of it
