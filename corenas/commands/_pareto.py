"""``best --pareto``: the best compromises between what a run's trials measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from corenas.commands.output import print_columns, print_json
from corenas.errors import CorenasError, InputError, UnknownName
from corenas.names import nearest

if TYPE_CHECKING:
    from corenas.show.progress import StageProgress
    from corenas.values.trial import Trial

_SIGNS = {"higher": 1, "lower": -1}


def print_fronts(
    folder: Path, progress: Sequence[StageProgress], metrics: str, *, as_json: bool
) -> None:
    """Print the Pareto front of each stage that measured trials.

    Args:
        folder: The run's.
        progress: That of its stages.
        metrics: Names with commas between, each maybe with ``:higher`` or ``:lower``; all that have
            a direction when it is empty.
        as_json: For a program to read.

    Raises:
        CorenasError: No trial is measured.
        InputError: A name was not measured, or nobody knows its direction.
    """
    from corenas.search.pareto import directions as known_directions
    from corenas.search.pareto import front

    journal = folder / "journal.jsonl"
    stages = _read_trials(journal)
    if not stages:
        raise CorenasError(f"{folder}: no trial is measured yet")
    # From the journal, not from what is installed: the plugin that measured may be gone.
    known = known_directions(q for stage in progress for q in stage.quantities.values())
    directions = _choose_directions(known, metrics, _find_measured(stages))
    fronts = {
        stage: _complete(journal, trials, front(trials.values(), directions))
        for stage, trials in stages.items()
    }
    if not any(fronts.values()):
        raise CorenasError(f"{folder}: no trial has all of {', '.join(directions)}")
    words = {name: "higher" if sign > 0 else "lower" for name, sign in directions.items()}
    if as_json:
        found = [{"stage": stage, **t.to_json()} for stage, best in fronts.items() for t in best]
        print_json({"folder": str(folder), "better": words, "architectures": found})
        return
    by_hand = "" if words.keys() <= known.keys() else " (by hand; the journal does not say it all)"
    typer.echo(f"better: {', '.join(f'{name} {word}' for name, word in words.items())}{by_hand}")
    for stage, trials in fronts.items():
        typer.echo(f"{stage}: {len(trials)} of {len(stages[stage])} trials")
        print_columns(_front_rows(trials, list(directions)), indent="  ")


def _read_trials(journal: Path) -> Mapping[str, Mapping[int, Trial]]:
    """Return the trials of each stage without their choices, by their lines' ends."""
    from corenas.runs.journal import trial_numbers

    stages: dict[str, dict[int, Trial]] = {}
    for stage, trial, end in trial_numbers(journal):
        stages.setdefault(stage, {})[end] = trial
    return stages


def _complete(journal: Path, trials: Mapping[int, Trial], front: Iterable[Trial]) -> list[Trial]:
    """Return the trials of a front with their choices."""
    from corenas.runs.journal import event_before

    ends = {trial.number: end for end, trial in trials.items()}
    found = (event_before(journal, ends[trial.number]).trial for trial in front)
    return [trial for trial in found if trial is not None]


def _find_measured(stages: Mapping[str, Mapping[int, Trial]]) -> list[str]:
    trials = (trial for trials in stages.values() for trial in trials.values())
    return list(dict.fromkeys(n for t in trials if t.measurement for n in t.measurement.metrics))


def _choose_directions(
    known: Mapping[str, int], metrics: str, measured: Sequence[str]
) -> dict[str, int]:
    if metrics:
        return dict(_parse_direction(known, name.strip(), measured) for name in metrics.split(","))
    found = {name: sign for name, sign in known.items() if name in measured}
    if not found:
        raise InputError(_ask_for_directions("of what was measured", measured))
    return found


def _parse_direction(
    known: Mapping[str, int], text: str, measured: Sequence[str]
) -> tuple[str, int]:
    name, colon, word = text.partition(":")
    if name not in measured:
        raise UnknownName(f"--metrics: {name!r} was not measured{nearest(name, measured)}")
    if colon and word not in _SIGNS:
        raise InputError(f"--metrics {text}: expected {name}:higher or {name}:lower")
    if not colon and name not in known:
        raise InputError(_ask_for_directions(f"of {name!r}", [name]))
    return name, _SIGNS[word] if colon else known[name]


def _ask_for_directions(what: str, names: Sequence[str]) -> str:
    example = ",".join(f"{name}:higher" for name in names)
    return f"the journal names no direction {what}: give it, as in --metrics {example} (or :lower)"


def _front_rows(trials: Sequence[Trial], names: Sequence[str]) -> Iterator[Sequence[str]]:
    from corenas.show.progress import trial_numbers

    yield "trial", "architecture", *names
    for trial in trials:
        numbers = trial_numbers(trial)
        yield str(trial.number), trial.architecture.id, *(numbers[name] for name in names)
