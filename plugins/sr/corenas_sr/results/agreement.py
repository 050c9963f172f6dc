"""How the scores of a search agree with what the same candidates score when trained otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corenas import Architecture, Run, Trial
from corenas.values.ranking import kendall_tau, tau_interval

LEAST_PAIRS = 5
"""Least pairs for a correlation: of three, one order in six gives +1 by chance."""


def compare_scores(
    run: Run, best: Sequence[Trial], scores: Mapping[Architecture, float], *, how: str
) -> dict[str, Any] | None:
    """Say how other scores agree with those of the search.

    Args:
        run: Who says it.
        best: Trials of the search.
        scores: The others by architecture; some may be missing.
        how: What the others come from, such as ``trained from scratch``.

    Returns:
        Kendall's ``tau``, its ``interval`` (None where it is not known) and the ``count`` of pairs;
        None where these are too few.
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
    count = len(pairs)
    tau = kendall_tau(pairs) if count >= LEAST_PAIRS else None
    if tau is None:
        return None
    interval = tau_interval(tau, count)
    told = f"95 % interval {interval[0]:+.2f} to {interval[1]:+.2f}, " if interval else ""
    run.say(f"rank correlation of the two (Kendall's tau): {tau:+.2f} ({told}n = {count})")
    return {"tau": tau, "interval": interval, "count": count}
