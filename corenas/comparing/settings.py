"""What runs were told: which belong together, what differs, and what makes numbers incomparable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from string import ascii_uppercase
from typing import Any

from attrs import frozen

from corenas.comparing.reading import RunRead, leaves, read_data_facts
from corenas.errors import CorenasError
from corenas.options.structuring import places, structure
from corenas.plugins.registry import default_registry
from corenas.runs.identity import flat_options
from corenas.values.fidelity import format_share

MORE_TIME = 1.5
"""By which factor the time of evaluations must differ before it is remarked on."""

WORDS = "what its summary says"
"""Stands for all numbers of a model, where summaries say how they were measured."""

_ABSENT = "-"


@frozen
class Group:
    """Runs of one recipe and one configuration, which differ in their seeds at most.

    ``repeated`` are runs that compute what an earlier one did; statistics leave them out.
    """

    letter: str
    runs: tuple[RunRead, ...]
    repeated: tuple[RunRead, ...] = ()

    @property
    def all_runs(self) -> tuple[RunRead, ...]:
        """All of its runs, the repeated ones too."""
        return (*self.runs, *self.repeated)

    def by_seed(self) -> dict[int, RunRead]:
        """Return its runs by their seeds."""
        return {run.seed: run for run in self.runs}


@frozen
class Difference:
    """An option that is not the same in all groups, with its text in each."""

    option: str
    values: tuple[str, ...]


def group_runs(runs: Sequence[RunRead]) -> list[Group]:
    """Put runs of equal recipe and configuration together, in the order in which they come.

    By what the runs know of their data, these have to be equal too: another folder may hold the
    same, and the same folder others by now. Where runs know nothing, the folder decides.
    """
    told: dict[str, list[list[RunRead]]] = {}
    found = []
    for run in runs:
        options = {k: v for k, v in _options_of(run).items() if k not in _places_of(run)}
        alike = told.setdefault(json.dumps([run.recipe, options], sort_keys=True), [])
        same = next((each for each in alike if _have_same_data(each[0], run)), None)
        if same is None:
            same = []
            alike.append(same)
            found.append(same)
        same.append(run)
    return [_make_group(number, each) for number, each in enumerate(found)]


def _have_same_data(first: RunRead, second: RunRead) -> bool:
    """Return whether data of two runs are equal by what both know, or else lie in one place."""
    shared, changed = _compare_data(first, second)
    if not shared:
        return _options_of(first) == _options_of(second)  # all others are equal already
    return not changed


def _compare_data(first: RunRead, second: RunRead) -> tuple[set[str], list[str]]:
    """Return what both runs know of their data, and what of it is not the same."""
    one, other = read_data_facts(first.folder), read_data_facts(second.folder)
    shared = one.keys() & other.keys()
    return shared, [name for name in sorted(shared) if one[name] != other[name]]


def _make_group(number: int, runs: Sequence[RunRead]) -> Group:
    first: dict[int, RunRead] = {}
    for run in runs:
        first.setdefault(run.seed, run)
    repeated = [run for run in runs if first[run.seed] is not run]
    return Group(_letters(number), tuple(first.values()), tuple(repeated))


def _letters(number: int) -> str:
    """Return A for 0, Z for 25, AA for 26."""
    rest, last = divmod(number, len(ascii_uppercase))
    return (_letters(rest - 1) if rest else "") + ascii_uppercase[last]


def _options_of(run: RunRead) -> dict[str, str]:
    """Return a run's options by their paths, as text."""
    return {
        path: value if isinstance(value, str) else json.dumps(value)
        for path, value in flat_options(run.info).items()
    }


def _places_of(run: RunRead) -> frozenset[str]:
    """Return the options that say where data lie; none where the recipe is not installed."""
    registry = default_registry()
    try:
        config = structure(registry.recipe(run.recipe).config, run.info["config"])
    except (CorenasError, KeyError):
        return frozenset()
    return frozenset(places(config))


def find_differences(groups: Sequence[Group]) -> list[Difference]:
    """Return the recipe and the options in which groups differ; of places, those of first runs."""
    recipes = tuple(group.runs[0].recipe for group in groups)
    found = [Difference("recipe", recipes)] if len(set(recipes)) > 1 else []
    options = [_options_of(group.runs[0]) for group in groups]
    for path in dict.fromkeys(path for each in options for path in each):
        values = tuple(each.get(path, _ABSENT) for each in options)
        if len(set(values)) > 1:
            found.append(Difference(path, values))
    return found


def warn_of(runs: Sequence[RunRead], groups: Sequence[Group]) -> list[str]:
    """Return a line for everything that speaks against comparing the numbers of these runs."""
    return [
        *_warn_of_recipes(groups),
        *_warn_of_states(runs),
        *_warn_of_repetitions(groups),
        *_warn_of_protocols(runs),
        *_warn_of_data(runs),
        *_warn_of_budgets(runs),
        *_warn_of_versions(runs),
    ]


def _warn_of_recipes(groups: Sequence[Group]) -> Iterator[str]:
    recipes = {group.letter: group.runs[0].recipe for group in groups}
    if len(set(recipes.values())) > 1:
        listed = ", ".join(f"{letter} {recipe}" for letter, recipe in recipes.items())
        yield (
            f"recipes differ ({listed}): what follows compares stages and numbers that have one "
            "name, and nothing else"
        )


def _warn_of_states(runs: Sequence[RunRead]) -> Iterator[str]:
    for run in runs:
        if run.damage:
            yield f"run {run.number}: its journal is damaged: {run.damage}"
        if run.state != "finished":
            stages = [
                f"{name} at {stage.step} of {stage.total or '?'}"
                for name, stage in run.stages.items()
                if not stage.finished
            ]
            where = f" ({', '.join(stages)})" if stages else ""
            stands = "has failed" if run.state == "failed" else f"is {run.state}"
            yield f"run {run.number} {stands}{where}: its numbers are those so far"
        if run.stages and not run.searches():
            yield f"run {run.number}: no stage measured candidates; its models alone count"


def _warn_of_repetitions(groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        known = group.by_seed()
        for run in group.repeated:
            yield (
                f"run {run.number} computes what run {known[run.seed].number} does: it counts in "
                "no mean and in no test"
            )


def clashing_protocols(quantities: Mapping[int, str]) -> str:
    """Return protocols that differ with the runs that have them; empty where there is one."""
    holders: dict[str, list[str]] = {}
    for number, protocol in quantities.items():
        holders.setdefault(protocol, []).append(str(number))
    if len(holders) < 2:
        return ""
    return "; ".join(f"{text or 'unsaid'} ({', '.join(who)})" for text, who in holders.items())


def _warn_of_protocols(runs: Sequence[RunRead]) -> Iterator[str]:
    for (stage, name), said in _find_protocols(runs).items():
        if clash := clashing_protocols(said):
            yield f"{stage}: {name} is not measured alike, so no test is made of it: {clash}"


def _find_protocols(runs: Sequence[RunRead]) -> dict[tuple[str, str], dict[int, str]]:
    """Return how each number of each stage and model is measured, by the number of the run."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for run in runs:
        for name, stage in run.searches().items():
            for quantity in stage.quantities.values():
                told = f"{quantity.protocol}, {quantity.better} is better"
                found.setdefault((name, quantity.name), {})[run.number] = told
        for model, words in run.words.items():
            text = ", ".join(f"{key} {value}" for key, value in sorted(words.items()))
            found.setdefault((f"model {model}", WORDS), {})[run.number] = text
    return found


def incomparable(runs: Sequence[RunRead]) -> set[tuple[str, str]]:
    """Return stage and name of the numbers that these runs do not measure alike."""
    return {key for key, said in _find_protocols(runs).items() if clashing_protocols(said)}


def _warn_of_data(runs: Sequence[RunRead]) -> Iterator[str]:
    """Yield a line where data lie elsewhere, or are other ones by what the runs know of them."""
    for first, second in pairwise(runs):
        one, other = _options_of(first), _options_of(second)
        shared = _places_of(first) & _places_of(second)
        moved = [path for path in sorted(shared) if one.get(path) != other.get(path)]
        known, changed = _compare_data(first, second)
        both = f"run {first.number} and run {second.number}"
        if moved:
            told = "; what they know of them is equal" if known and not changed else ""
            told = f"; also different: {', '.join(changed)}" if changed else told
            yield f"data lie elsewhere in {both} ({', '.join(moved)}){told}"
        elif changed:
            yield f"data are not the same in {both}: {', '.join(changed)}"


def _warn_of_budgets(runs: Sequence[RunRead]) -> Iterator[str]:
    for stage in dict.fromkeys(name for run in runs for name in run.searches()):
        having = [(run, run.stages[stage]) for run in runs if stage in run.searches()]
        for what, texts in (
            ("candidates", [f"{len(each.trials)}" for _, each in having]),
            ("largest shares of training", [format_share(each.fidelity) for _, each in having]),
        ):
            if len(set(texts)) > 1:
                listed = _list_by_run(having, texts)
                yield f"{stage}: budgets differ in {what}: {listed}"
        seconds = [each.seconds for _, each in having]
        if min(seconds) > 0 and max(seconds) > MORE_TIME * min(seconds):
            listed = _list_by_run(having, [f"{value:.3g} s" for value in seconds])
            yield f"{stage}: budgets differ in time of evaluations: {listed}"


def _list_by_run(having: Sequence[tuple[RunRead, Any]], texts: Sequence[str]) -> str:
    """Return texts with the runs that have them: ``12 (run 1, 3), 40 (run 2)``."""
    found: dict[str, list[str]] = {}
    for (run, _), text in zip(having, texts, strict=True):
        found.setdefault(text, []).append(str(run.number))
    return ", ".join(f"{text} (run {', '.join(who)})" for text, who in found.items())


def _warn_of_versions(runs: Sequence[RunRead]) -> Iterator[str]:
    """Yield a line for each version and each piece of hardware that differs."""
    for part in ("versions", "hardware"):
        tables = [_words_of(run.info.get(part)) for run in runs]
        for name in dict.fromkeys(name for table in tables for name in table):
            values = {table[name] for table in tables if name in table}
            if len(values) > 1:
                yield f"{part} differ: {name}: {', '.join(sorted(values))}"


def _words_of(table: Any) -> dict[str, str]:
    return {name: str(value) for name, value in leaves(table)} if isinstance(table, dict) else {}
