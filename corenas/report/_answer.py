"""What came out: each model's numbers, beside what it is compared with and what it is limited to.

A recipe's summary says it in ``models``, a list of objects with ``name`` and ``file``. What is a
number among the other entries is shown; ``metrics`` is a mapping of more. Any further mapping with
names of ``metrics`` in it holds what something else has, such as ``bicubic``. ``benchmarks`` maps
other sets of data to such mappings, and ``protocol`` says how numbers were measured. A limit is an
option of the run that is called after a number with ``_limit`` behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from corenas.report._files import FileLink, link
from corenas.report.record import RunRecord, mapping
from corenas.show.progress import format_number
from corenas.values.architecture import Architecture
from corenas.values.quantity import Quantity, is_number
from corenas.values.trial import Trial

_METRICS, _SETS, _PROTOCOL = "metrics", "benchmarks", "protocol"
_NO_RESULTS = frozenset({"scale"})
_TILES = 4
_MOST_NAMES = 4
_LIMIT = "_limit"


@frozen
class Beside:
    """Another one's number, and how far ours is from it; ``good`` is None where nobody knows."""

    name: str
    value: float | None
    difference: str
    good: bool | None


@frozen
class Number:
    """A measured number, as text, with what is beside it; ``share`` is that of the limit.

    A cost is a number of which less is better.
    """

    name: str
    text: str
    unit: str = ""
    protocol: str = ""
    beside: tuple[Beside, ...] = ()
    limit: str = ""
    share: float | None = None
    is_cost: bool = False

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name.replace("_", " ")


@frozen
class Measured:
    """What a model measured on one set of data."""

    source: str
    numbers: tuple[Number, ...]


@frozen
class Model:
    """A network that was handed over."""

    name: str
    file: FileLink | None
    numbers: tuple[Number, ...]
    sets: tuple[Measured, ...]
    notes: tuple[tuple[str, str], ...]

    def tiles(self) -> list[Number]:
        """Return the numbers that matter most: metrics before costs, at most four."""
        return sorted(self.numbers, key=lambda number: number.is_cost)[:_TILES]


@frozen
class Answer:
    """What came out of a run so far."""

    network: str
    models: tuple[Model, ...]
    architecture: Architecture | None
    candidate: Trial | None
    found: tuple[Number, ...]
    columns: tuple[str, ...]

    @property
    def others(self) -> tuple[str, ...]:
        """What the models are compared with."""
        numbers = [n for m in self.models for s in m.sets for n in s.numbers]
        return tuple(dict.fromkeys(beside.name for n in numbers for beside in n.beside))

    def protocols(self) -> dict[str, list[tuple[str, str]]]:
        """Return by title how numbers were measured: the models, if not all, and the text."""
        told: dict[tuple[str, str], list[str]] = {}
        for model in self.models:
            for line in {**_list_protocols(model.numbers), **dict.fromkeys(model.notes)}:
                told.setdefault(line, []).append(model.name)
        if not self.models:
            told = {line: [] for line in _list_protocols(self.found)}
        found: dict[str, list[tuple[str, str]]] = {}
        for (title, text), names in told.items():
            some = _list_some(names) if len(names) < len(self.models) else ""
            found.setdefault(title, []).append((some, text))
        return found


def _list_protocols(numbers: Sequence[Number]) -> dict[tuple[str, str], None]:
    return {(number.title, number.protocol): None for number in numbers if number.protocol}


def _list_some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_MOST_NAMES])} and {more} more"


def find_answer(record: RunRecord) -> Answer:
    """Return what came out of a run so far."""
    # What the first stage measured is the network's; a later one may measure something else.
    stages = reversed([*record.stages.values()])
    known = {name: q for stage in stages for name, q in stage.quantities.items()}
    limits = find_limits(record)
    entries = record.summary.get("models")
    models = tuple(
        _read_model(record, entry, known, limits)
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
    )
    network = record.chosen()
    candidate = _find_candidate(record, network)
    metrics = candidate.measurement.metrics if candidate and candidate.measurement else {}
    found = tuple(_describe(n, v, known, limits, {}, {}) for n, v in metrics.items())
    rows = [each for model in models for each in model.sets]
    columns = tuple(dict.fromkeys(number.name for row in rows for number in row.numbers))
    architecture = _find_architecture(record, network, candidate)
    return Answer(network, models, architecture, candidate, found, columns)


def _find_candidate(record: RunRecord, network: str) -> Trial | None:
    """Return the first search's best trial of a network."""
    for stage in record.stages.values():
        trials = [t for t in stage.trials if t.score is not None and t.architecture.id == network]
        if trials:
            return max(trials, key=lambda trial: (trial.fidelity, trial.score or 0.0))
    return None


def _find_architecture(
    record: RunRecord, network: str, candidate: Trial | None
) -> Architecture | None:
    """Return the network chosen; a one-shot search names it without a trial."""
    if candidate is not None:
        return candidate.architecture
    leaders = (stage.leader for stage in record.stages.values())
    return next((each for each in leaders if each and each.id == network), None)


def find_limits(record: RunRecord) -> dict[str, float]:
    """Return what the run's options limit numbers to, by their names."""
    return dict(_find_limits(record.config))


def _find_limits(config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the limits in a configuration by the number's name, the outermost last."""
    for value in config.values():
        yield from _find_limits(mapping(value))
    for name, value in config.items():
        if name.endswith(_LIMIT) and is_number(value):
            yield name.removesuffix(_LIMIT), value


def _read_model(
    record: RunRecord,
    entry: Mapping[str, Any],
    known: Mapping[str, Quantity],
    limits: Mapping[str, float],
) -> Model:
    protocol = {**mapping(record.summary.get(_PROTOCOL)), **mapping(entry.get(_PROTOCOL))}
    costs = {n: v for n, v in entry.items() if is_number(v) and n not in _NO_RESULTS}
    own = tuple(
        _describe(name, value, known, limits, protocol, {}) for name, value in costs.items()
    )

    def measured(source: str, values: Mapping[str, Any]) -> Measured:
        metrics = mapping(values.get(_METRICS))
        others = {
            name: theirs
            for name, theirs in values.items()
            if name not in (_METRICS, _PROTOCOL) and metrics.keys() & mapping(theirs).keys()
        }
        return Measured(
            source,
            tuple(
                _describe(
                    name, value, known, {}, protocol, {o: v.get(name) for o, v in others.items()}
                )
                for name, value in metrics.items()
            ),
        )

    first = measured("validation" if mapping(entry.get(_METRICS)) else "", entry)
    sets = [measured(str(name), mapping(v)) for name, v in mapping(entry.get(_SETS)).items()]
    rows = [Measured(each.source, (*own, *each.numbers)) for each in (first, *sets)]
    file = entry.get("file")
    texts = {n: v for n, v in entry.items() if isinstance(v, str) and n not in ("name", "file")}
    return Model(
        str(entry.get("name", "model")),
        link(record.folder, file) if isinstance(file, str) else None,
        (*first.numbers, *own),
        tuple(rows),
        tuple((name.replace("_", " "), value) for name, value in texts.items()),
    )


def _describe(
    name: str,
    value: Any,
    known: Mapping[str, Quantity],
    limits: Mapping[str, float],
    protocol: Mapping[str, Any],
    others: Mapping[str, Any],
) -> Number:
    quantity, limit = known.get(name), limits.get(name)
    number = value if is_number(value) else None
    sign = quantity.sign if quantity else 0
    return Number(
        str(name),
        format_number(number),
        quantity.unit if quantity else "",
        str(protocol.get(name) or (quantity.protocol if quantity else "")),
        tuple(_compare(other, number, theirs, sign) for other, theirs in others.items()),
        format_number(limit) if limit is not None else "",
        number / limit if number is not None and limit else None,
        sign < 0,
    )


def _compare(other: str, ours: float | None, theirs: Any, sign: int) -> Beside:
    value = theirs if is_number(theirs) else None
    if ours is None or value is None:
        return Beside(other, value, "", None)
    gain = ours - value
    text = f"{gain:+.3g}".replace("-", "\u2212")
    return Beside(other, value, text, gain * sign > 0 if sign and gain else None)
