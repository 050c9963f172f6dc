from __future__ import annotations

from typing import Any

import pytest

from corenas.errors import ConfigError
from corenas.options.structuring import structure
from corenas.search.config import SearchConfig
from corenas.testing.surrogate import surrogate_problem

OTHERS = {"space": "tpsr-generator", "evaluator": "sr-training"}


def strategy_of(name: str, **options: Any) -> Any:
    config = structure(SearchConfig, {"strategy": {"use": name, **options}, **OTHERS})
    return config.strategy.build()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantities": ["psnr", "mult_ads"]}, "quantities: .*'mult_ads'.*mult_adds"),
        ({"quantities": ["psnr", "psnr"]}, "quantities: one stands twice"),
        ({"limits": {"parms": 3.0}}, "limits: the evaluator does not measure 'parms'"),
    ],
)
def test_what_the_evaluator_does_not_measure_is_refused_before_the_start(options, message):
    with pytest.raises(ConfigError, match=message):
        strategy_of("nsga2", **options).check(surrogate_problem(4))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tpe", {"population": 4}, "unknown key 'population'"),
        ("nsga2", {"population": 1}, "population"),
        ("gp", {"startup": 0}, "startup"),
        ("tpe", {"limits": {"mult_adds": "low"}}, "limits"),
    ],
)
def test_wrong_option_is_refused_with_its_path(name, options, message):
    with pytest.raises(ConfigError, match=message):
        strategy_of(name, **options)
