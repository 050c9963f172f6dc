"""How two scores of the same candidates agree, and when that is worth telling."""

import itertools

import numpy as np
import pytest

from corenas import Architecture, Run, Trial
from corenas.show.reporter import Quiet
from corenas.stopping import Stop
from corenas.values.ranking import kendall_tau, tau_interval
from corenas_sr.results.agreement import compare_scores


class Said(Quiet):
    def __init__(self):
        super().__init__()
        self.text = ""

    def say(self, message):
        self.text += message + "\n"


def concordance(pairs):
    """Concordant less discordant pairs over all pairs: Kendall's definition without ties."""
    signs = [(a - c) * (b - d) > 0 for (a, b), (c, d) in itertools.combinations(pairs, 2)]
    return (2 * sum(signs) - len(signs)) / len(signs)


def test_kendalls_tau_is_that_of_its_definition():
    for order in itertools.permutations((0.5, 1.5, 2.0, 9.0)):
        pairs = list(zip((1.0, 2.0, 3.0, 4.0), order, strict=True))
        assert kendall_tau(pairs) == pytest.approx(concordance(pairs))


def test_the_interval_of_a_tau_is_about_as_wide_as_the_spread_of_drawn_ones():
    """Of pairs from a bivariate normal distribution, for which tau is 2 / pi times arcsin(rho)."""
    rng, tau, count = np.random.default_rng(0), 0.5, 20
    rho = np.sin(np.pi / 2 * tau)
    drawn = []
    for _ in range(2000):
        x, noise = rng.normal(size=(2, count))
        drawn.append(kendall_tau(list(zip(x, rho * x + np.sqrt(1 - rho**2) * noise, strict=True))))
    low, high = tau_interval(tau, count)
    assert low == pytest.approx(np.quantile(drawn, 0.025), abs=0.03)
    assert high == pytest.approx(np.quantile(drawn, 0.975), abs=0.03)
    assert tau_interval(0.5, 4) is None
    assert tau_interval(1.0, 20) is None


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_the_tau_of_too_little_is_undefined(pairs):
    assert kendall_tau(pairs) is None


@pytest.mark.parametrize("count", [4, 5])
def test_rank_correlation_is_told_with_its_number_of_pairs_from_five_on(tmp_path, count):
    said = Said()
    run = Run(tmp_path / "run", seed=0, stop=Stop(), reporter=said)
    trials = [Trial(n, Architecture("a", {"k": str(n)}), score=float(n)) for n in range(count)]
    scores = {trial.architecture: float(-trial.number) for trial in trials}
    found = compare_scores(run, trials, scores, how="trained from scratch")
    run.close()
    assert found == (
        {"tau": pytest.approx(-1), "interval": None, "count": 5} if count == 5 else None
    )
    assert ("(Kendall's tau): -1.00 (n = 5)" in said.text) == (count == 5)
    assert "4.0000 in the search; trained from scratch: -4.0000" in said.text or count == 4
