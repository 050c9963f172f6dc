"""Evaluation on the machines of a Ray cluster, which may come, go and die without harm."""

from __future__ import annotations

import math
import pickle
import time
import warnings
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from attrs import define
from ray.exceptions import (
    ActorUnavailableError,
    GetTimeoutError,
    ObjectLostError,
    RayActorError,
    RayError,
)

from corenas.errors import CorenasError
from corenas.protocols import Executor, Job
from corenas.search.executors.attempt import pickled
from corenas.stopping import Stop
from corenas.values.evaluation import Failure, Outcome
from corenas_ray._actor import Node, Worker
from corenas_ray._cluster import Cluster, describe_misfit, last_line, total_resources
from corenas_ray.config import RayConfig

POLL_SECONDS = 0.2
"""How soon a stop is noticed while nothing else happens."""

GROW_SECONDS = 5.0
"""How often the cluster is asked how large it is."""

DEATH_SECONDS = 30.0
"""How long Ray may take to tell what became of a worker that does not answer."""


def ray_executor(
    config: RayConfig, stop: Stop, *, workers: int | None, devices: Sequence[str] = ("cpu",)
) -> Executor:
    """Build the executor; nothing is started or connected before the first job.

    Args:
        config: The options.
        stop: Ends `next` early.
        workers: How many candidates are evaluated at once; by default as many as have room.
        devices: Those of this machine, which do not matter: ``gpus`` says what a worker computes
            on.
    """
    return RayExecutor(config, stop, workers=workers)


@define(eq=False)
class _Job:
    """A job that is not handed out yet; ``lost`` is how often its machine was."""

    key: int
    content: bytes
    lost: int = 0


@define(eq=False)
class _Worker:
    """An actor with its node, once that is known, and what it is doing."""

    actor: Any
    placed: Any
    """Ray's reference to what the actor tells when it has begun."""
    node: Node | None = None
    pid: int = 0
    job: _Job | None = None
    ready: Any = None
    result: Any = None
    began: float = math.inf


class RayExecutor:
    """Runs jobs in actors, each a process on a machine of the cluster.

    Ray decides where they are. As many jobs are taken as there are workers, and a job counts until
    its result is handed out: so `idle` depends on the calls alone while no machine comes or goes.
    A job whose machine is lost runs again; one whose process dies on a machine that lives is a
    failed trial.
    """

    def __init__(self, config: RayConfig, stop: Stop, *, workers: int | None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"expected workers, got {workers}")
        self._config = config
        self._stop = stop
        self._wanted = workers
        self._cluster: Cluster | None = None
        self._closed = False
        self._files: Sequence[Path] = ()
        self._workers: list[_Worker] = []
        self._refused: list[_Worker] = []
        self._free: deque[_Worker] = deque()
        self._waiting: deque[_Job] = deque()
        self._jobs: dict[int, _Job] = {}
        self._finished: dict[int, Outcome | Failure] = {}
        self._looked = -math.inf
        self._not_started = ""
        """Why the last worker that could not begin did not."""

    @property
    def idle(self) -> bool:
        """Whether a worker is free; before the first is placed, whether nothing waits for it."""
        return len(self._jobs) < max(1, self._placed())

    def _placed(self) -> int:
        return sum(worker.node is not None for worker in self._workers)

    def check(self, files: Sequence[Path]) -> None:
        """Look at every node, and at each that joins later.

        Raises:
            CorenasError: The cluster cannot be reached, or one of its nodes has other versions or
                lacks a file.
        """
        self._files = files
        self._connect().check(files)

    def where(self) -> Mapping[str, int]:
        """Return how many workers each host has."""
        return dict(Counter(worker.node.host for worker in self._workers if worker.node))

    def submit(self, key: int, job: Job) -> None:
        """Start the job, or let it wait for a worker when none is idle.

        Raises:
            CorenasError: The job cannot be pickled, or the cluster has no room for a worker.
        """
        if self._closed:
            raise RuntimeError("the executor is closed")
        content = pickled(job)
        if not self._workers:
            self._begin()
        self._jobs[key] = waiting = _Job(key, content)
        self._waiting.append(waiting)
        self._start()

    def next(self) -> tuple[int, Outcome | Failure]:
        """Wait for the next result in the executor's order.

        Raises:
            Stopped: A stop was requested meanwhile; results not handed out yet are lost.
        """
        while True:
            self._stop.check()
            if not self._jobs:
                raise RuntimeError("next() was called without a job in flight")
            ordered = self._jobs if self._config.order == "submission" else self._finished
            key = next(iter(ordered), None)
            if key is not None and key in self._finished:
                return key, self._hand_out(key)
            self._wait()

    def close(self) -> None:
        """Kill every worker and leave the cluster; a second call does nothing."""
        self._closed = True
        if self._cluster is None:
            return
        for worker in [*self._workers, *self._refused]:
            _kill(worker)
        self._workers.clear()
        self._refused.clear()
        self._free.clear()
        self._cluster.close()
        self._cluster = None

    # --- workers ----------------------------------------------------------------------------------

    def _connect(self) -> Cluster:
        if self._cluster is None:
            self._cluster = Cluster(self._config, self._wanted)
        return self._cluster

    def _begin(self) -> None:
        """Start the workers, and wait until those that have room are placed, or the first is."""
        self._grow()
        room = min(len(self._workers), self._connect().room())
        end = time.monotonic() + self._config.patience
        while self._placed() < max(1, room):
            self._stop.check()
            if time.monotonic() > end:
                break
            self._take_placed(timeout=POLL_SECONDS)
            if self._not_started:
                break
        if not self._placed():
            self._say_no_room()

    def _say_no_room(self) -> None:
        if self._not_started:
            raise CorenasError(f"a worker cannot be started: {self._not_started}")
        needs = f"{self._config.cpus:g} CPUs and {self._config.gpus:g} GPUs"
        total = total_resources()
        has = f"{total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs"
        raise CorenasError(
            f"the cluster had no room for a worker within {self._config.patience:g} s: one needs "
            f"{needs}, and all machines together have {has}, some of them in use; "
            "where there is room, Ray's logs say why no worker starts"
        )

    def _grow(self) -> None:
        """Start as many workers as are wanted, or have room now."""
        self._looked = time.monotonic()
        cluster = self._connect()
        alive = cluster.alive()
        self._refused = [each for each in self._refused if each.node and each.node.id in alive]
        for worker in list(self._workers):
            if worker.node and worker.node.id not in alive:
                self._forget_if_idle(worker)
        wanted = cluster.room() - len(self._refused) if self._wanted is None else self._wanted
        # One at least: where none has room, Ray waits for a machine that has.
        while len(self._workers) < max(1, wanted):
            actor = cluster.worker(Worker)
            placed = actor.look.remote([str(file) for file in self._files])
            self._workers.append(_Worker(actor, placed))

    def _take_placed(self, *, timeout: float) -> None:
        """Take in workers that have begun."""
        coming = {worker.placed: worker for worker in self._workers if worker.node is None}
        if not coming:
            return
        done, _ = ray.wait(list(coming), num_returns=len(coming), timeout=timeout)
        for reference in done:
            self._place(coming[reference])

    def _place(self, worker: _Worker) -> None:
        try:
            node, worker.pid = ray.get(worker.placed)
        except RayError as error:
            # Its machine was lost before it began, say; `_grow` starts another.
            self._not_started = last_line(error)
            self._workers.remove(worker)
            return
        misfit = describe_misfit(node)
        if misfit:
            # It stays where it is, so that Ray puts no other worker there, and gets no job.
            worker.node = node
            self._workers.remove(worker)
            self._refused.append(worker)
            warnings.warn(f"{misfit}; it is not used", stacklevel=2)
            return
        worker.node = node
        self._free.append(worker)

    # --- jobs -------------------------------------------------------------------------------------

    def _start(self) -> None:
        while self._waiting and self._free:
            worker, job = self._free.popleft(), self._waiting.popleft()
            worker.job, worker.began = job, math.inf
            if self._config.time_limit is None:
                worker.result = worker.actor.run.remote(job.content)
                continue
            content = ray.put(job.content)  # sent once, for both calls
            worker.ready = worker.actor.get_ready.remote(content)
            worker.result = worker.actor.run.remote(content)

    def _wait(self) -> None:
        """Return when something may have changed."""
        if time.monotonic() - self._looked > GROW_SECONDS:
            self._grow()
        self._take_placed(timeout=0)
        self._start()
        working = {worker.result: worker for worker in self._workers if worker.job}
        references = [*working, *(w.ready for w in working.values() if w.ready is not None)]
        references += [worker.placed for worker in self._workers if worker.node is None]
        if not references:
            time.sleep(POLL_SECONDS)  # every machine is lost; another may join
            return
        done, _ = ray.wait(references, timeout=self._seconds_to_wait())
        for reference in done:
            if reference in working:
                self._take_result(working[reference])
        for worker in working.values():
            if worker.ready in done:
                worker.ready, worker.began = None, time.monotonic()
        self._end_overdue(working.values())

    def _seconds_to_wait(self) -> float:
        remaining = self._stop.remaining()
        return POLL_SECONDS if remaining is None else min(POLL_SECONDS, remaining)

    def _take_result(self, worker: _Worker) -> None:
        job = worker.job
        assert job is not None
        try:
            self._finished[job.key] = pickle.loads(ray.get(worker.result))
            self._release(worker)
        except (RayActorError, ObjectLostError) as error:
            self._workers.remove(worker)
            self._take_death(worker, job, error)
            self._grow()
        except Exception as error:  # the outcome cannot be unpickled here
            self._finished[job.key] = Failure("error", f"{type(error).__name__}: {error}"[:400])
            self._release(worker)

    def _release(self, worker: _Worker) -> None:
        """Let a worker have the next job that waits, such as one whose machine was lost."""
        worker.job = worker.ready = worker.result = None
        self._free.append(worker)
        self._start()

    def _take_death(self, worker: _Worker, job: _Job, error: Exception) -> None:
        assert worker.node is not None
        reason = self._explain_death(worker, error)
        if reason and not self._is_lost(worker.node, reason):
            # Ray ends processes itself where a machine's memory runs out, and says so.
            short = "running low on memory" in reason
            message = f"its worker process died: {reason}"
            self._finished[job.key] = Failure("memory" if short else "killed", message[:400])
            return
        self._grow()  # which takes the others on that machine away, too
        job.lost += 1
        if job.lost > self._config.retries:
            message = f"the machine that it ran on was lost {job.lost} times"
            self._finished[job.key] = Failure("killed", message)
            return
        warnings.warn(f"node {worker.node.host} was lost; what ran there runs again", stacklevel=2)
        self._waiting.appendleft(job)

    def _is_lost(self, node: Node, reason: str) -> bool:
        return "node has died" in reason or node.id not in self._connect().alive()

    def _forget_if_idle(self, worker: _Worker) -> None:
        """Give a worker whose machine is lost no more jobs; one that has a job is found by that."""
        if worker.job is None:
            self._workers.remove(worker)
            self._free.remove(worker)

    def _explain_death(self, worker: _Worker, error: Exception) -> str:
        """Return Ray's last word on why an actor does not answer; nothing where it is not known.

        At first Ray only knows that it cannot be reached; whether its machine is lost comes later.
        """
        end = time.monotonic() + DEATH_SECONDS
        while isinstance(error, ActorUnavailableError):
            self._stop.check()
            if time.monotonic() > end:
                break
            try:
                ray.get(worker.actor.look.remote([]), timeout=POLL_SECONDS)
                break  # it answers again, but what it was doing is lost
            except GetTimeoutError:
                continue
            except RayError as newer:
                error = newer
            time.sleep(POLL_SECONDS / 2)
        _kill(worker)
        return "" if isinstance(error, ActorUnavailableError) else " ".join(str(error).split())

    def _end_overdue(self, working: Any) -> None:
        limit = self._config.time_limit
        for worker in list(working):
            if limit is None or worker.job is None or worker.job.key in self._finished:
                continue
            if time.monotonic() - worker.began >= limit:
                _kill(worker)
                self._workers.remove(worker)
                message = f"took longer than its limit of {limit:g} s; it was killed"
                self._finished[worker.job.key] = Failure("timeout", message)
                self._grow()

    def _hand_out(self, key: int) -> Outcome | Failure:
        del self._jobs[key]
        return self._finished.pop(key)


def _kill(worker: _Worker) -> None:
    with suppress(RayError, ValueError):  # it may be dead already
        ray.kill(worker.actor, no_restart=True)
