"""The records of finished stages, and how those are set aside that the journal does not prove."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.errors import ResumeError
from corenas.files import write_json
from corenas.runs import _checkpoint as checkpoints
from corenas.runs._facts import digest_of
from corenas.runs.journal import Outline, Prefix
from corenas.show.progress import Standing
from corenas.values.result import Result


@frozen
class Record:
    """What a finished stage left: where its journal ends, its result and its files' digests.

    ``journal`` is the digest of the journal's first ``offset`` bytes, ``standing`` how far the run
    was there; None where an earlier version wrote the record.
    """

    stage: str
    offset: int
    journal: str
    seconds: float
    result: Result
    digests: Mapping[str, str]
    standing: Standing | None = None

    def follows(self, outline: Outline, prefix: Prefix, before: int) -> bool:
        """Return whether the stage is the one that the journal calls finished after ``before``."""
        finished = [each for each in outline.finished if before < each[1] <= self.offset]
        proven = finished == [(self.stage, self.offset)]
        return proven and prefix.digest(self.offset) == self.journal

    def write(self, folder: Path) -> None:
        """Write the record into a run's folder."""
        value = {
            "stage": self.stage,
            "offset": self.offset,
            "journal": self.journal,
            "seconds": self.seconds,
            "values": self.result.values,
            "files": dict(self.result.files),
            "digests": dict(self.digests),
            "standing": self.standing and self.standing.to_json(),
        }
        # As it is read back: tuples are lists there.
        check = digest_of(json.loads(json.dumps(value)))
        write_json(_path(folder, self.stage), {**value, "check": check})


def _path(folder: Path, stage: str) -> Path:
    return folder / "checkpoints" / f"{stage}.finished.json"


def read_records(folder: Path) -> list[Record]:
    """Return the records of a run, in the order in which the stages were finished.

    Raises:
        ResumeError: One is damaged.
    """
    # The journal's order, and not that of the files' times: a copied folder has new ones.
    records = [read_record(file) for file in record_files(folder)]
    return sorted(records, key=lambda record: record.offset)


def record_files(folder: Path) -> Iterator[Path]:
    """Iterate over the files of a run's records, in any order."""
    return folder.glob("checkpoints/*.finished.json")


def read_record(file: Path) -> Record:
    """Read one.

    Raises:
        ResumeError: It is damaged.
    """
    try:
        value: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        # An earlier version wrote neither.
        check, standing = value.pop("check", None), value.get("standing")
        if check is not None and check != digest_of(value):
            raise ValueError("wrong digest")
        return Record(
            str(value["stage"]),
            int(value["offset"]),
            str(value["journal"]),
            float(value["seconds"]),
            Result(dict(value["values"]), dict(value["files"])),
            dict(value["digests"]),
            None if standing is None else Standing.from_json(standing),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResumeError(
            f"{file}: damaged; bring it back from a copy, or delete it to do this stage and all "
            "that came after it again"
        ) from error


def set_aside(folder: Path, records: Iterable[Record], *, checkpoint: bool) -> list[str]:
    """Rename what is no longer trusted: records and checkpoint; copy the journal.

    Returns:
        The names, relative to the folder.
    """
    # With microseconds: two attempts within a second must not write over each other.
    mark = f"damaged-{datetime.now():%Y%m%d-%H%M%S-%f}"
    kept = []
    source = folder / "journal.jsonl"
    if source.exists() and source.stat().st_size:
        copy = folder / f"journal.{mark}.jsonl"  # a copy: the valid part goes on under its name
        shutil.copy2(source, copy)
        kept.append(copy)
    files = [_path(folder, record.stage) for record in records]
    if checkpoint:
        files += checkpoints.candidates(folder / "checkpoints" / "current.pt")
    for file in files:
        target = file.with_name(f"{file.stem}.{mark}{file.suffix}")
        file.replace(target)
        kept.append(target)
    return [path.relative_to(folder).as_posix() for path in kept]
