"""Where a run stands: the last point on which journal, records and checkpoints agree."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from corenas.errors import ResumeError
from corenas.runs import _checkpoint as checkpoints
from corenas.runs import journal
from corenas.runs._checkpoint import Checkpoint
from corenas.runs._records import Record, read_record, read_records, record_files, set_aside
from corenas.runs.journal import Outline, Prefix
from corenas.show.progress import Standing


@frozen
class Recovered:
    """Where a run goes on.

    ``events`` is how many the journal's first ``offset`` bytes hold, ``dropped`` how many others
    were there; ``standing`` is how far the run was after them; ``records`` are the finished stages
    by name, in their order.
    """

    events: int
    offset: int
    dropped: int
    standing: Standing
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
    contents, prefix = journal.outline(path), journal.Prefix(path)
    # They were never renamed, so nothing refers to them.
    _remove_torn(folder)
    if contents.damage:
        say(f"journal: {contents.damage}")
    found = read_records(folder)
    records = _keep_proven(found, contents, prefix)
    finished = records[-1].offset if records else 0
    checkpoint, misfit = _read_checkpoint(folder, finished, contents, prefix, say)
    # Events after this point have no state behind them, so they are done again.
    offset = finished if checkpoint is None else checkpoint.offset
    lost = [record.stage for record in found[len(records) :]]
    lost += [stage for stage, end in contents.finished if end > offset and stage not in lost]
    # A torn last line is what every kill leaves, and nothing is lost with it: no copy is kept.
    if lost or misfit or (contents.damage and not contents.torn):
        kept = set_aside(folder, found[len(records) :], checkpoint=misfit)
        again = ", ".join(lost) or "what came after the last good checkpoint"
        say(f"done again: {again}; what was there is kept as {', '.join(kept)}")
    last = checkpoint or (records[-1] if records else None)
    standing = last.standing if last else None
    events = contents.count(offset)
    return Recovered(
        events,
        offset,
        len(contents.ends) - events,
        _replay(path, offset) if standing is None else standing,
        {record.stage: record for record in records},
        checkpoint,
    )


@frozen
class Progress:
    """How far a run is, read without opening it, and what is wrong with its journal.

    ``where`` is how many workers were on which other machine when it was last saved.
    """

    standing: Standing
    damage: str
    where: Mapping[str, int]


def read_progress(folder: Path) -> Progress:
    """Find out how far a run is, which another process may be working on.

    What the newest checkpoint or record knows is taken as it stands, where the journal proves it;
    only what came after it is read from there.
    """
    path = folder / "journal.jsonl"
    standing, start, where = _newest_standing(folder)
    lines = journal.Lines(path, journal.read_event, start)
    for event, _ in lines:
        standing.take(event)
    return Progress(standing, lines.damage, where)


def _newest_standing(folder: Path) -> tuple[Standing, int, Mapping[str, int]]:
    known: list[Record | Checkpoint] = []
    for read, files in (
        (read_record, record_files(folder)),
        (checkpoints.load_header, checkpoints.candidates(checkpoint_file(folder))),
    ):
        for file in files:
            # It may be damaged, or gone by now: then an older one or the journal has to do.
            with suppress(ResumeError, OSError):
                found = read(file)
                known += [found] if found and found.standing else []
    path = folder / "journal.jsonl"
    size = path.stat().st_size if path.exists() else 0
    for one in sorted(known, key=lambda each: each.offset, reverse=True):
        if one.offset <= size and journal.digest(path, one.offset) == one.journal:
            where = one.where if isinstance(one, Checkpoint) else {}
            return one.standing or Standing(), one.offset, where
    return Standing(), 0, {}


def _replay(path: Path, stop: int) -> Standing:
    """Return what the events of a journal's first bytes amount to."""
    standing = Standing()
    for event, end in journal.Lines(path, journal.read_event):
        if end > stop:
            break
        standing.take(event)
    return standing


def _keep_proven(records: Sequence[Record], contents: Outline, prefix: Prefix) -> Sequence[Record]:
    """Return the records up to the first that does not follow the one before it."""
    before = 0
    for count, record in enumerate(records):
        # What comes after an unproven stage was computed from it, so it is not believed either.
        if not record.follows(contents, prefix, before):
            return records[:count]
        before = record.offset
    return records


def _read_checkpoint(
    folder: Path,
    after: int,
    contents: Outline,
    prefix: Prefix,
    say: Callable[[str], None],
) -> tuple[Checkpoint | None, bool]:
    """Return the newest checkpoint that fits the journal, and whether one did not fit."""
    misfit = False
    for file in checkpoints.candidates(checkpoint_file(folder)):
        try:
            checkpoint = checkpoints.load(file)
        except ResumeError as error:
            say(f"{error}; continuing from what was saved before it")
            continue
        if _fits(checkpoint, after, contents, prefix):
            return checkpoint, misfit
        # One from before the last finished stage was about to be removed: it is no loss.
        misfit = misfit or checkpoint.offset > after
    return None, misfit


def _fits(checkpoint: Checkpoint, after: int, contents: Outline, prefix: Prefix) -> bool:
    """Return whether a checkpoint is of this journal, and of the stage that comes next."""
    # A stage between the two is one whose record is missing.
    between = [stage for stage, end in contents.finished if after < end <= checkpoint.offset]
    here = after < checkpoint.offset <= contents.size and not between
    return here and prefix.digest(checkpoint.offset) == checkpoint.journal


def _remove_torn(folder: Path) -> None:
    """Remove what a kill left of files, and of folders of files, that were being written."""
    for torn in list(folder.glob("**/.*~")):
        if torn.is_dir():
            shutil.rmtree(torn)
        else:
            torn.unlink(missing_ok=True)
