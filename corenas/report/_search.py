"""Why this network: how the search went, what it compared, and what its scores say of options."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from corenas.report._charts import Dot, DotKind, Limit, Line, chart, is_drawable
from corenas.report._curves import MOST_DOTS, Curves, Panel, draw_curves, thin
from corenas.report.record import RunRecord, StageRecord
from corenas.search.pareto import front
from corenas.search.rungs.agreement import Agreement, agreements
from corenas.show.progress import format_number, trial_numbers
from corenas.values.fidelity import format_share
from corenas.values.quantity import Quantity
from corenas.values.ranking import at_highest_fidelity, kendall_tau
from corenas.values.trial import Trial

_MOST_FRONTS = 3
_LEAST_DRAWN = 3  # fewer are read faster in the table
_MOST_ROWS = 12
_MOST_REASONS = 8
_MOST_CLIMBS = 1000  # a rank correlation compares each with each
_MOST_AGAIN = 200
_LEAST_PAIRS = 5  # of three, one order in six gives +1 by chance
_NUMBER = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?(?: ?[KMG]\b)?")


@frozen
class Refusal:
    """Trials that ended without a score for one reason; numbers in it differ, so one is shown."""

    status: str
    count: int
    example: str


@frozen
class Rung:
    """The trials of one share of the full training."""

    share: str
    count: int
    best: str


@frozen
class Again:
    """The same candidates scored by an earlier stage and by a later one.

    ``rows`` have the id, both scores with their ranks, and whether it is the one chosen.
    """

    before: str
    after: str
    rows: Sequence[tuple[str, str, int, str, int, bool]]
    tau: float | None
    panel: Panel


@frozen
class SearchView:
    """A search as the page shows it."""

    stage: StageRecord
    counts: Mapping[str, int]
    panels: Sequence[Panel]
    scalars: Curves
    head: Sequence[str]
    rows: Sequence[tuple[Trial, Mapping[str, str], bool]]
    thinned: str
    refusals: Sequence[Refusal]
    more_refusals: int
    rungs: Sequence[Rung]
    agreements: Sequence[Agreement]


def view_searches(record: RunRecord, network: str, limits: Mapping[str, float]) -> list[SearchView]:
    """Return the stages that measured trials, or tried to."""
    stages = (stage for stage in record.stages.values() if stage.trials or stage.refused)
    return [_view(stage, network, limits) for stage in stages]


def _view(stage: StageRecord, network: str, limits: Mapping[str, float]) -> SearchView:
    compared = [trial for trial in at_highest_fidelity(stage.trials) if trial.score is not None]
    compared.sort(key=lambda trial: trial.number)
    refused = [trial for trial in stage.refused if trial.number >= 0]
    # Evolution, say, measures one network several times: it has its best trial's mark alone.
    chosen = next((t.number for t in _by_score(compared) if t.architecture.id == network), -1)
    panels = []
    if len(compared) >= _LEAST_DRAWN:
        panels.append(_draw_progress(stage, compared, refused, chosen))
        panels += _draw_fronts(stage, compared, chosen, limits)
    names = list(dict.fromkeys(n for t in stage.best if t.measurement for n in trial_numbers(t)))
    reasons = _group_refusals(stage.refused)
    return SearchView(
        stage,
        stage.counts(),
        panels,
        draw_curves(stage, x="candidates"),
        names,
        [(trial, trial_numbers(trial), trial.architecture.id == network) for trial in stage.best],
        _explain_thinning(len(compared), len(refused)),
        reasons[:_MOST_REASONS],
        len(reasons[_MOST_REASONS:]),
        _list_rungs(stage.trials),
        _agree(stage.trials),
    )


def _explain_thinning(compared: int, refused: int) -> str:
    """Return what charts leave out, in words; nothing where they have room for all."""
    words = []
    if compared > MOST_DOTS:
        words.append(
            f"Charts draw {MOST_DOTS:,} of {compared:,} trials, chosen at random, with those that "
            f"were the best so far or are on the front, at most {MOST_DOTS:,} more. Lines and "
            "tables know all."
        )
    if refused > MOST_DOTS:
        words.append(
            f"Of {refused:,} candidates without a score, {MOST_DOTS:,} are drawn, chosen at random."
        )
    return " ".join(words)


def _by_score(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: -(trial.score or 0.0))


def _describe(trial: Trial) -> str:
    numbers = ", ".join(f"{name} {text}" for name, text in trial_numbers(trial).items())
    return f"trial {trial.number}, {trial.architecture.id}: {numbers}"


def _draw_progress(
    stage: StageRecord, trials: Sequence[Trial], refused: Sequence[Trial], chosen: int
) -> Panel:
    """Draw the score of each trial, the best so far, and below where candidates were refused."""
    steps: list[tuple[float, float]] = []
    new: list[int] = []
    for index, trial in enumerate(trials):
        score = trial.score or 0.0
        if not is_drawable(score):
            continue
        if not steps or score > steps[-1][1]:
            steps.append((trial.number, score))
            new.append(index)
    kept = {*new, *(i for i, trial in enumerate(trials) if trial.number == chosen)}
    shown = thin(trials, kept)
    dots = [_dot(t, t.number, t.score or 0.0, _kind(t, chosen, "trial")) for t in shown]
    if steps:
        floor = min(dot.y for dot in dots if is_drawable(dot.y))
        reach = steps[-1][1] - floor
        low = floor - 0.08 * reach
        dots += [
            Dot(t.number, low, f"trial {t.number}, {t.status}: {t.reason}", "refused")
            for t in thin(refused)
        ]
        line = [*steps, (trials[-1].number, steps[-1][1])]
    else:
        line = []
    last = trials[new[-1]] if new else trials[-1]
    rows = [(str(trials[i].number), format_number(trials[i].score)) for i in new[-_MOST_ROWS:]]
    title = (
        f"Score of {len(trials):,} trials; the best is {format_number(last.score)}, of trial "
        f"{last.number}."
    )
    drawn = chart(
        f"progress-{_slug(stage.name)}",
        title,
        x="trial",
        y="score",
        dots=dots,
        lines=[Line(line, "best", steps=True)],
    )
    legend = [("trial", "a trial"), ("line-best", "best so far"), ("chosen", "the network chosen")]
    legend += [("refused", "rejected or failed")] if refused else []
    return Panel("Score of each trial", title, drawn, ("trial", "best so far"), rows, legend)


def _kind(trial: Trial, chosen: int, other: DotKind) -> DotKind:
    return "chosen" if trial.number == chosen else other


def _dot(trial: Trial, x: float, y: float, kind: DotKind) -> Dot:
    return Dot(x, y, _describe(trial), kind)


def _draw_fronts(
    stage: StageRecord, trials: Sequence[Trial], chosen: int, limits: Mapping[str, float]
) -> Iterator[Panel]:
    """Draw the first number of which more is better against those of which less is."""
    aims = [q for q in stage.quantities.values() if q.sign]
    quality = next((q for q in aims if q.sign > 0), None)
    costs = [q for q in aims if q.sign < 0][:_MOST_FRONTS]
    for cost in costs if quality else ():
        panel = _draw_front(stage, trials, cost, quality, chosen, limits) if quality else None
        if panel is not None:
            yield panel


def _draw_front(
    stage: StageRecord,
    trials: Sequence[Trial],
    cost: Quantity,
    quality: Quantity,
    chosen: int,
    limits: Mapping[str, float],
) -> Panel | None:
    best = front(trials, {quality.name: quality.sign, cost.name: cost.sign})
    if not best:
        return None
    on_front = {trial.number for trial in best}
    kept = {
        index
        for index, trial in enumerate(trials)
        if trial.number in on_front or trial.number == chosen
    }
    dots, lost = [], 0
    for trial in thin(trials, kept):
        metrics = trial.measurement.metrics if trial.measurement else {}
        if cost.name in metrics and quality.name in metrics:
            kind: DotKind = "front" if trial.number in on_front else "trial"
            kind = _kind(trial, chosen, kind)
            dots.append(_dot(trial, metrics[cost.name], metrics[quality.name], kind))
        else:
            lost += 1
    rows = [
        (str(trial.number), trial.architecture.id, *map(format_number, _pair(trial, cost, quality)))
        for trial in best
    ]
    points = sorted(_pair(trial, cost, quality) for trial in best)
    title = (
        f"{_title(quality)} against {_title(cost)}: {len(best)} of {len(trials):,} trials are on "
        "the front, where no other trial is better in both."
    )
    if lost:
        title += f" {lost} without both numbers are left out."
    limit = limits.get(cost.name)
    # One far to the right would press all trials together at the left.
    near = limit is not None and limit <= 2 * max(cost for cost, _ in points)
    bounds = [Limit("x", limit, f"limit {format_number(limit)}")] if limit and near else []
    drawn = chart(
        f"front-{_slug(stage.name)}-{_slug(cost.name)}",
        title,
        x=_label(cost),
        y=_label(quality),
        dots=dots,
        lines=[Line(points, "front", steps=True)],
        limits=bounds,
    )
    shown = rows if len(rows) <= _MOST_ROWS else [*rows[: _MOST_ROWS - 1], rows[-1]]
    return Panel(
        f"{_title(quality)} against {_title(cost)}",
        title,
        drawn,
        ("trial", "network", cost.name, quality.name),
        shown,
        [("trial", "a trial"), ("front", "on the front"), ("chosen", "the network chosen")],
        left_out=len(rows) - len(shown),
    )


def _pair(trial: Trial, cost: Quantity, quality: Quantity) -> tuple[float, float]:
    metrics = trial.measurement.metrics if trial.measurement else {}
    return metrics[cost.name], metrics[quality.name]


def _title(quantity: Quantity) -> str:
    return quantity.name.replace("_", " ")


def _label(quantity: Quantity) -> str:
    return f"{_title(quantity)}, {quantity.unit}" if quantity.unit else _title(quantity)


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def _group_refusals(refused: Sequence[Trial]) -> list[Refusal]:
    """Return the reasons, the most frequent first; numbers in them make no other reason."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for trial in refused:
        key = trial.status, _NUMBER.sub("#", trial.reason)
        counts[key] += 1
        examples[key] = trial.reason
    return [
        Refusal(key[0], count, examples[key] or "no reason was given")
        for key, count in counts.most_common()
    ]


def _list_rungs(trials: Sequence[Trial]) -> list[Rung]:
    """Return a row for each share of the training; nothing where all had the whole of it."""
    shares: dict[float, list[Trial]] = {}
    for trial in trials:
        shares.setdefault(trial.fidelity, []).append(trial)
    if shares.keys() <= {1.0}:
        return []
    return [
        Rung(
            format_share(share),
            len(found),
            format_number(max((t.score for t in found if t.score is not None), default=None)),
        )
        for share, found in sorted(shares.items())
    ]


def _agree(trials: Sequence[Trial]) -> list[Agreement]:
    climbs = [trial for trial in trials if trial.continues is not None]
    if len(climbs) > _MOST_CLIMBS:
        step = len(climbs) / _MOST_CLIMBS
        climbs = [climbs[int(number * step)] for number in range(_MOST_CLIMBS)]
    below = {trial.continues for trial in climbs}
    first = [trial for trial in trials if trial.number in below and trial.continues is None]
    return agreements({trial.number: trial for trial in (*first, *climbs)}.values())


def compare_again(record: RunRecord, network: str) -> list[Again]:
    """Return what later stages made of candidates that an earlier one had scored."""
    stages = [stage for stage in record.stages.values() if stage.trials]
    pairs = ((a, b) for i, b in enumerate(stages) for a in stages[:i])
    return [found for a, b in pairs if (found := _compare(a, b, network)) is not None]


def _compare(before: StageRecord, after: StageRecord, network: str) -> Again | None:
    if len(after.trials) > _MOST_AGAIN:
        return None
    later = _scores(after)
    first = {key: score for key, score in _scores(before).items() if key in later}
    if not first:
        return None
    both = sorted(first, key=lambda key: -later[key])
    one, other = _rank(first), _rank({key: later[key] for key in first})
    rows = [
        (k, format_number(first[k]), one[k], format_number(later[k]), other[k], k == network)
        for k in both
    ]
    pairs = [(first[key], later[key]) for key in both]
    tau = kendall_tau(pairs) if len(pairs) >= _LEAST_PAIRS else None
    title = f"{len(both)} candidates that both {before.name} and {after.name} scored."
    dots = [
        Dot(
            first[k],
            later[k],
            f"{k}: {format_number(first[k])}, then {format_number(later[k])}",
            "chosen" if k == network else "front",
        )
        for k in both
    ]
    drawn = chart(
        f"again-{_slug(before.name)}-{_slug(after.name)}",
        title,
        x=f"score in {before.name}",
        y=f"score in {after.name}",
        dots=dots,
    )
    panel = Panel("The second look", title, drawn, (), (), [("chosen", "the network chosen")])
    return Again(before.name, after.name, rows, tau, panel)


def _scores(stage: StageRecord) -> dict[str, float]:
    """Return the best score of each architecture at the highest fidelity."""
    found: dict[str, float] = {}
    for trial in at_highest_fidelity(stage.trials):
        if trial.score is not None:
            key = trial.architecture.id
            found[key] = max(trial.score, found.get(key, trial.score))
    return found


def _rank(scores: Mapping[str, float]) -> dict[str, int]:
    ordered = sorted(scores, key=lambda key: -scores[key])
    return {key: place for place, key in enumerate(ordered, start=1)}
