"""Objectives against their formulas, their orders, and what they refuse."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import frozen

from corenas import Measurement, Objective, choose, structure
from corenas.errors import ConfigError
from corenas.options.structuring import Chosen, component
from corenas.protocols import Budget, Problem
from corenas.search.lift import SampledSearch
from corenas.search.objectives import (
    ConstraintObjective,
    CostTarget,
    MetricObjective,
    ProductObjective,
    SumObjective,
)
from corenas.search.strategies.listed import Listed
from corenas.testing.contracts import ObjectiveContract
from corenas.testing.surrogate import NODES, InlineExecutor, SurrogateEvaluator, SurrogateSpace
from corenas.values.evaluation import Outcome
from corenas.values.quantity import LATENCY, MULT_ADDS, PARAMS, Quantity
from corenas.values.trial import Trial

GIGA = 1e9


MEASURED = {
    quantity.name: quantity
    for quantity in (
        *(Quantity("psnr", "higher", "dB"), Quantity("ssim", "higher"), Quantity("lpips", "lower")),
        *(MULT_ADDS, PARAMS, LATENCY, Quantity("watched", "neither")),
    )
}
"""What the evaluator of these tests measures; psnr is the first."""


def build(
    name: str, options: dict[str, Any], measured: Mapping[str, Quantity] = MEASURED
) -> Objective:
    """Build an objective as a configuration would."""

    @frozen
    class Holder:
        objective: Chosen = component("objectives", "metric", "what counts")

    chosen = structure(Holder, {"objective": {"use": name, **options}}).objective
    objective: Objective = chosen.build(measured)
    return objective


class TestMetric(ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        return build("metric", {"metric": "lpips"})

    @pytest.fixture
    def better(self) -> Measurement:
        return Measurement({"lpips": 0.1, "mult_adds": 9e9})

    @pytest.fixture
    def worse(self) -> Measurement:
        return Measurement({"lpips": 0.2, "mult_adds": 1e9})


class TestProduct(ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        cost = {"target": 5e9}
        return build("product", {"metrics": ["psnr", "lpips"], "cost": cost})

    @pytest.fixture
    def better(self) -> Measurement:
        return Measurement({"psnr": 30.0, "lpips": 0.2, "mult_adds": 5e9, "params": 1e4})

    @pytest.fixture(params=[{"psnr": 29.9}, {"lpips": 0.21}, {"mult_adds": 6e9}], ids=str)
    def worse(self, better: Measurement, request: pytest.FixtureRequest) -> Measurement:
        return Measurement({**better.metrics, **request.param})


class TestSum(ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        options = {"metrics": ["psnr", "lpips"], "weights": {"lpips": 20.0}}
        return build("sum", {**options, "cost": {"name": "params", "target": 1e4}})

    @pytest.fixture
    def better(self) -> Measurement:
        return Measurement({"psnr": 30.0, "lpips": 0.2, "mult_adds": 5e9, "params": 1e4})

    @pytest.fixture(params=[{"psnr": 29.9}, {"lpips": 0.21}, {"params": 1.1e4}], ids=str)
    def worse(self, better: Measurement, request: pytest.FixtureRequest) -> Measurement:
        return Measurement({**better.metrics, **request.param})


class TestConstraint(ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        return build("constraint", {"metric": "lpips", "cost": "latency", "limit": 0.1})

    @pytest.fixture
    def better(self) -> Measurement:
        return Measurement({"lpips": 0.2, "latency": 0.1})

    @pytest.fixture(params=[{"lpips": 0.21}, {"latency": 0.11}, {"latency": math.inf}], ids=str)
    def worse(self, better: Measurement, request: pytest.FixtureRequest) -> Measurement:
        return Measurement({**better.metrics, **request.param})


# the product and the sum


@pytest.mark.parametrize("mult_adds", [2.5e9, 5e9, 20e9])
def test_product_is_equation_2_with_the_exponents_of_equation_3(mult_adds: float) -> None:
    objective = ProductObjective(
        {"psnr": 1.0, "lpips": -0.5}, CostTarget("mult_adds", 5e9, below=-0.03, above=-0.2)
    )
    score = objective(Measurement({"psnr": 31.0, "lpips": 0.25, "mult_adds": mult_adds}))
    weight = -0.03 if mult_adds <= 5e9 else -0.2
    assert score == pytest.approx(31.0 * 0.25**-0.5 * (mult_adds / 5e9) ** weight, rel=1e-12)


def test_default_exponent_trades_twice_the_cost_for_five_percent_as_the_paper_says() -> None:
    objective = build("product", {"metrics": ["ssim"], "cost": {"name": "latency", "target": 0.08}})
    small = objective(Measurement({"ssim": 0.9, "latency": 0.05}))
    large = objective(Measurement({"ssim": 0.9 * 1.05, "latency": 0.10}))
    assert large == pytest.approx(small, rel=1e-3)


@pytest.mark.parametrize("params", [5e3, 1e4, 3e4])
def test_sum_turns_lower_is_better_and_is_linear_in_the_excess(params: float) -> None:
    objective = SumObjective(
        {"psnr": 2.0, "niqe": -0.5}, CostTarget("params", 1e4, below=-0.1, above=-3.0)
    )
    score = objective(Measurement({"psnr": 30.0, "niqe": 4.0, "params": params}))
    weight = -0.1 if params <= 1e4 else -3.0
    assert score == pytest.approx(60.0 - 2.0 + weight * (params / 1e4 - 1), rel=1e-12)


def test_sum_by_default_gives_nothing_for_what_lies_below_the_target() -> None:
    objective = build("sum", {"cost": {"target": 5e9}})
    cheap, free = (Measurement({"psnr": 30.0, "mult_adds": cost}) for cost in (5e9, 1e9))
    assert objective(cheap) == objective(free) == 30.0
    assert objective(Measurement({"psnr": 30.0, "mult_adds": 10e9})) == 29.0


@pytest.mark.parametrize("name", ["product", "sum"])
def test_without_a_target_no_cost_is_needed(name: str) -> None:
    objective = build(name, {"metrics": ["psnr", "ssim"]})
    assert list(objective.needs) == ["psnr", "ssim"]
    assert math.isfinite(objective(Measurement({"psnr": 30.0, "ssim": 0.9})))


@pytest.mark.parametrize("value", [0.0, -0.1, math.inf, math.nan])
def test_product_refuses_what_has_no_logarithm(value: float) -> None:
    with pytest.raises(ValueError, match=r"ssim is .*; a product needs values above zero"):
        ProductObjective({"ssim": 1.0})(Measurement({"ssim": value}))


# the constraint


def test_constraint_puts_every_violator_below_every_feasible_candidate() -> None:
    random.seed(0)
    extremes = [-1.7e308, -1e9, -1.0, -1e-300, 0.0, 0.5, 1.0, 36.0, 1e9, 1.7e308]
    for sign in (1, -1):
        objective = ConstraintObjective(MetricObjective("m", sign), "mult_adds", 5 * GIGA)
        values = sorted(
            {sign * each for each in extremes} | {random.gauss(0, 40) for _ in range(500)},
            key=lambda value: sign * value,
        )
        costs = [5e9 * (1 + 1e-15), 5e9 * 1.01, 6e9, 50e9, math.inf]
        violating = [objective(Measurement({"m": max(values), "mult_adds": c})) for c in costs]
        feasible = [objective(Measurement({"m": v, "mult_adds": 5e9})) for v in values]
        assert violating == sorted(set(violating), reverse=True)
        assert feasible == sorted(feasible)
        assert max(violating) < min(feasible)
        assert all(map(math.isfinite, violating + feasible))


def test_constraint_leaves_a_metric_in_decibels_as_it_is() -> None:
    objective = build("constraint", {"metric": "psnr", "limit": 5e9})
    assert objective(Measurement({"psnr": 34.125, "mult_adds": 4e9})) == 34.125
    assert objective(Measurement({"psnr": 34.125, "mult_adds": 10e9})) == -0.5


def test_constraint_keeps_the_order_of_near_values_below_one() -> None:
    objective = build("constraint", {"metric": "lpips", "limit": 5e9})
    scores = [objective(Measurement({"lpips": 0.2 + k * 1e-9, "mult_adds": 1})) for k in range(9)]
    assert len(set(scores)) == 9
    assert scores == sorted(scores, reverse=True)


def test_constraint_does_not_read_the_metric_of_a_violator() -> None:
    objective = build("constraint", {"metric": "psnr", "limit": 5e9})
    assert objective(Measurement({"psnr": math.nan, "mult_adds": 10e9})) == -0.5


def test_constraint_without_a_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="'constraint' needs its option 'limit', the largest"):
        choose("objectives", "constraint").build(MEASURED)


# what never reaches a policy

SPACE = SurrogateSpace()
OBJECTIVES: dict[str, Objective] = {
    "metric": MetricObjective("m", -1),
    "product": ProductObjective({"m": -1.0}, CostTarget("mult_adds", GIGA, -0.1, -0.1)),
    "sum": SumObjective({"m": -1.0}, CostTarget("mult_adds", GIGA, -0.1, -0.1)),
    "constraint": ConstraintObjective(MetricObjective("m", -1), "mult_adds", 100 * GIGA),
}


class Told(Listed):
    """Keeps the scores that it was told."""

    def __init__(self, items: Any) -> None:
        super().__init__(items)
        self.scores: list[float | None] = []

    def tell(self, trial: Trial) -> None:
        super().tell(trial)
        self.scores.append(trial.score)


class Script(SurrogateEvaluator):
    """Gives one value after the other."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def prepare(self, architecture: Any, *, number: int, seed: int) -> Any:
        return Fixed(self.values[number])


@frozen
class Fixed:
    value: float

    def run(self, device: str, report: Any) -> Outcome:
        return Outcome({"m": self.value})


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_non_finite_values_fail_their_trial_and_never_reach_the_policy(
    name: str, bad: float
) -> None:
    architecture = SPACE.parse([["conv3", node] for node in range(NODES)])
    sampler = Told([architecture] * 3)
    problem = Problem(
        SPACE, Script([0.5, bad, 0.25]), OBJECTIVES[name], InlineExecutor(), Budget(2)
    )
    kinds = [event.kind for event in SampledSearch(problem, sampler).events()]
    assert kinds == ["started", "trial", "started", "failed", "started", "trial"]
    assert all(score is not None and math.isfinite(score) for score in sampler.scores)


class Overflowing:
    """An objective of a stranger."""

    needs = ("m",)

    def __call__(self, measurement: Measurement) -> float:
        return math.exp(1 / measurement.metrics["m"])


@pytest.mark.parametrize(("bad", "reason"), [(0.0, "division"), (1e-9, "range")])
def test_arithmetic_that_fails_costs_one_trial(bad: float, reason: str) -> None:
    architecture = SPACE.parse([["conv3", node] for node in range(NODES)])
    problem = Problem(SPACE, Script([bad, 1.0]), Overflowing(), InlineExecutor(), Budget(1))
    events = list(SampledSearch(problem, Told([architecture] * 2)).events())
    assert [event.kind for event in events] == ["started", "failed", "started", "trial"]
    trial = events[1].trial
    assert trial is not None
    assert reason in trial.reason


def test_measured_infinity_that_no_one_scores_is_left_out_of_the_journal() -> None:
    architecture = SPACE.parse([["conv3", node] for node in range(NODES)])
    trial = Trial(3, architecture, Measurement({"psnr": math.inf, "ssim": 1.0}), 1.0)
    assert trial.to_json()["metrics"] == {"ssim": 1.0}


# configuration


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["psnr", "psnr"]}, r"name each of one or more once"),
        ({"weights": {"pnsr": 1.0}}, "weights: unknown metric 'pnsr'; did you mean"),
        ({"weights": {"psnr": -1.0}}, "objective.weights: must be greater than 0, got -1"),
        (
            {"cost": {"name": "latncy", "target": 1.0}},
            "'latncy' is not measured; did you mean 'latency'",
        ),
        ({"metrics": ["pnsr"]}, "'pnsr' is not measured; did you mean 'psnr'"),
        ({"metrics": ["watched"]}, "'watched' has no good direction"),
        (
            {"metrics": [{"use": "psnr"}]},
            r"objective.metrics\[0\]: expected a string, got .*; name it: 'psnr'",
        ),
        ({"cost": {"above": 0.07}}, "objective.cost.above: must be at most 0"),
    ],
)
@pytest.mark.parametrize("name", ["product", "sum"])
def test_wrong_options_are_refused_with_their_path(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, options)


@pytest.mark.parametrize("name", ["metric", "product", "sum", "constraint"])
def test_left_open_it_is_the_evaluators_first_in_its_good_direction(name: str) -> None:
    options = {"limit": 5e9} if name == "constraint" else {}
    for better, low, high in (("higher", 2.0, 3.0), ("lower", 3.0, 2.0)):
        measured = {"points": Quantity("points", better), "mult_adds": MULT_ADDS}
        objective = build(name, options, measured)
        worse, good = (Measurement({"points": each, "mult_adds": 1e9}) for each in (low, high))
        assert objective(good) > objective(worse)
        assert objective.needs[0] == "points"


def test_objectives_need_no_torch() -> None:
    modules = "corenas.search.objectives, corenas.search.pareto"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
