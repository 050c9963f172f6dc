"""What a run folder holds, as far as a comparison needs it. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from corenas.errors import InputError
from corenas.runs import journal
from corenas.runs.identity import read_info, read_summary
from corenas.runs.launch import state_of
from corenas.show.progress import StageProgress
from corenas.values.quantity import Quantity, is_number
from corenas.values.ranking import at_highest_fidelity
from corenas.values.trial import Event, Trial


@frozen
class StageRead:
    """A stage of a run: how far it is, what it measures, and its measured trials."""

    step: int
    total: int
    finished: bool
    quantities: Mapping[str, Quantity]
    trials: tuple[Trial, ...]

    @property
    def compared(self) -> list[Trial]:
        """The trials that can be compared: those of the highest fidelity reached."""
        return at_highest_fidelity(self.trials)

    @property
    def seconds(self) -> float:
        """What the evaluations took together."""
        return sum(t.measurement.seconds for t in self.trials if t.measurement is not None)

    @property
    def fidelity(self) -> float:
        """The largest share of its training that a candidate had; 1 where none was measured."""
        return max((trial.fidelity for trial in self.trials), default=1.0)


@frozen
class RunRead:
    """A run, with the number that tables call it.

    ``models`` are the numbers of ``summary.json`` by model and by dotted name, ``words`` the text
    beside them that says how they were measured.
    """

    number: int
    folder: Path
    info: Mapping[str, Any]
    state: str
    damage: str
    stages: Mapping[str, StageRead]
    models: Mapping[str, Mapping[str, float]]
    words: Mapping[str, Mapping[str, str]]

    @property
    def recipe(self) -> str:
        """The name of its recipe."""
        return str(self.info["recipe"])

    @property
    def seed(self) -> int:
        """What its random numbers derive from."""
        return int(self.info["seed"])

    def searches(self) -> dict[str, StageRead]:
        """Return the stages that measured candidates."""
        return {name: stage for name, stage in self.stages.items() if stage.trials}


def read_runs(folders: Sequence[Path]) -> list[RunRead]:
    """Read run folders, numbered from 1.

    Raises:
        InputError: There are fewer than two, or one stands twice.
        ResumeError: One is no run folder.
    """
    if len(folders) < 2:
        raise InputError("a comparison needs two run folders or more")
    seen: dict[Path, Path] = {}
    for folder in folders:
        place = folder.resolve()
        if place in seen:
            same = "" if folder == seen[place] else f", as {seen[place]}"
            raise InputError(f"{folder}: is given twice{same}")
        seen[place] = folder
    return [_read_run(number, folder) for number, folder in enumerate(folders, start=1)]


def _read_run(number: int, folder: Path) -> RunRead:
    info = read_info(folder)
    contents = journal.read(folder / "journal.jsonl")
    models = dict(_find_models(read_summary(folder)))
    return RunRead(
        number,
        folder,
        info,
        state_of(folder),
        contents.damage,
        _read_stages(contents.events),
        {name: _finite_numbers(entry) for name, entry in models.items()},
        {name: _protocols(entry) for name, entry in models.items()},
    )


def _read_stages(events: Sequence[Event]) -> dict[str, StageRead]:
    progress: dict[str, StageProgress] = {}
    for event in events:
        progress.setdefault(event.stage, StageProgress(event.stage)).take(event, 0.0)
    trials = journal.finished_trials(events)
    return {
        name: StageRead(
            stage.step,
            stage.total,
            stage.finished,
            dict(stage.quantities),
            tuple(trials.get(name, ())),
        )
        for name, stage in progress.items()
    }


def _find_models(summary: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of a summary's ``models``, which each recipe writes in its own way."""
    models = summary.get("models")
    for entry in models if isinstance(models, list) else ():
        if isinstance(entry, dict):
            yield str(entry.get("name", "model")), entry


def leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at the ends of nested tables, by dotted name; lists are left out."""
    for key, each in value.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(each, dict):
            yield from leaves(each, name)
        elif not isinstance(each, list):
            yield name, each


def _finite_numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in leaves(entry) if is_number(value)}


def _protocols(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return what says how a model was measured: text below a key ``protocol``."""
    return {
        name: value
        for name, value in leaves(entry)
        if isinstance(value, str) and "protocol" in name.split(".")
    }


def read_data_facts(folder: Path) -> dict[str, Any]:
    """Return by name what a run knows of its data, such as digests of its images."""
    found = {}
    for file in sorted(folder.glob("checkpoints/*.fact.json")):
        try:
            held = json.loads(file.read_bytes())
            if held.get("of_data"):
                found[file.name.removesuffix(".fact.json")] = held["value"]
        # The run itself refuses it; a comparison can do without.
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return found
