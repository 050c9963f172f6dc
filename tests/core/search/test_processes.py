from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from corenas.errors import CorenasError, Stopped
from corenas.protocols import Job
from corenas.search.executors import processes
from corenas.search.executors.processes import Processes
from corenas.stopping import Stop
from corenas.testing.jobs import (
    Describe,
    Die,
    DieWhileSending,
    GetReadyFirst,
    Give,
    GiveUnpicklable,
    Hang,
    HangBeforehand,
    Raise,
    WaitForFile,
    description,
)
from corenas.values.evaluation import Failure, Order, Outcome

pytestmark = pytest.mark.abuse("worker killed, crashed, hung")


@contextmanager
def pool(
    *,
    stop: Stop | None = None,
    workers: int = 1,
    devices: Sequence[str] = ("cpu",),
    order: Order = "completion",
    time_limit: float | None = None,
) -> Iterator[Processes]:
    executor = Processes(
        stop=stop or Stop(), workers=workers, devices=devices, order=order, time_limit=time_limit
    )
    with closing(executor):
        yield executor


def wait_until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an entry that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_two_workers_work_at_the_same_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with pool(workers=2) as executor:
        executor.submit(0, WaitForFile(begun=one, awaited=two))
        executor.submit(1, WaitForFile(begun=two, awaited=one))
        assert dict(executor.next() for _ in range(2)) == {0: Outcome({}), 1: Outcome({})}


def test_devices_are_given_to_the_workers_in_turn() -> None:
    with pool(workers=4, devices=("cuda:0", "cuda:1"), order="submission") as executor:
        for key in range(8):
            executor.submit(key, Describe())
        found = [description(executor.next()[1]) for _ in range(8)]
    assert [each["device"] for each in found] == ["cuda:0", "cuda:1"] * 4
    pids = [each["pid"] for each in found]
    assert len(set(pids[:4])) == 4
    assert pids[4:] == pids[:4]


def test_worker_is_kept_from_job_to_job() -> None:
    with pool() as executor:
        pids = set()
        for key in range(3):
            executor.submit(key, Describe())
            pids.add(description(executor.next()[1])["pid"])
    assert len(pids) == 1
    assert os.getpid() not in pids


@pytest.mark.slow
def test_torch_uses_one_thread_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with pool() as executor:
        executor.submit(0, Describe(with_torch=True))
        assert description(executor.next()[1])["threads"] == 1


SCRIPT_WITH_TORCH = """
import torch
from corenas.search.executors.processes import Processes
from corenas.stopping import Stop
from corenas.testing.jobs import Describe

if __name__ == "__main__":
    executor = Processes(stop=Stop(), workers=1)
    executor.submit(0, Describe(with_torch=True))
    print(executor.next()[1].payload.decode())
    executor.close()
"""


@pytest.mark.slow
def test_torch_uses_one_thread_also_when_the_script_imports_it_first(tmp_path: Path) -> None:
    done = run_script(tmp_path, SCRIPT_WITH_TORCH, OMP_NUM_THREADS="3")
    assert json.loads(done.stdout)["threads"] == 1


def run_script(folder: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(text)
    return subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_killed_worker_costs_one_trial(number: signal.Signals, tmp_path: Path) -> None:
    with pool(workers=2) as executor:
        awaited = tmp_path / "awaited"
        executor.submit(0, WaitForFile(tmp_path / "begun", awaited))
        executor.submit(1, Die(number))
        key, failure = executor.next()
        assert key == 1
        assert isinstance(failure, Failure)
        assert failure.kind == "killed"
        assert f"signal {number:d}" in failure.message
        executor.submit(2, Give(2.0))
        assert executor.next() == (2, Outcome({"value": 2.0}))
        awaited.touch()
        assert executor.next() == (0, Outcome({}))


def test_worker_killed_from_outside_in_the_middle_of_a_job(tmp_path: Path) -> None:
    with pool() as executor:
        executor.submit(0, Hang(tmp_path / "pid"))
        wait_until((tmp_path / "pid").exists)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        key, failure = executor.next()
        assert (key, isinstance(failure, Failure) and failure.kind) == (0, "killed")


@pytest.mark.timeout(30)  # where the torn message is left in the pipe, it takes two minutes
def test_worker_killed_while_it_sends_costs_no_other_trial() -> None:
    with pool() as executor:
        executor.submit(0, DieWhileSending())
        _, failure = executor.next()
        assert isinstance(failure, Failure)
        assert failure.kind == "killed"
        executor.submit(1, Give(1.0))
        assert executor.next() == (1, Outcome({"value": 1.0}))


@needs_proc
@pytest.mark.parametrize("pause", [0.0, 0.5], ids=["unnoticed", "noticed"])
def test_worker_killed_while_idle_costs_at_most_one_trial(pause: float) -> None:
    with pool() as executor:
        executor.submit(0, Describe())
        pid = int(str(description(executor.next()[1])["pid"]))
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid))
        time.sleep(pause)
        for key in (1, 2):
            executor.submit(key, Give(1.0))
            last = executor.next()
        assert last == (2, Outcome({"value": 1.0}))


def test_hung_job_is_killed_at_the_time_limit(tmp_path: Path) -> None:
    with pool(time_limit=0.5) as executor:
        executor.submit(0, Hang(tmp_path / "pid"))
        key, failure = executor.next()
        assert key == 0
        assert failure == Failure("timeout", "took longer than its limit of 0.5 s; it was killed")
        wait_until(lambda: not is_running(int((tmp_path / "pid").read_text())))
        executor.submit(1, Give(1.0))
        assert executor.next() == (1, Outcome({"value": 1.0}))


def make_later(file: Path, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, file.touch)
    timer.start()
    return timer


def test_getting_ready_does_not_count_as_time_of_the_job(tmp_path: Path) -> None:
    with pool(time_limit=0.3) as executor:
        executor.submit(0, GetReadyFirst(tmp_path / "loaded"))
        timer = make_later(tmp_path / "loaded", 2.0)
        assert executor.next() == (0, Outcome({}))
        timer.join()


@pytest.mark.parametrize("time_limit", [None, 60.0, 0.2])
def test_worker_that_never_begins_its_job_is_killed(
    monkeypatch: pytest.MonkeyPatch, time_limit: float | None
) -> None:
    with pool(time_limit=time_limit) as executor:
        with monkeypatch.context() as patched:
            patched.setattr(processes, "READY_SECONDS", 2.0)
            executor.submit(0, HangBeforehand())
            key, failure = executor.next()
        assert key == 0
        assert isinstance(failure, Failure)
        assert failure.kind == "timeout"
        assert "not ready within 2 s" in failure.message
        executor.submit(1, Give(1.0))
        assert executor.next() == (1, Outcome({"value": 1.0}))


def test_stepping_the_clock_kills_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, awaited = tmp_path / "begun", tmp_path / "awaited"
    with pool(time_limit=60.0) as executor:
        executor.submit(0, WaitForFile(begun, awaited))
        wait_until(begun.exists)
        before = time.time
        monkeypatch.setattr(time, "time", lambda: before() + 3600)
        timer = make_later(awaited, 1.0)
        assert executor.next() == (0, Outcome({}))
        timer.join()


def test_result_that_came_in_time_counts_also_when_it_is_fetched_late(tmp_path: Path) -> None:
    with pool(time_limit=0.5) as executor:
        executor.submit(0, Describe())
        wait_until(lambda: executor._arrivals.qsize() > 0)
        end = time.monotonic() + 0.6
        wait_until(lambda: time.monotonic() > end)
        assert isinstance(executor.next()[1], Outcome)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (GiveUnpicklable(), "cannot pickle"),
        (GiveUnpicklable(raised=True), "ValueError: <unlocked _thread.lock"),
    ],
    ids=["outcome", "error"],
)
def test_what_cannot_leave_the_worker_costs_one_trial(job: Job, message: str) -> None:
    with pool() as executor:
        executor.submit(0, job)
        _, failure = executor.next()
        assert isinstance(failure, Failure)
        assert failure.kind == "error"
        assert message in failure.message
        executor.submit(1, Give(1.0))
        assert executor.next()[1] == Outcome({"value": 1.0})


def test_job_that_cannot_be_sent_is_refused_when_it_is_submitted() -> None:
    with pool() as executor:
        with pytest.raises(CorenasError, match="Raise: the job cannot be sent"):
            executor.submit(0, Raise(ValueError(threading.Lock())))
        assert executor.idle


@needs_proc
def test_signal_interrupts_waiting_at_once_and_close_kills_the_workers(tmp_path: Path) -> None:
    with Stop().installed() as stop, pool(stop=stop, workers=2) as executor:
        for name in ("a", "b"):
            executor.submit(ord(name), Hang(tmp_path / name))
        wait_until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
        pids = [int((tmp_path / name).read_text()) for name in ("a", "b")]
        sent: list[float] = []

        def interrupt() -> None:
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.3, interrupt)
        timer.start()
        with pytest.raises(Stopped, match="interrupted"):
            executor.next()
        assert time.monotonic() - sent[0] < 1.0
        executor.close()
        assert not any(is_running(pid) for pid in pids)


def test_waiting_ends_when_the_time_budget_is_spent(tmp_path: Path) -> None:
    with pool(stop=Stop(0.5)) as executor:
        executor.submit(0, Hang(tmp_path / "pid"))
        with pytest.raises(Stopped, match="time budget"):
            executor.next()


def test_closed_executor_takes_no_job() -> None:
    with pool() as executor:
        executor.close()
        assert not executor.idle
        with pytest.raises(RuntimeError, match="closed"):
            executor.submit(0, Give(0.0))


SCRIPT_THAT_HANGS = """
import sys
from pathlib import Path
from corenas.search.executors.processes import Processes
from corenas.stopping import Stop
from corenas.testing.jobs import Hang

if __name__ == "__main__":
    with Stop().installed() as stop:
        executor = Processes(stop=stop, workers=2)
        for key in range(2):
            executor.submit(key, Hang(Path(sys.argv[1]) / str(key)))
        print("submitted", flush=True)
        try:
            executor.next()
        finally:
            executor.close()
"""


@contextmanager
def hanging_script(folder: Path) -> Iterator[subprocess.Popen[str]]:
    script = folder / "script.py"
    script.write_text(SCRIPT_THAT_HANGS)
    with subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # signals to its group, as from a terminal, stay off this process
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@needs_proc
def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    with hanging_script(tmp_path) as process:
        files = [tmp_path / str(key) for key in range(2)]
        wait_until(lambda: all(file.exists() for file in files))
        pids = [int(file.read_text()) for file in files]
        assert all(is_running(pid) for pid in pids)
        process.kill()
        wait_until(lambda: not any(is_running(pid) for pid in pids), seconds=5.0)


def test_interrupt_from_the_terminal_is_the_parents_alone(tmp_path: Path) -> None:
    with hanging_script(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the workers are starting: the worst moment for a signal
        time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Stopped: stopped: interrupted" in errors
    assert "KeyboardInterrupt" not in errors


SCRIPT_WITHOUT_GUARD = """
from corenas.search.executors.processes import Processes
from corenas.stopping import Stop
from corenas.testing.jobs import Give

executor = Processes(stop=Stop(), workers=1)
for key in range(2):
    executor.submit(key, Give(0.0))
    print(executor.next()[1].message)
executor.close()
"""


def test_workers_that_cannot_start_are_failures_that_say_why(tmp_path: Path) -> None:
    done = run_script(tmp_path, SCRIPT_WITHOUT_GUARD)
    assert done.stdout.count("__name__") == 2
    assert done.returncode == 0
