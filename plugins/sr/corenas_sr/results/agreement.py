"""How the scores of a search agree with what the same candidates score when trained otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corenas import Architecture, Run, Trial
from corenas.values.ranking import kendall_tau

LEAST_PAIRS = 5
"""Least pairs for a correlation: of three, one order in six gives +1 by chance."""


def compare_scores(
    run: Run, best: Sequence[Trial], scores: Mapping[Architecture, float], *, how: str
) -> float | None:
    """Say how other scores agree with those of the search; return Kendall's tau if there is one.

    Args:
        run: Who says it.
        best: Trials of the search.
        scores: The others by architecture; some may be missing.
        how: What the others come from, such as ``trained from scratch``.
    """
    pairs = [
        (trial.score, scores[trial.architecture])
        for trial in best
        if trial.score is not None and trial.architecture in scores
    ]
    for trial in best:
        again = scores.get(trial.architecture)
        shown = "not trained" if again is None else f"{again:.4f}"
        run.say(f"{trial.architecture.id}: {trial.score:.4f} in the search; {how}: {shown}")
    tau = kendall_tau(pairs) if len(pairs) >= LEAST_PAIRS else None
    if tau is not None:
        run.say(f"rank correlation of the two (Kendall's tau): {tau:+.2f} (n = {len(pairs)})")
    return tau
