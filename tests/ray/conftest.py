"""A Ray cluster of several nodes on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

STORE = 80 * 2**20
"""Bytes of shared memory for each node: Ray takes a third of the machine by itself."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head without room for workers, and a node with room for two."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs corenas[ray]")
    made = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "include_dashboard": False,
            "object_store_memory": STORE,
            # A lost node is noticed in two seconds instead of half a minute.
            "_system_config": {
                "health_check_initial_delay_ms": 500,
                "health_check_period_ms": 500,
                "health_check_timeout_ms": 3000,
                "health_check_failure_threshold": 3,
            },
        },
    )
    made.add_node(num_cpus=2, object_store_memory=STORE)
    yield made
    made.shutdown()
