"""What the folder of a run tells, read for its report: also of one that goes on or is damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from corenas.errors import InputError
from corenas.runs import journal
from corenas.runs.identity import read_info, read_summary
from corenas.values.architecture import Architecture
from corenas.values.quantity import Quantity
from corenas.values.ranking import ranked
from corenas.values.trial import Event, Trial

_TAIL_LINES = 12
_TAIL_BYTES = 1 << 16
_BEST = 10

Curve = list[tuple[float, float]]
"""Values of a scalar over the steps of its stage."""


@define
class StageRecord:
    """What the journal says of one stage.

    ``trials`` were measured, ``refused`` were rejected or failed, ``best`` are the best trials of
    different architectures, best first. ``curves`` holds the scalars of its events by name.
    ``architecture`` is the latest of a one-shot search.
    """

    name: str
    step: int = 0
    total: int = 0
    finished: bool = False
    trials: list[Trial] = Factory(list)
    refused: list[Trial] = Factory(list)
    best: list[Trial] = Factory(list)
    curves: dict[str, Curve] = Factory(dict)
    quantities: dict[str, Quantity] = Factory(dict)
    architecture: Architecture | None = None

    def take(self, event: Event) -> None:
        """Take in an event."""
        self.step, self.total = event.step, event.total or self.total
        if event.kind == "stage":
            self.finished = event.message == "finished"
            self.quantities |= {quantity.name: quantity for quantity in event.quantities}
        if event.kind in ("epoch", "trial"):
            for name, value in event.scalars.items():
                self.curves.setdefault(name, []).append((event.step, value))
        if event.kind == "epoch" and event.architecture is not None:
            self.architecture = event.architecture
        if event.trial is not None:
            self._add(event.trial)

    def _add(self, trial: Trial) -> None:
        if trial.status != "finished":
            self.refused.append(trial)
            return
        self.trials.append(trial)
        if trial.score is not None:
            self.best = ranked(self.best, trial, most=_BEST)

    @property
    def leader(self) -> Architecture | None:
        """The best architecture so far, or the latest of a one-shot search."""
        return self.best[0].architecture if self.best else self.architecture

    def counts(self) -> Counter[str]:
        """Return how many trials ended in which way."""
        return Counter(trial.status for trial in (*self.trials, *self.refused))


@frozen
class RunRecord:
    """What a run's folder tells.

    Args:
        folder: The run's.
        state: ``running``, ``finished``, ``stopped`` or ``failed``.
        info: What ``run.json`` says: recipe, preset, seed, command, versions, configuration.
        summary: What ``summary.json`` says; empty where there is none yet.
        stages: By name, in the order in which they began.
        tail: The last lines of the journal, the oldest first.
        updated: When the last event was journaled, in ISO 8601.
        notes: What is missing or damaged.
    """

    folder: Path
    state: str
    info: Mapping[str, Any]
    summary: Mapping[str, Any]
    stages: Mapping[str, StageRecord]
    tail: Sequence[Mapping[str, Any]]
    updated: str
    notes: tuple[str, ...]

    @property
    def config(self) -> Mapping[str, Any]:
        """The run's configuration as nested mappings."""
        return mapping(self.info.get("config"))

    def chosen(self) -> str:
        """Return the id of the architecture that the run chose, or would choose now."""
        named = mapping(self.summary.get("architecture")).get("id")
        if isinstance(named, str):
            return named
        found = [best for stage in self.stages.values() if (best := stage.leader)]
        # What a later stage searches may be another network, such as one that judges the first.
        same = [best for best in found if best.space == found[0].space]
        return same[-1].id if same else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value that is a mapping; an empty one for any other: summaries are strangers'."""
    return value if isinstance(value, Mapping) else {}


def read_record(folder: Path, *, state: str) -> RunRecord:
    """Read a run's folder.

    Args:
        folder: The run's.
        state: How the run stands, as its lock and its summary say.

    Raises:
        ResumeError: It is no run folder.
        InputError: Its journal is missing, or has no event in it.
    """
    info = read_info(folder)
    path = folder / "journal.jsonl"
    contents = journal.read(path)
    if not contents.events:
        raise InputError(f"{path}: {_explain_nothing(path, contents)}; there is nothing to report")
    stages: dict[str, StageRecord] = {}
    for event in contents.events:
        stages.setdefault(event.stage, StageRecord(event.stage)).take(event)
    summary = read_summary(folder)
    tail = list(_read_tail(path, contents.size))
    return RunRecord(
        folder,
        state,
        info,
        summary,
        stages,
        tail,
        str(tail[-1].get("time", "")) if tail else "",
        tuple(_find_faults(folder, contents, summary, state)),
    )


def _explain_nothing(path: Path, contents: journal.Contents) -> str:
    if not path.exists():
        return "is missing"
    return contents.damage or "has no event yet"


def _find_faults(
    folder: Path, contents: journal.Contents, summary: Mapping[str, Any], state: str
) -> Iterable[str]:
    # A run that goes on may be in the middle of a line.
    if contents.damage and not (contents.torn and state == "running"):
        yield f"The journal is damaged: {contents.damage}. What follows was made of the rest."
    if not summary and (folder / "summary.json").exists():
        yield "summary.json cannot be read, or is that of another run: its numbers are left out."
    elif not summary and state != "running":
        yield "There is no summary.json: final numbers are left out."


def _read_tail(path: Path, size: int) -> Iterator[Mapping[str, Any]]:
    """Yield the last lines of a journal whose valid part has ``size`` bytes."""
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read(min(size, _TAIL_BYTES)).splitlines(keepends=True)
    for line in lines[-_TAIL_LINES:]:
        try:
            yield journal.decode(line)
        except ValueError:  # the first line in reach may have begun before it
            continue
