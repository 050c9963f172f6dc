"""Checkpoints: the state of the stage in progress and the journal offset that it belongs to.

A file is a header line with a digest, then what ``torch.save`` writes; it is read with
``weights_only=True``, so a file that holds code is refused. The one before the last is kept, for
the case that the last turns out damaged.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.errors import ResumeError
from corenas.files import atomic_write
from corenas.values.result import State

_MAGIC = b"corenas checkpoint 1 "


@frozen
class Checkpoint:
    """Where a stage stands: its state, the journal's length then, and the seconds spent so far.

    ``journal`` is the journal's digest at that length.
    """

    stage: str
    offset: int
    seconds: float
    state: State
    journal: str = ""


def _previous_path(path: Path) -> Path:
    return path.with_suffix(".previous" + path.suffix)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, keeping the one before it."""
    import torch

    buffer = io.BytesIO()
    torch.save(
        {
            "stage": checkpoint.stage,
            "offset": checkpoint.offset,
            "seconds": checkpoint.seconds,
            "state": checkpoint.state,
            "journal": checkpoint.journal,
        },
        buffer,
    )
    # Into memory first, because the digest stands in front.
    payload = buffer.getbuffer()
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest().encode()
    # Renamed before the new one is written: a kill in between leaves the one before, and a full
    # disk cannot take both.
    if path.exists():
        path.replace(_previous_path(path))
    with atomic_write(path) as file:
        file.write(_MAGIC + digest + b"\n")
        file.write(payload)


def load(path: Path) -> Checkpoint:
    """Read one file; its tensors come to the CPU, since the device they were on may be gone.

    Raises:
        ResumeError: It is damaged, or holds something other than data.
    """
    import torch

    header, _, payload = path.read_bytes().partition(b"\n")
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest().encode()
    if header != _MAGIC + digest:
        raise ResumeError(f"{path}: not a checkpoint, or a damaged one")
    try:
        value: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location="cpu", weights_only=True
        )
        return Checkpoint(**value)
    except Exception as error:  # torch.load raises many kinds; all mean that the file is refused
        raise ResumeError(f"{path}: refused: {str(error).splitlines()[0]}") from error


def candidates(path: Path) -> Iterator[Path]:
    """Iterate over the files that may hold the stage's state, the newest first."""
    return (p for p in (path, _previous_path(path)) if p.exists())


def remove(path: Path) -> None:
    """Delete the stage's checkpoints, once its result is stored."""
    for file in (path, _previous_path(path)):
        file.unlink(missing_ok=True)
