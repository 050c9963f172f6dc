"""Where work is done: torch devices, and how many workers they carry."""

from __future__ import annotations

import os
from collections.abc import Sequence

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
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"--device {name}: cannot be used: {reason}") from error
    return names


def default_workers(devices: Sequence[str]) -> int:
    """Return one worker per core, or one per device where they are not CPUs."""
    if any(device != "cpu" for device in devices):
        return len(devices)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
