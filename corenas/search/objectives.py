"""Objectives over any quantities: one, a product or a sum of several, or one within a limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from corenas.errors import ConfigError
from corenas.names import nearest
from corenas.options.structuring import option, section
from corenas.protocols import Objective
from corenas.values.quantity import Quantity
from corenas.values.trial import Measurement

FIRST = "unset: the evaluator's first"


@frozen
class MetricObjectiveConfig:
    """Options of the objective ``metric``."""

    metric: str | None = option(None, f"which quantity counts, by its name; {FIRST}")


@frozen
class CostTargetConfig:
    """A soft target: what costs more has a lower score, and what costs less may have a higher."""

    name: str = option("mult_adds", "the cost that counts, by its name")
    target: float | None = option(None, "what it should be; unset: no cost counts", gt=0)
    below: float = option(-0.07, "weight of a cost below the target", paper="-0.07", le=0)
    above: float = option(-0.07, "weight of a cost above the target", paper="-0.07", le=0)


@frozen
class _SeveralMetrics:
    metrics: tuple[str, ...] = option(
        (), "which quantities count, by their names; none named: the evaluator's first"
    )
    weights: Mapping[str, float] = option(
        {}, "how much a quantity counts, by its name; 1 where none is given", gt=0
    )

    def __attrs_post_init__(self) -> None:
        if len(set(self.metrics)) < len(self.metrics):
            raise ConfigError(f"metrics: name each of one or more once, got {list(self.metrics)}")
        if self.metrics:
            self.check_weights(self.metrics)

    def check_weights(self, names: Sequence[str]) -> None:
        """Refuse weights of what does not count.

        Raises:
            ConfigError: The message offers the nearest name.
        """
        for name in sorted(self.weights.keys() - set(names)):
            raise ConfigError(f"weights: unknown metric {name!r}{nearest(name, names)}")


@frozen
class ProductConfig(_SeveralMetrics):
    """Options of the objective ``product``."""

    cost: CostTargetConfig = section(CostTargetConfig, "a factor (cost / target) ** weight")


@frozen
class SumConfig(_SeveralMetrics):
    """Options of the objective ``sum``."""

    cost: CostTargetConfig = section(
        CostTargetConfig, "a term weight * (cost / target - 1)", below=0.0, above=-1.0
    )


@frozen
class ConstraintConfig:
    """Options of the objective ``constraint``."""

    metric: str | None = option(None, f"which quantity counts, by its name; {FIRST}")
    cost: str = option("mult_adds", "what has a limit, by its name")
    limit: float | None = option(None, "the largest cost allowed; must be set", gt=0)


class NotMeasured(ConfigError):  # noqa: N818 - it names what is the case
    """An objective names a quantity, ``name``, that is not measured; ``allowed`` could be named."""

    def __init__(self, name: str, allowed: Iterable[str]) -> None:
        self.name, self.allowed = name, tuple(allowed)
        super().__init__(f"{name!r} is not measured{nearest(name, self.allowed)}")


@frozen
class MetricObjective:
    """One metric, with its sign turned where lower is better."""

    name: str
    sign: int

    @property
    def needs(self) -> Sequence[str]:
        return (self.name,)

    def __call__(self, measurement: Measurement) -> float:
        return self.sign * measurement.metrics[self.name]


@frozen
class CostTarget:
    """How far a cost is from its target, and what that weighs on this side of it (Eq. 3)."""

    name: str
    target: float
    below: float
    above: float

    def ratio(self, measurement: Measurement) -> tuple[float, float]:
        """Return cost over target, and the weight."""
        ratio = measurement.metrics[self.name] / self.target
        return ratio, self.above if ratio > 1 else self.below


@frozen
class ProductObjective:
    """A product of metrics and a factor for the cost (Eq. 2 of Tan et al., arXiv:1807.11626).

    Metrics are raised to their weights, to negative ones where lower is better. Values must be
    above zero and finite; others are a `ValueError`, which makes the trial a failed one.
    """

    exponents: Mapping[str, float]
    cost: CostTarget | None = None

    @property
    def needs(self) -> Sequence[str]:
        return _list_needs(self.exponents, self.cost)

    def __call__(self, measurement: Measurement) -> float:
        logarithms = [
            exponent * _take_logarithm(name, measurement.metrics[name])
            for name, exponent in self.exponents.items()
        ]
        if self.cost is not None:
            ratio, weight = self.cost.ratio(measurement)
            logarithms.append(weight * _take_logarithm(self.cost.name, ratio))
        # As a sum of logarithms: the product itself may overflow, and its order would matter.
        return math.exp(math.fsum(logarithms))


@frozen
class SumObjective:
    """A sum of weighted metrics, negative ones where lower is better, and a term for the cost.

    The term is linear where the product's factor is a power: in the metrics' own units, a cost of
    twice the target weighs ``above``, and one of three times the target twice that.
    """

    weights: Mapping[str, float]
    cost: CostTarget | None = None

    @property
    def needs(self) -> Sequence[str]:
        return _list_needs(self.weights, self.cost)

    def __call__(self, measurement: Measurement) -> float:
        terms = [weight * measurement.metrics[name] for name, weight in self.weights.items()]
        if self.cost is not None:
            ratio, weight = self.cost.ratio(measurement)
            terms.append(weight * (ratio - 1))
        return math.fsum(terms)


@frozen
class ConstraintObjective:
    """One metric among the candidates within a limit; all others are worse than any of these.

    Within the limit the score is the metric, its sign turned where lower is better; what is below
    1 is squeezed, in the same order, between 0 and 1. Above the limit it is limit / cost - 1, which
    lies between -1 and 0: the less a candidate costs, the better. Both kinds are of one size, so a
    policy that normalises scores still tells good candidates apart.
    """

    metric: MetricObjective
    cost: str
    limit: float

    @property
    def needs(self) -> Sequence[str]:
        return self.metric.name, self.cost

    def __call__(self, measurement: Measurement) -> float:
        cost = measurement.metrics[self.cost]
        # NaN is not above the limit, so it is asked for below.
        if cost > self.limit:
            return self.limit / cost - 1
        if math.isnan(cost):
            raise ValueError(f"{self.cost} is {cost}")
        return _squeeze(self.metric(measurement))


def _squeeze(value: float) -> float:
    """Map finite numbers to those above zero, in their order; from 1 on to themselves."""
    return 1 / (2 - value) if math.isfinite(value) and value < 1 else value


def _take_logarithm(name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {value}; a product needs values above zero")
    return math.log(value)


def _list_needs(metrics: Mapping[str, float], cost: CostTarget | None) -> Sequence[str]:
    return (*metrics, *([] if cost is None else [cost.name]))


Quantities = Mapping[str, Quantity]
"""What an evaluator measures, by name."""


def _find_quantity(name: str | None, quantities: Quantities) -> Quantity:
    """Return the quantity of a name, or the first one where none is given."""
    name = next(iter(quantities), "score") if name is None else name
    if name not in quantities:
        raise NotMeasured(name, [each.name for each in quantities.values() if each.sign])
    if not quantities[name].sign:
        raise ConfigError(f"{name!r} has no good direction, so it cannot be an objective")
    return quantities[name]


def _sign_weights(config: _SeveralMetrics, quantities: Quantities) -> dict[str, float]:
    chosen = [_find_quantity(name, quantities) for name in config.metrics or (None,)]
    config.check_weights([each.name for each in chosen])
    return {each.name: each.sign * config.weights.get(each.name, 1.0) for each in chosen}


def _choose_cost_target(config: CostTargetConfig, quantities: Quantities) -> CostTarget | None:
    if config.target is None:
        return None
    name = _find_quantity(config.name, quantities).name
    return CostTarget(name, config.target, config.below, config.above)


def _choose_metric(name: str | None, quantities: Quantities) -> MetricObjective:
    quantity = _find_quantity(name, quantities)
    return MetricObjective(quantity.name, quantity.sign)


def metric(config: MetricObjectiveConfig, quantities: Quantities) -> Objective:
    """Build the objective ``metric``.

    Raises:
        NotMeasured: There is no such quantity; every one of these functions says so.
    """
    return _choose_metric(config.metric, quantities)


def product(config: ProductConfig, quantities: Quantities) -> Objective:
    """Build the objective ``product``."""
    cost = _choose_cost_target(config.cost, quantities)
    return ProductObjective(_sign_weights(config, quantities), cost)


def weighted_sum(config: SumConfig, quantities: Quantities) -> Objective:
    """Build the objective ``sum``."""
    cost = _choose_cost_target(config.cost, quantities)
    return SumObjective(_sign_weights(config, quantities), cost)


def constraint(config: ConstraintConfig, quantities: Quantities) -> Objective:
    """Build the objective ``constraint``.

    Raises:
        ConfigError: The limit is not set.
    """
    if config.limit is None:
        raise ConfigError(
            f"the objective 'constraint' needs its option 'limit', the largest {config.cost}"
        )
    objective = _choose_metric(config.metric, quantities)
    return ConstraintObjective(
        objective, _find_quantity(config.cost, quantities).name, config.limit
    )
