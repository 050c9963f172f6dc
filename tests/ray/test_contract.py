"""What every executor promises, of Ray's."""

from __future__ import annotations

from typing import Any

import pytest

from corenas.protocols import Executor
from corenas.stopping import Stop
from corenas.testing.contracts import ExecutorContract

pytest.importorskip("ray", reason="needs corenas[ray]")

from corenas_ray.config import RayConfig
from corenas_ray.executor import RayExecutor


class _OnRay(ExecutorContract):
    @pytest.fixture(autouse=True)
    def _on_cluster(self, cluster: Any) -> None:
        self.address = cluster.address

    def make(self, stop: Stop) -> Executor:
        config = RayConfig(address=self.address, order=self.order)
        return RayExecutor(config, stop, workers=self.workers)


class TestOneWorker(_OnRay):
    workers = 1


class TestTwoWorkers(_OnRay):
    workers = 2


class TestTwoWorkersInOrder(_OnRay):
    workers = 2
    order = "submission"
