"""How two scores of the same candidates agree, and when that is worth telling."""

import itertools

import pytest

from corenas import Architecture, Run, Trial
from corenas.show.reporter import Quiet
from corenas.stopping import Stop
from corenas.values.ranking import kendall_tau
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


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_the_tau_of_too_little_is_undefined(pairs):
    assert kendall_tau(pairs) is None


@pytest.mark.parametrize("count", [4, 5])
def test_rank_correlation_is_told_with_its_number_of_pairs_from_five_on(tmp_path, count):
    said = Said()
    run = Run(tmp_path / "run", seed=0, stop=Stop(), reporter=said)
    trials = [Trial(n, Architecture("a", {"k": str(n)}), score=float(n)) for n in range(count)]
    scores = {trial.architecture: float(-trial.number) for trial in trials}
    tau = compare_scores(run, trials, scores, how="trained from scratch")
    run.close()
    assert tau == (pytest.approx(-1) if count == 5 else None)
    assert ("(Kendall's tau): -1.00 (n = 5)" in said.text) == (count == 5)
    assert "4.0000 in the search; trained from scratch: -4.0000" in said.text or count == 4
