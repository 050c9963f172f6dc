"""A comparison as tables of text, for the terminal and the page, and as a JSON value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import asdict, frozen

from corenas.comparing.comparison import LEAST_SHARED, Comparison, Part
from corenas.comparing.fronts import StageFronts
from corenas.comparing.statistics import EXACT_PAIRS, Spread
from corenas.show.progress import format_number

_MOST_AGREEMENTS = 20
"""Ten runs have 45 pairs; the closest and the farthest tell most. JSON has all of them."""


@frozen
class Table:
    """A table: what it shows, the names of its columns, its rows, and a remark below it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the tables of a comparison, those that would be empty left out."""
    yield _show_runs(comparison)
    if comparison.differences:
        letters = [group.letter for group in comparison.groups]
        rows = tuple((each.option, *each.values) for each in comparison.differences)
        yield Table("what the groups were told differently", ("option", *letters), rows)
    for part in comparison.parts:
        yield _show_numbers(part, comparison)
        if part.wins:
            yield _show_wins(part)
    for fronts in comparison.fronts:
        yield _show_fronts(fronts, comparison)
    if any(each.shared for each in comparison.agreements):
        yield _show_agreements(comparison)


def _show_runs(comparison: Comparison) -> Table:
    letters = {run.number: group.letter for group in comparison.groups for run in group.all_runs}
    rows = tuple(
        (
            str(run.number),
            letters[run.number],
            f"{run.recipe} {run.info['preset']}".strip(),
            str(run.seed),
            run.state,
            ", ".join(f"{name} {len(each.trials)}" for name, each in run.searches().items()),
            str(run.folder),
        )
        for run in comparison.runs
    )
    head = ("run", "group", "recipe", "seed", "state", "measured", "folder")
    return Table("runs", head, rows)


def _show_numbers(part: Part, comparison: Comparison) -> Table:
    letters = [group.letter for group in comparison.groups]
    rows = tuple(
        (
            row.quantity.name,
            row.quantity.better if row.quantity.sign else "",
            row.quantity.unit,
            *(_show_spread(row.groups.get(letter)) for letter in letters),
        )
        for row in part.rows
    )
    title = f"{part.name}: the best of each number; mean ± standard deviation (runs)"
    if part.name.startswith("model "):
        title = f"{part.name}: mean ± standard deviation (runs)"
    return Table(title, ("number", "better", "unit", *letters), rows)


def _show_spread(found: Spread | None) -> str:
    if found is None:
        return "-"
    deviation = "" if found.deviation is None else f" ± {format_number(found.deviation)}"
    return f"{format_number(found.mean)}{deviation} ({found.count})"


def _show_wins(part: Part) -> Table:
    rows = tuple(
        (
            each.number,
            f"{each.first} : {each.second}",
            f"{each.wins} : {each.losses}",
            str(each.ties),
            f"{each.p:.3g}",
            f"{each.least_p:.3g}",
        )
        for each in part.wins
    )
    head = ("number", "groups", "wins", "ties", "p", "least p")
    note = (
        f"paired by seed; p: sign-flip test, two-sided, exact up to {EXACT_PAIRS} pairs, not "
        "corrected for their number; "
        "least p: the smallest that so many pairs can give"
    )
    return Table(f"{part.name}: wins where seeds match", head, rows, note)


def _show_fronts(fronts: StageFronts, comparison: Comparison) -> Table:
    rows = []
    for group in comparison.groups:
        of_runs = [run for run in group.runs if run.number in fronts.fronts]
        sizes = ", ".join(str(len(fronts.fronts[run.number])) for run in of_runs)
        rows.append((group.letter, sizes or "-", _show_spread(fronts.groups.get(group.letter))))
    names = ", ".join(f"{each.name} ({each.better} is better)" for each in fronts.aims)
    origin = "as given" if fronts.stated else "the worst of all compared"
    note = (
        f"hypervolume: share of the box from the reference point {_show_point(fronts.reference)} "
        f"({origin}) to {_show_point(fronts.ideal)} (the best of each number in all runs)"
    )
    head = ("group", "candidates on the front of each run", "hypervolume")
    return Table(f"{fronts.stage}: fronts of {names}", head, tuple(rows), note)


def _show_point(point: Any) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in point.items())


def _show_agreements(comparison: Comparison) -> Table:
    found = sorted(
        (each for each in comparison.agreements if each.shared),
        key=lambda each: -2.0 if each.tau is None else -each.tau,
    )
    shown: Sequence[Any] = found
    note = f"tau: Kendall's tau-b of the scores; left out below {LEAST_SHARED} architectures"
    if len(found) > _MOST_AGREEMENTS:
        half = _MOST_AGREEMENTS // 2
        shown = found[:half] + found[-half:]
        note += f"; {len(shown)} of {len(found)} pairs: the closest and the farthest"
    rows = tuple(
        (
            each.stage,
            f"{each.first}, {each.second}",
            str(each.shared),
            "-" if each.tau is None else f"{each.tau:+.2f}",
        )
        for each in shown
    )
    head = ("stage", "runs", "architectures of both", "tau")
    return Table("what searches agree upon", head, rows, note)


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a JSON value, with all numbers in full."""
    return {
        "runs": [
            {
                "number": run.number,
                "folder": str(run.folder),
                "state": run.state,
                **{name: run.info[name] for name in ("recipe", "preset", "seed", "created")},
            }
            for run in comparison.runs
        ],
        "groups": {
            group.letter: [run.number for run in group.all_runs] for group in comparison.groups
        },
        "differences": {each.option: list(each.values) for each in comparison.differences},
        "warnings": list(comparison.warnings),
        "parts": [
            {
                "name": part.name,
                "numbers": [
                    {
                        **row.quantity.to_json(),
                        "runs": dict(row.runs),
                        "groups": {name: asdict(each) for name, each in row.groups.items()},
                    }
                    for row in part.rows
                ],
                "wins": [asdict(each) for each in part.wins],
            }
            for part in comparison.parts
        ],
        "fronts": [
            {
                "stage": each.stage,
                "numbers": [aim.name for aim in each.aims],
                "reference": dict(each.reference),
                "ideal": dict(each.ideal),
                "fronts": {
                    number: [trial.to_json() for trial in front]
                    for number, front in each.fronts.items()
                },
                "hypervolume": dict(each.volumes),
                "groups": {name: asdict(found) for name, found in each.groups.items()},
            }
            for each in comparison.fronts
        ],
        "agreements": [asdict(each) for each in comparison.agreements],
    }
