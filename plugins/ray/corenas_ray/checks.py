"""What ``corenas doctor`` says of Ray: its version, and each machine of the cluster it finds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from corenas.errors import CorenasError
from corenas.plugins.checks import Check
from corenas_ray.config import RayConfig

if TYPE_CHECKING:
    from corenas_ray._cluster import Cluster


def look_around(lacking: str) -> Iterator[Check]:
    """Look for Ray, and for a cluster that this machine is in or ``RAY_ADDRESS`` names.

    Args:
        lacking: What has to be installed first, if anything.
    """
    if lacking:
        yield Check("ray", f"not installed; 'pip install {lacking}' brings the executor 'ray'")
        return
    try:
        import ray

        from corenas_ray._cluster import Cluster
    # A broken installation raises OSError or anything else; doctor must survive it.
    except Exception as error:
        yield Check("ray", f"cannot be imported: {error}", ok=False)
        return
    yield Check("ray", ray.__version__)
    address = _find_address()
    if not address:
        yield Check("ray cluster", "none here, and RAY_ADDRESS names none")
        return
    try:
        cluster = Cluster(RayConfig(address=address), None)
    except CorenasError as error:
        yield Check("ray cluster", str(error), ok=False)
        return
    try:
        yield from _describe(cluster)
    finally:
        cluster.close()


def _find_address() -> str:
    """Return where the cluster is that ``auto`` would join; nothing where there is none.

    Only what answers counts: Ray's note of it stays when a cluster ends badly. The private Ray of
    a search is no cluster, and is not looked for.
    """
    from corenas_ray._cluster import knock

    named = os.environ.get("RAY_ADDRESS", "")
    if named and named != "local":
        return named
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        noted = (folder / "ray" / "ray_current_cluster").read_text().strip()
        knock(noted)
    except (OSError, CorenasError):
        return ""
    return noted


def _describe(cluster: Cluster) -> Iterator[Check]:
    machines = list(cluster.inspect(()))
    cpus, gpus = (sum(getattr(each, name) for each in machines) for name in ("cpus", "gpus"))
    yield Check("ray cluster", f"{len(machines)} machines with {cpus:g} CPUs and {gpus:g} GPUs")
    for each in machines:
        kinds = f" ({', '.join(each.accelerators)})" if each.accelerators else ""
        has = f"{each.cpus:g} CPUs, {each.gpus:g} GPUs{kinds}"
        found = f"{has}; {each.problem}" if each.problem else has
        yield Check(f"ray node {each.host}", found, not each.problem)
