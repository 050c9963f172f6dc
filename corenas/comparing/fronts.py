"""Fronts of several runs beside each other, and the volume that each dominates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from attrs import field, frozen

from corenas.comparing.reading import RunRead
from corenas.comparing.settings import WORDS, Group
from corenas.comparing.statistics import Spread, hypervolume, spread
from corenas.errors import InputError, UnknownName
from corenas.names import nearest
from corenas.search.pareto import directions, front
from corenas.values.quantity import Better, Quantity, is_number
from corenas.values.trial import Trial

MOST_AIMS = 4
"""A volume in more dimensions takes long, and most candidates are on such a front."""


@frozen
class Wanted:
    """What the user asks for beyond the defaults.

    Args:
        aims: Numbers of the fronts; empty for those of the reference point, and without one for
            the first aim and the first cost.
        better: Directions that the journals do not name, by number.
        reference: A point by number; empty for the worst of all that is compared.
    """

    aims: tuple[str, ...] = ()
    better: Mapping[str, Better] = field(factory=dict)
    reference: Mapping[str, float] = field(factory=dict)


@frozen
class Known:
    """The numbers of each stage by stage and name, and those that runs do not measure alike."""

    quantities: Mapping[tuple[str, str], Quantity]
    clashes: Set[tuple[str, str]]

    def of_stage(self, stage: str) -> list[Quantity]:
        """Return the numbers of a stage, in the order in which its evaluator names them."""
        return [each for (where, _), each in self.quantities.items() if where == stage]

    def comparable(self, part: str, name: str) -> bool:
        """Return whether all runs measure a number of a stage or a model alike."""
        return not {(part, name), (part, WORDS)} & self.clashes


@frozen
class StageFronts:
    """The fronts of a stage.

    Args:
        stage: Its name.
        aims: The numbers of the fronts.
        reference: The point up to which volumes count, by number.
        ideal: The best of each number in all runs.
        stated: Whether the user gave the reference point.
        trials: All trials that have the numbers, by run.
        fronts: Those on each run's front.
        volumes: The share of the box between ``reference`` and ``ideal`` that each run's front
            dominates, in [0, 1].
        groups: Mean and spread of the volumes of each group.
    """

    stage: str
    aims: tuple[Quantity, ...]
    reference: Mapping[str, float]
    ideal: Mapping[str, float]
    stated: bool
    trials: Mapping[int, tuple[Trial, ...]]
    fronts: Mapping[int, tuple[Trial, ...]]
    volumes: Mapping[int, float]
    groups: Mapping[str, Spread]


def compare_fronts(
    runs: Sequence[RunRead], groups: Sequence[Group], stage: str, wanted: Wanted, known: Known
) -> tuple[StageFronts | None, list[str]]:
    """Return the fronts of a stage, None where there is no compromise, and what is to be said.

    Raises:
        InputError: A wanted number was not measured anywhere, or has no direction; the reference
            point does not name the numbers of the front.
    """
    if lacking := _find_lacking(stage, wanted, known):
        return None, [f"{stage}: {', '.join(lacking)} not measured there: no front"]
    aims = _choose_aims(stage, wanted, known)
    if len(aims) < 2:
        return None, []
    names = [aim.name for aim in aims]
    trials = {
        run.number: tuple(t for t in run.stages[stage].compared if _has_all(t, names))
        for run in runs
        if stage in run.stages
    }
    trials = {number: found for number, found in trials.items() if found}
    if not trials:
        return None, [f"{stage}: no candidate has all of {', '.join(names)}: no front"]
    worst, ideal = _find_corners(trials, aims)
    reference = _choose_reference(wanted, names) or worst
    fronts = {number: tuple(front(found, directions(aims))) for number, found in trials.items()}
    volumes, notes = {}, []
    if flat := [a.name for a in aims if a.sign * (ideal[a.name] - reference[a.name]) <= 0]:
        notes.append(f"{stage}: no candidate is better than the reference in {', '.join(flat)}")
    else:
        volumes = {
            number: _share(found, aims, reference, ideal) for number, found in fronts.items()
        }
    by_group = {
        group.letter: [volumes[run.number] for run in group.runs if run.number in volumes]
        for group in groups
    }
    shares = {letter: spread(found) for letter, found in by_group.items() if found}
    return StageFronts(
        stage,
        tuple(aims),
        reference,
        ideal,
        bool(wanted.reference),
        trials,
        fronts,
        volumes,
        shares,
    ), notes


def _find_lacking(stage: str, wanted: Wanted, known: Known) -> list[str]:
    """Return the wanted numbers that other stages have measured, and this one has not."""
    ours = {each.name for each in known.of_stage(stage)}
    others = {each.name for each in known.quantities.values()} - ours
    return [name for name in _names_of(wanted) if name in others]


def _names_of(wanted: Wanted) -> tuple[str, ...]:
    named = tuple(wanted.reference)
    return wanted.aims or (named if len(named) > 1 else ())


def _choose_aims(stage: str, wanted: Wanted, known: Known) -> list[Quantity]:
    """Return the wanted numbers; by default the first one that has a direction, and a cost."""
    measured = {each.name: each for each in known.of_stage(stage)}
    names = _names_of(wanted)
    if not names:
        aims = [a for a in measured.values() if a.sign and known.comparable(stage, a.name)]
        return aims[:1] + [a for a in aims[1:] if a.better == "lower"][:1]
    option = "--metrics" if wanted.aims else "--reference"
    if not 2 <= len(set(names)) <= MOST_AIMS or len(set(names)) < len(names):
        raise InputError(f"{option}: a front is of 2 to {MOST_AIMS} different numbers")
    for name in names:
        if name not in measured:
            raise UnknownName(
                f"{option}: {name!r} was not measured in {stage}{nearest(name, measured)}"
            )
        if not measured[name].sign:
            raise InputError(
                f"{option}: no journal names a direction of {name!r}: give it, as in "
                f"--better {name}:higher"
            )
    return [measured[name] for name in names]


def _has_all(trial: Trial, names: Sequence[str]) -> bool:
    metrics = trial.measurement.metrics if trial.measurement else {}
    return all(is_number(metrics.get(name)) for name in names)


def _find_corners(
    trials: Mapping[int, Sequence[Trial]], aims: Sequence[Quantity]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the worst and the best of each number in all runs."""
    worst, ideal = {}, {}
    for aim in aims:
        values = [
            t.measurement.metrics[aim.name] for f in trials.values() for t in f if t.measurement
        ]
        ordered = sorted(values, key=lambda value: aim.sign * value)
        worst[aim.name], ideal[aim.name] = ordered[0], ordered[-1]
    return worst, ideal


def _choose_reference(wanted: Wanted, names: Sequence[str]) -> dict[str, float]:
    if wanted.reference and set(wanted.reference) != set(names):
        raise InputError(
            f"--reference: names {', '.join(wanted.reference)}, and the front is of "
            f"{', '.join(names)}"
        )
    return dict(wanted.reference)


def _share(
    found: Sequence[Trial],
    aims: Sequence[Quantity],
    reference: Mapping[str, float],
    ideal: Mapping[str, float],
) -> float:
    """Return the dominated share of the box; its axes run from 0, the ideal, to 1."""
    points = [
        [
            (ideal[a.name] - trial.measurement.metrics[a.name])
            / (ideal[a.name] - reference[a.name])
            for a in aims
        ]
        for trial in found
        if trial.measurement is not None
    ]
    return hypervolume(points, [1.0] * len(aims))
