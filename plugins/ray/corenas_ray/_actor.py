"""What runs on the nodes: a worker, and a look at what a node has."""

from __future__ import annotations

import os
import pickle
import platform
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import ray
from attrs import frozen

from corenas.devices import use_one_thread
from corenas.plugins.registry import default_registry
from corenas.search.executors.attempt import attempt_pickled


@frozen
class Node:
    """What is known of a node: Ray's id, its host, the versions there, and which files it lacks."""

    id: str
    host: str
    versions: Mapping[str, str]
    missing: tuple[str, ...]


def look(files: Sequence[str]) -> Node:
    """Look at the node that this runs on.

    Args:
        files: Paths that have to exist.
    """
    missing = tuple(name for name in files if not Path(name).exists())
    return Node(ray.get_runtime_context().get_node_id(), socket.gethostname(), versions(), missing)


def versions() -> dict[str, str]:
    """Return what has to be the same everywhere: Python, the packages, and each plugin."""
    plugins = default_registry().plugins
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{name: metadata.version(name) for name in ("corenas", "torch", "ray")},
        **{f"plugin {p.name}": f"{p.distribution} {p.version}" for p in plugins if not p.error},
    }


class Worker:
    """A process of its own on a node: one job at a time."""

    def __init__(self) -> None:
        use_one_thread()

    def look(self, files: Sequence[str]) -> tuple[Node, int]:
        """Return what the worker's node has, and the worker's process number."""
        return look(files), os.getpid()

    def get_ready(self, job: bytes) -> None:
        """Load a job's data: the time that it may take begins when this has ended."""
        # What goes wrong here goes wrong in `run` as well, which says it.
        with suppress(Exception, SystemExit):
            get_ready = getattr(pickle.loads(job), "get_ready", None)
            if get_ready is not None:
                get_ready(_device())

    def run(self, job: bytes) -> bytes:
        """Run a job; see `attempt_pickled`."""
        return attempt_pickled(job, _device())


def _device() -> str:
    # Ray shows a process the GPUs that are its own, from 0 on.
    return "cuda:0" if ray.get_gpu_ids() else "cpu"
