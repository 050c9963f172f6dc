"""The connection to a cluster: begun when it is needed, and ended as it was found."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from attrs import frozen
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from corenas.devices import default_workers
from corenas.errors import ConfigError, CorenasError
from corenas_ray._actor import Node, look, versions
from corenas_ray.config import RayConfig

LOOK_SECONDS = 60.0
"""How long a node may take to answer before the start."""

KNOCK_SECONDS = 10.0
"""How long the cluster's head may take to answer at all."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_ACCELERATOR = "accelerator_type:"
"""What Ray's name of a kind of GPU begins with."""


@frozen
class Machine:
    """A node of the cluster: what it has in all, and why it cannot be used, if so."""

    host: str
    cpus: float
    gpus: float
    accelerators: tuple[str, ...]
    problem: str


class Cluster:
    """A connection to Ray.

    Args:
        config: Says which cluster, and what a worker takes of it.
        workers: How many workers a Ray of this machine alone has to have room for.
    """

    def __init__(self, config: RayConfig, workers: int | None) -> None:
        self._config = config
        self._ours = not ray.is_initialized()
        if self._ours:
            _connect(config, workers)

    def room(self) -> int:
        """Return how many workers all living nodes have room for, whatever else runs there."""
        return sum(self._room_on(node["Resources"]) for node in living_nodes())

    def _room_on(self, resources: Mapping[str, float]) -> int:
        needed = {"CPU": self._config.cpus, "GPU": self._config.gpus}
        # A part of a GPU has to be a part of one GPU: three thirds fit on one, and no more.
        shares = [
            math.floor(round(resources.get(name, 0.0) / amount, 6))
            for name, amount in needed.items()
            if amount > 0
        ]
        return min(shares, default=default_workers(("cpu",)))

    def alive(self) -> set[str]:
        """Return the nodes that are part of the cluster."""
        return {node["NodeID"] for node in living_nodes()}

    def worker(self, actor: type[Any], **options: Any) -> Any:
        """Start an actor for a worker; Ray places it where there is room."""
        return (
            ray.remote(actor)
            .options(
                num_cpus=self._config.cpus,
                num_gpus=self._config.gpus,
                # An idle machine is used before a second worker goes to a busy one.
                scheduling_strategy="SPREAD",
                max_restarts=0,
                runtime_env=self._environment,
                **options,
            )
            .remote()
        )

    @property
    def _environment(self) -> dict[str, Any] | None:
        variables = dict(self._config.variables)
        return {"env_vars": variables} if variables else None

    def check(self, files: Sequence[Path]) -> None:
        """Look at every node.

        Raises:
            ConfigError: One has other versions, lacks a file, or does not answer.
        """
        for machine in self.inspect(files):
            if machine.problem:
                raise ConfigError(machine.problem)

    def inspect(self, files: Sequence[Path]) -> Iterator[Machine]:
        """Look at every node; all are asked at once.

        Args:
            files: What has to exist there.
        """
        names = [str(file) for file in files]
        asked = [(node, self._ask(node, names)) for node in living_nodes()]
        for node, answer in asked:
            has = node["Resources"]
            kinds = (name.removeprefix(_ACCELERATOR) for name in has if _ACCELERATOR in name)
            yield Machine(
                _name_of(node),
                has.get("CPU", 0.0),
                has.get("GPU", 0.0),
                tuple(sorted(kinds)),
                _find_problem(node, answer),
            )

    def _ask(self, node: Mapping[str, Any], files: Sequence[str]) -> Any:
        """Return Ray's reference to what a node has to say, as a worker there will be."""
        # Variables may say where packages lie.
        remote = ray.remote(look).options(
            num_cpus=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            max_retries=0,
            runtime_env=self._environment,
        )
        return remote.remote(files)

    def close(self) -> None:
        """Leave the cluster; a Ray of this machine alone ends."""
        if self._ours and ray.is_initialized():
            with _own_signals():
                ray.shutdown()


def _find_problem(node: Mapping[str, Any], answer: Any) -> str:
    try:
        found: Node = ray.get(answer, timeout=LOOK_SECONDS)
    except RayError as error:
        return f"node {_name_of(node)}: cannot be used: {last_line(error)}"
    return describe_misfit(found)


def _name_of(node: Mapping[str, Any]) -> str:
    return str(node.get("NodeManagerHostname") or node["NodeID"])


def living_nodes() -> list[dict[str, Any]]:
    """Return what Ray knows of each node that is part of the cluster."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def total_resources() -> Mapping[str, float]:
    """Return what all nodes together have, whether it is in use or not."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


def last_line(error: RayError) -> str:
    """Return what an error of Ray says in the end, after where it happened."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def describe_misfit(node: Node) -> str:
    """Return why a node cannot be used, or nothing."""
    here = versions()
    others = [
        f"{name} {node.versions.get(name, 'missing')}, here {version}"
        for name, version in here.items()
        if node.versions.get(name) != version
    ]
    if others:
        return f"node {node.host}: has {'; '.join(others)}: results would differ between machines"
    if node.missing:
        return (
            f"node {node.host}: lacks {', '.join(node.missing)}; data have to lie under the same "
            "path on every machine"
        )
    return ""


def _connect(config: RayConfig, workers: int | None) -> None:
    # Ray would tell its makers that it was started.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"address": config.address}
    if not config.address:
        options = {"address": "local", "include_dashboard": False}
        if workers is not None:
            cores = default_workers(("cpu",))
            options["num_cpus"] = max(cores, math.ceil(workers * config.cpus))
    knock(config.address)
    with _own_signals():
        try:
            ray.init(
                **options, log_to_driver=False, logging_level=logging.ERROR, namespace="corenas"
            )
        except (ConnectionError, RayError, RuntimeError, ValueError) as error:
            where = config.address or "a local Ray"
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise CorenasError(f"{where}: cannot be reached: {reason}") from error


def knock(address: str) -> None:
    """Find out soon whether anything listens at HOST:PORT; Ray itself tries for over a minute."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise CorenasError(f"{address}: cannot be reached: {reason}") from error


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of this process: Ray puts its own in their place."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
