"""Machines and processes that die, join or do not fit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from corenas import ConfigError, CorenasError
from corenas.protocols import Job
from corenas.stopping import Stop
from corenas.testing.jobs import GetReadyFirst, Give, Hang, WaitForFile
from corenas.values.evaluation import Failure, Outcome

pytest.importorskip("ray", reason="needs corenas[ray]")

from corenas_ray import executor as executor_module
from corenas_ray._actor import versions
from corenas_ray.config import RayConfig
from corenas_ray.executor import RayExecutor

STORE = 80 * 2**20
Make = Callable[..., RayExecutor]


@pytest.fixture
def make(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make executors on the cluster, which are closed at the end."""
    monkeypatch.setattr(executor_module, "GROW_SECONDS", 0.2)
    made = []

    def make(workers: int | None = None, **options: Any) -> RayExecutor:
        options = {"address": cluster.address, **options}
        made.append(RayExecutor(RayConfig(**options), Stop(), workers=workers))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def joined(cluster: Any) -> Iterator[Callable[[], Any]]:
    """Let nodes with room for two workers join, which leave at the end."""
    nodes = []

    def join() -> Any:
        nodes.append(cluster.add_node(num_cpus=2, object_store_memory=STORE))
        return nodes[-1]

    yield join
    for node in nodes:
        if node in cluster.list_all_nodes():
            cluster.remove_node(node)


def submit(executor: RayExecutor, jobs: Sequence[Job]) -> None:
    for key, job in enumerate(jobs):
        executor.submit(key, job)


def waiting(folder: Path, count: int) -> list[WaitForFile]:
    return [WaitForFile(folder / f"begun{n}", folder / "awaited") for n in range(count)]


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def lose(cluster: Any, node: Any, executor: RayExecutor) -> None:
    """End a node as a power cut does, and wait until its processes are gone."""
    pids = [w.pid for w in executor._workers if w.node and w.node.id == node.node_id]
    assert len(pids) == 2
    cluster.remove_node(node, allow_graceful=False)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def collect(executor: RayExecutor, count: int) -> dict[int, Outcome | Failure]:
    found = [executor.next() for _ in range(count)]
    assert len(dict(found)) == count
    return dict(found)


def test_trials_of_a_lost_machine_run_again_and_none_fails(
    make: Make, joined: Callable[[], Any], cluster: Any, tmp_path: Path
) -> None:
    node = joined()
    executor = make(workers=4)
    jobs = waiting(tmp_path, 4)
    submit(executor, jobs)
    until(lambda: all(job.begun.exists() for job in jobs))
    assert sum(executor.where().values()) == 4
    for job in jobs:
        job.begun.unlink()
    lose(cluster, node, executor)
    # The two on the machine that lives end, and make room for those that were lost.
    jobs[0].awaited.touch()
    with pytest.warns(UserWarning, match="was lost; what ran there runs again"):
        results = collect(executor, 4)
    assert all(isinstance(outcome, Outcome) for outcome in results.values())
    assert sum(job.begun.exists() for job in jobs) == 2
    assert sum(executor.where().values()) == 2


def test_trial_whose_machines_are_lost_too_often_fails(
    make: Make, joined: Callable[[], Any], cluster: Any, tmp_path: Path
) -> None:
    node = joined()
    executor = make(workers=4, retries=0)
    jobs = waiting(tmp_path, 4)
    submit(executor, jobs)
    until(lambda: all(job.begun.exists() for job in jobs))
    lose(cluster, node, executor)
    lost = [executor.next()[1] for _ in range(2)]
    assert lost == [Failure("killed", "the machine that it ran on was lost 1 times")] * 2
    jobs[0].awaited.touch()
    assert all(isinstance(outcome, Outcome) for outcome in collect(executor, 2).values())


@pytest.mark.filterwarnings("ignore:node .* was lost")
def test_machine_that_is_lost_with_results_waiting_costs_no_trial(
    make: Make, joined: Callable[[], Any], cluster: Any, tmp_path: Path
) -> None:
    node = joined()
    executor = make(workers=4, order="submission")
    first, *others = [WaitForFile(tmp_path / f"begun{n}", tmp_path / f"go{n}") for n in range(4)]
    submit(executor, [first, *others])
    until(lambda: all(job.begun.exists() for job in (first, *others)))
    # All but the first are done, and wait for it; so do the workers that did them.
    for job in others:
        job.awaited.touch()
    until(lambda: bool(executor._wait()) or len(executor._finished) == 3)
    lose(cluster, node, executor)
    first.awaited.touch()
    found = []
    for key in range(4, 12):
        found.append(executor.next())
        executor.submit(key, Give(float(key)))
    found += [executor.next() for _ in range(4)]
    assert [key for key, _ in found] == list(range(12))
    assert all(isinstance(outcome, Outcome) for _, outcome in found)
    until(lambda: bool(executor._wait()) or sum(executor.where().values()) == 2)


def test_killed_process_costs_its_trial_and_is_replaced(make: Make, tmp_path: Path) -> None:
    executor = make(workers=2)
    hanging = [Hang(tmp_path / f"pid{number}") for number in range(2)]
    submit(executor, hanging)
    until(lambda: all(job.pid_file.exists() for job in hanging))
    os.kill(int(hanging[1].pid_file.read_text()), signal.SIGKILL)
    key, failure = executor.next()
    assert key == 1
    assert isinstance(failure, Failure)
    assert failure.kind == "killed"
    executor.submit(2, Give(0.5))
    assert executor.next() == (2, Outcome({"value": 0.5}))


def test_time_limit_counts_from_when_the_data_are_there(make: Make, tmp_path: Path) -> None:
    executor = make(workers=2, time_limit=1.0)
    submit(executor, [GetReadyFirst(tmp_path / "data"), Hang(tmp_path / "pid")])
    key, failure = executor.next()
    assert (key, failure) == (
        1,
        Failure("timeout", "took longer than its limit of 1 s; it was killed"),
    )
    until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists())
    (tmp_path / "data").touch()
    assert executor.next() == (0, Outcome({}))


def test_machine_that_joins_is_used_at_once(
    make: Make, joined: Callable[[], Any], tmp_path: Path
) -> None:
    executor = make()
    jobs = waiting(tmp_path, 4)
    submit(executor, jobs)
    until(lambda: sum(job.begun.exists() for job in jobs) == 2)
    assert not executor.idle
    joined()

    def all_begun() -> bool:
        executor._wait()
        return all(job.begun.exists() for job in jobs)

    until(all_begun)
    jobs[0].awaited.touch()
    collect(executor, 4)
    assert sum(executor.where().values()) == 4


def test_machine_that_does_not_fit_is_refused_before_the_start(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make(workers=1)
    executor.check([Path(__file__)])
    with pytest.raises(ConfigError, match=r"node \S+: lacks /no/such/folder"):
        executor.check([Path("/no/such/folder")])
    here = {**versions(), "torch": "1.0"}
    monkeypatch.setattr("corenas_ray._cluster.versions", lambda: here)
    with pytest.raises(ConfigError, match=r"node \S+: has torch .*, here 1\.0"):
        executor.check([])


def test_machine_that_does_not_fit_and_joins_later_gets_no_job(
    make: Make, joined: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    executor = make()
    jobs = waiting(tmp_path, 4)
    submit(executor, jobs[:2])
    new = joined().node_id

    def misfit(node: Any) -> str:
        return f"node {node.host}: lacks images" if node.id == new else ""

    monkeypatch.setattr(executor_module, "describe_misfit", misfit)
    submit_rest = [executor.submit(number, jobs[number]) for number in (2, 3)]
    assert len(submit_rest) == 2
    with pytest.warns(UserWarning, match="lacks images; it is not used"):
        until(lambda: executor._wait() or len(executor._refused) == 2)
    jobs[0].awaited.touch()
    collect(executor, 4)
    assert sum(executor.where().values()) == 2


def test_cluster_without_room_is_said(make: Make) -> None:
    executor = make(workers=1, gpus=0.5, patience=1.0)
    with pytest.raises(CorenasError, match=r"no room .* one needs 1 CPUs and 0\.5 GPUs"):
        executor.submit(0, Give(0.0))


def test_cluster_that_is_not_there_is_said() -> None:
    executor = RayExecutor(RayConfig(address="127.0.0.1:1"), Stop(), workers=1)
    with pytest.raises(CorenasError, match=r"127\.0\.0\.1:1: cannot be reached"):
        executor.submit(0, Give(0.0))


def test_signals_stay_those_of_the_run(make: Make) -> None:
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(number) for number in numbers]
    executor = make(workers=1)
    executor.submit(0, Give(0.0))
    assert [signal.getsignal(number) for number in numbers] == before
    executor.next()
    executor.close()
    assert [signal.getsignal(number) for number in numbers] == before
