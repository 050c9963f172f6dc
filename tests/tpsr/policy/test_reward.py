from __future__ import annotations

import re
from pathlib import Path

import pytest

from corenas.errors import ConfigError
from corenas.options.structuring import structure
from corenas.plugins.registry import default_registry
from corenas.protocols import Reward
from corenas.testing.contracts import RewardContract
from corenas_tpsr.policy.config import AdvantageConfig, AverageConfig, RewardConfig
from corenas_tpsr.policy.reward import Advantage, LiteralEma, MinMax, NoBaseline

SCORES = (36.0, 36.5, 36.2, 36.6, 36.4)
NORMALISED = (0, 1, 0.4, 1, 0.666667)
BASELINES = (0, 0.05, 0.0675, 0.114125, 0.141752)
ENTROPY = 40.0
BONUS = 1e-4 * ENTROPY


def rewards(reward: Reward, scores: tuple[float, ...] = SCORES) -> list[float]:
    return [reward(score, ENTROPY) for score in scores]


def close(*values: float, bonus: float = BONUS) -> object:
    return pytest.approx([value + bonus for value in values], abs=1e-6)


class TestAdvantage(RewardContract):
    def make(self) -> Reward:
        return Advantage(AdvantageConfig())


class TestAdvantageAsInEnas(RewardContract):
    def make(self) -> Reward:
        return Advantage(AdvantageConfig(order="use-then-update", entropy_in_baseline=True))


class TestLiteralEma(RewardContract):
    def make(self) -> Reward:
        return LiteralEma(AverageConfig())


class TestNoBaseline(RewardContract):
    def make(self) -> Reward:
        return NoBaseline(RewardConfig())


class TestFixedBounds(RewardContract):
    def make(self) -> Reward:
        return Advantage(AdvantageConfig(bounds=(30.0, 40.0)))


def test_published_normalised_scores() -> None:
    assert rewards(NoBaseline(RewardConfig())) == close(*NORMALISED)


def test_published_moving_average() -> None:
    assert rewards(LiteralEma(AverageConfig())) == close(*BASELINES)


def test_published_advantages() -> None:
    assert rewards(Advantage(AdvantageConfig())) == close(0, 0.95, 0.3325, 0.885875, 0.524915)


def test_published_advantages_with_the_baseline_before_the_score() -> None:
    reward = Advantage(AdvantageConfig(order="use-then-update"))
    assert rewards(reward) == close(0, 1, 0.35, 0.9325, 0.552542)


def test_entropy_counts_by_its_weight() -> None:
    reward = Advantage(AdvantageConfig(entropy_weight=0.5))
    assert reward(36.0, 3.0) == 1.5
    assert reward(36.5, 4.0) == pytest.approx(0.95 + 2)


def test_constant_entropy_cancels_inside_the_baseline() -> None:
    reward = Advantage(AdvantageConfig(entropy_in_baseline=True))
    assert rewards(reward) == close(0, 0.95, 0.3325, 0.885875, 0.524915, bonus=0)


def test_changing_entropy_inside_the_baseline_is_compared_with_its_average() -> None:
    reward = Advantage(AdvantageConfig(entropy_in_baseline=True, entropy_weight=0.1))
    assert reward(36.0, 10.0) == 0
    # Score and entropy give 0 + 1 at first, then 1 + 0.5.
    assert reward(37.0, 5.0) == pytest.approx(1.5 - (0.95 * 1 + 0.05 * 1.5))


def test_decay_is_that_of_the_moving_average() -> None:
    reward = LiteralEma(AverageConfig(decay=0.5, entropy_weight=0))
    assert rewards(reward) == close(0, 0.5, 0.45, 0.725, 0.695833, bonus=0)


def test_first_score_is_its_own_baseline_with_fixed_bounds() -> None:
    for order in ("update-then-use", "use-then-update"):
        reward = Advantage(AdvantageConfig(order=order, bounds=(36.0, 38.0), entropy_weight=0))
        assert reward(37.0, 0.0) == 0


def test_fixed_bounds_stay_and_may_be_left() -> None:
    normalise = MinMax((36.0, 38.0))
    assert [normalise(score) for score in (37.0, 39.0, 35.0, 37.0)] == [0.5, 1.5, -0.5, 0.5]


def test_running_bounds_include_the_score_itself() -> None:
    normalise = MinMax()
    assert [normalise(score) for score in (5.0, 5.0, 4.0, 6.0, 5.0)] == [0, 0, 0, 1, 0.5]


@pytest.mark.parametrize("bounds", [(38.0, 36.0), (36.0, 36.0)])
def test_bounds_that_are_none_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="bounds: the first must be less than the second"):
        RewardConfig(bounds=bounds)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"decay: must be less than 1, got 1\.0"):
        structure(AdvantageConfig, {"decay": 1.0})
    with pytest.raises(ConfigError, match=r"order: .*'update-then-us'.*'update-then-use'"):
        structure(AdvantageConfig, {"order": "update-then-us"})
    assert structure(AdvantageConfig, {"bounds": [30, 40]}).bounds == (30, 40)


def test_the_list_and_the_documentation_name_the_same_equation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "papers.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if "policy.reward.Advantage" in line)
    for name in ("advantage", "literal-ema"):
        summary = default_registry().component("rewards", name).summary
        (equation,) = re.findall(r"supplement Eq\. \d+", summary)
        assert equation in row
