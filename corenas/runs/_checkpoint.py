"""Checkpoints: the state of the stage in progress and the journal offset that it belongs to.

A file is a line with a digest of what ``torch.save`` writes, a line of JSON with all but the state,
and what ``torch.save`` writes; that is read with ``weights_only=True``, so a file that holds code
is refused. The one before the last is kept, for the case that the last turns out damaged.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from attrs import evolve, field, frozen

from corenas.errors import ResumeError
from corenas.files import atomic_write
from corenas.runs.journal import decode, encode
from corenas.show.progress import Standing
from corenas.values.result import State

_MAGIC = b"corenas checkpoint 2 "
_WHOLE = b"corenas checkpoint 1 "
"""Of files that have all in what ``torch.save`` wrote, and nothing of the progress."""


@frozen
class Checkpoint:
    """Where a stage stands: its state, the journal's length then, and the seconds spent so far.

    ``journal`` is the journal's digest at that length, ``standing`` how far the run was; None where
    an earlier version wrote the file. ``where`` is how many workers were on which other machine.
    """

    stage: str
    offset: int
    seconds: float
    state: State = field(factory=dict)
    journal: str = ""
    standing: Standing | None = None
    where: Mapping[str, int] = field(factory=dict)


def _previous_path(path: Path) -> Path:
    return path.with_suffix(".previous" + path.suffix)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, keeping the one before it."""
    import torch

    buffer = io.BytesIO()
    torch.save({"state": checkpoint.state}, buffer)
    # Into memory first, because the digest stands in front.
    payload = buffer.getbuffer()
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest().encode()
    header = {
        "stage": checkpoint.stage,
        "offset": checkpoint.offset,
        "seconds": checkpoint.seconds,
        "journal": checkpoint.journal,
        "standing": checkpoint.standing and checkpoint.standing.to_json(),
        "where": dict(checkpoint.where),
    }
    # Renamed before the new one is written: a kill in between leaves the one before, and a full
    # disk cannot take both.
    if path.exists():
        path.replace(_previous_path(path))
    with atomic_write(path) as file:
        file.write(_MAGIC + digest + b"\n")
        file.write(encode(header))
        file.write(payload)


def load(path: Path) -> Checkpoint:
    """Read one file; its tensors come to the CPU, since the device they were on may be gone.

    Raises:
        ResumeError: It is damaged, or holds something other than data.
    """
    import torch

    with path.open("rb") as file:
        first = file.readline()
        checkpoint = _read_header(path, first, file)
        payload = file.read()
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest().encode()
    if first.rstrip(b"\n")[len(_MAGIC) :] != digest:
        raise ResumeError(_explain_damage(path))
    try:
        value: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location="cpu", weights_only=True
        )
        return Checkpoint(**value) if checkpoint is None else evolve(checkpoint, **value)
    except Exception as error:  # torch.load raises many kinds; all mean that the file is refused
        raise ResumeError(f"{path}: refused: {str(error).splitlines()[0]}") from error


def load_header(path: Path) -> Checkpoint | None:
    """Read all but the state, without torch; None where an earlier version wrote the file.

    Raises:
        ResumeError: It is damaged.
    """
    with path.open("rb") as file:
        return _read_header(path, file.readline(), file)


def _read_header(path: Path, first: bytes, file: BinaryIO) -> Checkpoint | None:
    if first.startswith(_WHOLE):
        return None
    if not first.startswith(_MAGIC):
        raise ResumeError(_explain_damage(path))
    try:
        value = decode(file.readline())
        standing = value.pop("standing")
        return Checkpoint(
            **value, standing=None if standing is None else Standing.from_json(standing)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResumeError(_explain_damage(path)) from error


def _explain_damage(path: Path) -> str:
    return f"{path}: not a checkpoint, or a damaged one"


def candidates(path: Path) -> Iterator[Path]:
    """Iterate over the files that may hold the stage's state, the newest first."""
    return (p for p in (path, _previous_path(path)) if p.exists())


def remove(path: Path) -> None:
    """Delete the stage's checkpoints, once its result is stored."""
    for file in (path, _previous_path(path)):
        file.unlink(missing_ok=True)
