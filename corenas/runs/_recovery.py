"""Where a run goes on: the last point on which journal, records and checkpoints agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from corenas.errors import ResumeError
from corenas.runs import _checkpoint as checkpoints
from corenas.runs import journal
from corenas.runs._checkpoint import Checkpoint
from corenas.runs._records import Record, read_records, set_aside
from corenas.values.trial import Event


@frozen
class Recovered:
    """Where a run goes on.

    ``events`` are those of the journal's first ``offset`` bytes, ``dropped`` says how many others
    were there; ``records`` are the finished stages by name, in their order.
    """

    events: Sequence[Event]
    offset: int
    dropped: int
    records: Mapping[str, Record]
    checkpoint: Checkpoint | None


def checkpoint_file(folder: Path) -> Path:
    """Return where the state of the stage in progress lies."""
    return folder / "checkpoints" / "current.pt"


def recover(folder: Path, say: Callable[[str], None]) -> Recovered:
    """Find where a run goes on. Files that are no longer trusted are renamed and reported.

    Raises:
        ResumeError: The record of a finished stage is damaged.
    """
    path = folder / "journal.jsonl"
    contents = journal.read(path)
    # They were never renamed, so nothing refers to them.
    _remove_torn(folder)
    if contents.damage:
        say(f"journal: {contents.damage}")
    found = read_records(folder)
    records = _keep_proven(found, contents, path)
    finished = records[-1].offset if records else 0
    checkpoint, misfit = _read_checkpoint(folder, finished, contents, say)
    # Events after this point have no state behind them, so they are done again.
    offset = finished if checkpoint is None else checkpoint.offset
    lost = [record.stage for record in found[len(records) :]]
    lost += [stage for stage, end in contents.finished() if end > offset and stage not in lost]
    # A torn last line is what every kill leaves, and nothing is lost with it: no copy is kept.
    if lost or misfit or (contents.damage and not contents.torn):
        kept = set_aside(folder, found[len(records) :], checkpoint=misfit)
        again = ", ".join(lost) or "what came after the last good checkpoint"
        say(f"done again: {again}; what was there is kept as {', '.join(kept)}")
    events = list(contents.before(offset))
    return Recovered(
        events,
        offset,
        len(contents.events) - len(events),
        {record.stage: record for record in records},
        checkpoint,
    )


def _keep_proven(
    records: Sequence[Record], contents: journal.Contents, path: Path
) -> Sequence[Record]:
    """Return the records up to the first that does not follow the one before it."""
    before = 0
    for count, record in enumerate(records):
        # What comes after an unproven stage was computed from it, so it is not believed either.
        if not record.follows(contents, path, before):
            return records[:count]
        before = record.offset
    return records


def _read_checkpoint(
    folder: Path, after: int, contents: journal.Contents, say: Callable[[str], None]
) -> tuple[Checkpoint | None, bool]:
    """Return the newest checkpoint that fits the journal, and whether one did not fit."""
    misfit = False
    for file in checkpoints.candidates(checkpoint_file(folder)):
        try:
            checkpoint = checkpoints.load(file)
        except ResumeError as error:
            say(f"{error}; continuing from what was saved before it")
            continue
        if _fits(checkpoint, after, contents, folder / "journal.jsonl"):
            return checkpoint, misfit
        # One from before the last finished stage was about to be removed: it is no loss.
        misfit = misfit or checkpoint.offset > after
    return None, misfit


def _fits(checkpoint: Checkpoint, after: int, contents: journal.Contents, path: Path) -> bool:
    """Return whether a checkpoint is of this journal, and of the stage that comes next."""
    # A stage between the two is one whose record is missing.
    between = [stage for stage, end in contents.finished() if after < end <= checkpoint.offset]
    here = after < checkpoint.offset <= contents.size and not between
    return here and journal.digest(path, checkpoint.offset) == checkpoint.journal


def _remove_torn(folder: Path) -> None:
    """Remove what a kill left of files, and of folders of files, that were being written."""
    for torn in list(folder.glob("**/.*~")):
        if torn.is_dir():
            shutil.rmtree(torn)
        else:
            torn.unlink(missing_ok=True)
