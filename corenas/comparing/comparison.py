"""The comparison itself: the best of each number, wins, fronts, and what searches agree upon."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from attrs import evolve, frozen

from corenas.comparing.fronts import Known, StageFronts, Wanted, compare_fronts
from corenas.comparing.reading import RunRead
from corenas.comparing.settings import (
    Difference,
    Group,
    find_differences,
    group_runs,
    incomparable,
    warn_of,
)
from corenas.comparing.statistics import Spread, least_p, sign_flip_test, spread
from corenas.errors import CorenasError, UnknownName
from corenas.names import nearest
from corenas.values.architecture import Architecture
from corenas.values.quantity import Better, Quantity, is_number
from corenas.values.ranking import kendall_tau

LEAST_SHARED = 5
"""Least architectures for a correlation: of three, one order in six gives +1 by chance."""

SCORE = Quantity("score", "higher", summary="what the search optimised")
"""A trial's score, compared where all groups have the same objective of numbers measured alike."""


@frozen
class Row:
    """A number, the best of each run, and mean and spread of each group that has it.

    ``runs`` are by the runs' numbers, ``groups`` by their letters. Without a direction there is no
    best one of a stage; a model has one value anyway.
    """

    quantity: Quantity
    runs: Mapping[int, float]
    groups: Mapping[str, Spread]


@frozen
class Wins:
    """A paired test of two groups in one number, over the seeds that both have.

    ``p`` is two-sided; ``least_p`` is the smallest that so many pairs can give.
    """

    number: str
    first: str
    second: str
    wins: int
    losses: int
    ties: int
    p: float
    least_p: float


@frozen
class Part:
    """A stage or a model that several runs have, with its numbers and the tests of them."""

    name: str
    rows: tuple[Row, ...]
    wins: tuple[Wins, ...]


@frozen
class Agreement:
    """Kendall's tau-b of the scores of the architectures that two runs measured.

    They are scores after the largest share of training that each run gave to a candidate.
    ``tau`` is None where fewer than `LEAST_SHARED` are shared, or all scores of a run are equal.
    """

    stage: str
    first: int
    second: int
    shared: int
    tau: float | None


@frozen
class Comparison:
    """Runs beside each other."""

    runs: tuple[RunRead, ...]
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    parts: tuple[Part, ...]
    fronts: tuple[StageFronts, ...]
    agreements: tuple[Agreement, ...]


def compare(runs: Sequence[RunRead], wanted: Wanted = Wanted()) -> Comparison:  # noqa: B008 - frozen
    """Compare runs in all that they have in common.

    Raises:
        CorenasError: No run has measured anything yet.
        InputError: A number that is wanted was not measured, or nobody knows its direction.
    """
    if not any(run.searches() or run.models for run in runs):
        raise CorenasError("nothing to compare: no run has a measured candidate or a model yet")
    groups = group_runs(runs)
    differences = find_differences(groups)
    known = _find_known(runs, wanted.better)
    counted = [run for group in groups for run in group.runs]
    stages = _find_shared(run.searches() for run in counted)
    models = _find_shared(run.models for run in counted)
    fronts = [compare_fronts(counted, groups, stage, wanted, known) for stage in stages]
    objectives = any("objective" in each.option.split(".") for each in differences)
    alike = not objectives and len({run.recipe for run in runs}) == 1
    parts = [
        *(
            # A score is made of the stage's numbers: it is no more comparable than they are.
            _compare_stage(
                stage,
                groups,
                known,
                scores=alike and not any(where == stage for where, _ in known.clashes),
            )
            for stage in stages
        ),
        *(_compare_model(model, groups, known, wanted.better) for model in models),
    ]
    notes = (
        *warn_of(runs, groups),
        *_find_lonely("stage", (run.searches() for run in counted), stages, counted),
        *_find_lonely("model", (run.models for run in counted), models, counted),
        *_find_seeds_apart(groups),
        *(note for _, found in fronts for note in found),
    )
    return Comparison(
        tuple(runs),
        tuple(groups),
        tuple(differences),
        notes,
        tuple(part for part in parts if part.rows),
        tuple(found for found, _ in fronts if found is not None),
        tuple(_compare_rankings(counted, stages)),
    )


def _find_known(runs: Sequence[RunRead], better: Mapping[str, Better]) -> Known:
    """Return what is known of each stage's numbers, with directions that are given by hand."""
    quantities: dict[tuple[str, str], Quantity] = {}
    measured = {last for run in runs for each in run.models.values() for last in _ends(each)}
    for run in runs:
        for stage, read in run.searches().items():
            for quantity in read.quantities.values():
                quantities.setdefault((stage, quantity.name), quantity)
            for name in {n for t in read.trials if t.measurement for n in t.measurement.metrics}:
                quantities.setdefault((stage, name), Quantity(name, "neither"))
    measured |= {name for _, name in quantities}
    for name in better:
        if name not in measured:
            raise UnknownName(f"--better: {name!r} was not measured{nearest(name, measured)}")
    described = {
        (stage, name): evolve(each, better=better.get(name, each.better))
        for (stage, name), each in quantities.items()
    }
    return Known(described, incomparable(runs))


def _ends(names: Iterable[str]) -> Iterator[str]:
    """Yield dotted names, and their last parts, by which a stage calls the same number."""
    for name in names:
        yield name
        yield name.rpartition(".")[2]


def _find_shared(tables: Iterable[Iterable[str]]) -> list[str]:
    """Return the names that two runs have, in the order in which they come."""
    names = [name for table in tables for name in table]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _find_lonely(
    what: str, tables: Iterable[Iterable[str]], shared: Sequence[str], runs: Sequence[RunRead]
) -> Iterator[str]:
    for run, table in zip(runs, tables, strict=True):
        alone = [name for name in table if name not in shared]
        if alone:
            yield f"run {run.number} alone has the {what} {', '.join(alone)}: not compared"


def _find_seeds_apart(groups: Sequence[Group]) -> Iterator[str]:
    for first, second in combinations(groups, 2):
        if not first.by_seed().keys() & second.by_seed().keys():
            yield f"{first.letter} and {second.letter} have no seed in common: no paired test"


def _compare_stage(stage: str, groups: Sequence[Group], known: Known, *, scores: bool) -> Part:
    aims = [each for each in known.of_stage(stage) if each.sign]

    def best(run: RunRead) -> dict[str, float]:
        trials = run.stages[stage].compared if stage in run.stages else []
        found = {}
        for aim in aims:
            values = [t.measurement.metrics.get(aim.name) for t in trials if t.measurement]
            if finite := [value for value in values if is_number(value)]:
                found[aim.name] = aim.sign * max(aim.sign * value for value in finite)
        reached = [trial.score for trial in trials if is_number(trial.score)]
        return {**({SCORE.name: max(reached)} if scores and reached else {}), **found}

    return _compare_part(stage, groups, [SCORE, *aims], best, known)


def _compare_model(
    model: str, groups: Sequence[Group], known: Known, better: Mapping[str, Better]
) -> Part:
    names = dict.fromkeys(
        n for group in groups for r in group.runs for n in r.models.get(model, {})
    )
    described = {each.name: each for each in known.quantities.values()}

    def describe(name: str) -> Quantity:
        last = name.rpartition(".")[2]
        found = described.get(last, Quantity(last, "neither"))
        by_hand: Better = better.get(name, better.get(last, found.better))
        return evolve(found, name=name, better=by_hand)

    def numbers(run: RunRead) -> Mapping[str, float]:
        return run.models.get(model, {})

    return _compare_part(f"model {model}", groups, [*map(describe, names)], numbers, known)


def _compare_part(
    name: str,
    groups: Sequence[Group],
    quantities: Sequence[Quantity],
    numbers: Callable[[RunRead], Mapping[str, float]],
    known: Known,
) -> Part:
    tables = {run.number: numbers(run) for group in groups for run in group.runs}
    rows = [_make_row(quantity, groups, tables) for quantity in quantities]
    # What has no direction and is the same everywhere, such as a scale, tells nothing.
    kept = [r for r in rows if r.runs and (r.quantity.sign or len({*r.runs.values()}) > 1)]
    tested = [
        row for row in kept if row.quantity.sign and known.comparable(name, row.quantity.name)
    ]
    pairs = combinations(groups, 2)
    found = (_test(row, *pair) for pair in pairs for row in tested)
    return Part(name, tuple(kept), tuple(each for each in found if each is not None))


def _make_row(
    quantity: Quantity, groups: Sequence[Group], tables: Mapping[int, Mapping[str, float]]
) -> Row:
    by_run = {number: t[quantity.name] for number, t in tables.items() if quantity.name in t}
    by_group = {
        group.letter: [by_run[run.number] for run in group.runs if run.number in by_run]
        for group in groups
    }
    return Row(quantity, by_run, {name: spread(each) for name, each in by_group.items() if each})


def _test(row: Row, first: Group, second: Group) -> Wins | None:
    """Test two groups in one number; None where no seed has it in both."""
    one, other = first.by_seed(), second.by_seed()
    pairs = [
        (row.runs[one[seed].number], row.runs[other[seed].number])
        for seed in sorted(one.keys() & other.keys())
        if one[seed].number in row.runs and other[seed].number in row.runs
    ]
    if not pairs:
        return None
    differences = [row.quantity.sign * (a - b) for a, b in pairs]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return Wins(
        row.quantity.name,
        first.letter,
        second.letter,
        wins,
        losses,
        len(pairs) - wins - losses,
        sign_flip_test(differences),
        least_p(len(pairs), ties=len(pairs) - wins - losses),
    )


def _compare_rankings(runs: Sequence[RunRead], stages: Sequence[str]) -> Iterator[Agreement]:
    for stage in stages:
        scores = [(run.number, _scores(run, stage)) for run in runs if stage in run.searches()]
        for (first, one), (second, other) in combinations(scores, 2):
            pairs = [(one[each], other[each]) for each in one if each in other]
            tau = kendall_tau(pairs) if len(pairs) >= LEAST_SHARED else None
            yield Agreement(stage, first, second, len(pairs), tau)


def _scores(run: RunRead, stage: str) -> dict[Architecture, float]:
    """Return the best score of each architecture at the run's highest fidelity.

    Scores after less training rank below them for that alone.
    """
    found: dict[Architecture, float] = {}
    for trial in run.stages[stage].compared:
        if is_number(trial.score):
            best = found.get(trial.architecture, trial.score)
            found[trial.architecture] = max(trial.score, best)
    return found
