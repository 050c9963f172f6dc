"""What ``corenas doctor`` says of a cluster, of none, and of one that does not answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs corenas[ray]")


def doctor(address: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "corenas.cli", "doctor", "--json"],
        env={**os.environ, "RAY_ADDRESS": address},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    return {check["name"]: check for check in found["checks"]}


def test_machines_of_a_cluster(cluster: Any) -> None:
    checks = doctor(cluster.address)
    assert checks["ray"]["ok"]
    assert checks["ray cluster"]["found"] == "2 machines with 2 CPUs and 0 GPUs"
    here = checks[f"ray node {socket.gethostname()}"]
    assert here["ok"]
    assert here["found"] in ("0 CPUs, 0 GPUs", "2 CPUs, 0 GPUs")


def test_a_cluster_that_does_not_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    check = doctor(address)["ray cluster"]
    assert not check["ok"]
    assert check["found"] == f"{address}: cannot be reached: Connection refused"
