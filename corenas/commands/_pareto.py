"""``best --pareto``: the best compromises between what a run's trials measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from corenas.commands.output import print_columns, print_json
from corenas.errors import CorenasError, InputError, UnknownName
from corenas.names import nearest

if TYPE_CHECKING:
    from corenas.values.trial import Event, Trial

_SIGNS = {"higher": 1, "lower": -1}


def print_fronts(folder: Path, events: Sequence[Event], metrics: str, *, as_json: bool) -> None:
    """Print the Pareto front of each stage that measured trials.

    Args:
        folder: The run's.
        events: All of its journal.
        metrics: Names with commas between, each maybe with ``:higher`` or ``:lower``; all that have
            a direction when it is empty.
        as_json: For a program to read.

    Raises:
        CorenasError: No trial is measured.
        InputError: A name was not measured, or nobody knows its direction.
    """
    from corenas.runs.journal import finished_trials
    from corenas.search.pareto import directions as known_directions
    from corenas.search.pareto import front

    stages = finished_trials(events)
    if not stages:
        raise CorenasError(f"{folder}: no trial is measured yet")
    # From the journal, not from what is installed: the plugin that measured may be gone.
    known = known_directions(quantity for event in events for quantity in event.quantities)
    directions = _choose_directions(known, metrics, _find_measured(stages))
    fronts = {stage: front(trials, directions) for stage, trials in stages.items()}
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


def _find_measured(stages: Mapping[str, Sequence[Trial]]) -> list[str]:
    trials = (trial for trials in stages.values() for trial in trials)
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
