"""Where work is done: torch devices, how many workers they carry, and CPU threads."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from corenas.errors import InputError


def pick_devices(device: str) -> tuple[str, ...]:
    """Return the torch devices of ``auto``, or of a list such as ``cuda:0,cuda:1``."""
    import torch

    if device == "auto":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return tuple(f"cuda:{i}" for i in range(count)) or ("cpu",)
    names = tuple(device.split(","))
    for name in names:
        try:
            # The only sure way: a name may parse, and its device still be missing or broken.
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"--device {name}: cannot be used: {reason}") from error
    return names


def default_workers(devices: Sequence[str]) -> int:
    """Return one worker per core, or one per device where they are not CPUs."""
    if any(device != "cpu" for device in devices):
        return len(devices)
    # A container or a batch system may give this process fewer cores than the machine has.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """Return the name of the processor, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def use_one_thread() -> None:
    """Let this process use one CPU thread, whenever it imports torch: for a worker beside others.

    Workers are the parallelism; more threads in each would slow all of them down.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    # torch reads the variables when a job imports it, unless the user's script did so already.
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let torch use so many CPU threads inside, and as many as before afterwards.

    The count is one of the whole process, so a generator must not yield inside: what runs between
    two of its events would have it as well.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
