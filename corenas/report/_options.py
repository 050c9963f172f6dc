"""What the scores say of each option: the mean over the trials that have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from attrs import frozen

from corenas.show.progress import format_number
from corenas.values.architecture import Architecture
from corenas.values.fidelity import format_share
from corenas.values.trial import Trial

_MOST_OPTIONS = 12
_LEAST = 2  # trials, for a mean to say anything


@frozen
class OptionRow:
    """An option: its mean score, how many trials have it, and its place between least and best.

    ``share`` lies in [0, 1] over all means of the table.
    """

    name: str
    mean: str
    count: int
    share: float
    chosen: bool


@frozen
class DecisionRow:
    """A decision, the option that the network chosen has, and what the others scored.

    ``spread`` is the difference between the best and the worst mean of options that at least two
    trials have.
    """

    name: str
    chosen: str
    spread: float
    options: Sequence[OptionRow]
    left_out: int

    @property
    def difference(self) -> str:
        """The spread for people."""
        return format_number(self.spread)


@frozen
class OptionScores:
    """What the trials of one share of the training say of all decisions.

    ``rows`` begin with the decision on which scores differ most.
    """

    share: str
    count: int
    rows: Sequence[DecisionRow]


def score_options(trials: Sequence[Trial], chosen: Architecture | None) -> OptionScores:
    """Return the mean score of each option, at the share of the training that most trials had.

    An inactive decision stands at its first option, so that the mean of it says less.
    """
    scored = [trial for trial in trials if trial.score is not None]
    shares = Counter(trial.fidelity for trial in scored)
    share = max(shares, key=lambda fidelity: (shares[fidelity], fidelity), default=1.0)
    scores: dict[str, dict[str, list[float]]] = {}
    for trial in scored:
        if trial.fidelity == share and trial.score is not None:
            for decision, option in trial.architecture.choices:
                scores.setdefault(decision, {}).setdefault(option, []).append(trial.score)
    choices = dict(chosen.choices) if chosen else {}
    for decision, option in choices.items():
        scores.setdefault(decision, {}).setdefault(option, [])
    rows = [_describe(name, found, choices.get(name, "")) for name, found in scores.items()]
    rows.sort(key=lambda row: -row.spread)
    return OptionScores(format_share(share), shares[share], rows)


def _describe(name: str, scores: dict[str, list[float]], chosen: str) -> DecisionRow:
    means = {option: fmean(found) for option, found in scores.items() if found}
    sure = [means[option] for option, found in scores.items() if len(found) >= _LEAST]
    low, high = min(means.values(), default=0.0), max(means.values(), default=0.0)
    order = sorted(scores, key=lambda option: (-len(scores[option]), option))
    shown = {*order[:_MOST_OPTIONS], *([chosen] if chosen in scores else [])}
    rows = [
        OptionRow(
            option,
            format_number(means.get(option)),
            len(scores[option]),
            (means[option] - low) / (high - low) if option in means and high > low else 0.0,
            option == chosen,
        )
        for option in sorted(shown, key=lambda option: -means.get(option, low))
    ]
    spread = max(sure) - min(sure) if sure else 0.0
    return DecisionRow(name, chosen, spread, rows, len(scores) - len(rows))
