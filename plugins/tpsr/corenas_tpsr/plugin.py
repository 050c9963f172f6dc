"""The hooks of TPSR."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, Recipe, hookimpl
from corenas_tpsr._catalogue import OPERATIONS, OTHER_OPERATIONS, REDUCTIONS, SPACES
from corenas_tpsr._presets import PRESETS
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.generator.config import ProxyConfig
from corenas_tpsr.perceptual.config import AdversarialProxyConfig
from corenas_tpsr.policy.config import AdvantageConfig, AverageConfig, ReinforceConfig, RewardConfig

PAPER = "Lee et al., Journey Towards Tiny Perceptual Super-Resolution, ECCV 2020, arXiv:2007.04356"


@hookimpl
def corenas_operations() -> Iterable[Component]:
    return OPERATIONS + OTHER_OPERATIONS + REDUCTIONS


@hookimpl
def corenas_search_spaces() -> Iterable[Component]:
    return SPACES


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    return (
        Component(
            "reinforce",
            "corenas_tpsr.policy.reinforce:reinforce",
            ReinforceConfig,
            "an LSTM policy trained by REINFORCE (Eq. 3)",
        ),
    )


@hookimpl
def corenas_rewards() -> Iterable[Component]:
    return (
        Component(
            "advantage",
            "corenas_tpsr.policy.reward:Advantage",
            AdvantageConfig,
            "normalised score less its moving average, plus entropy (supplement Eq. 10)",
        ),
        Component(
            "literal-ema",
            "corenas_tpsr.policy.reward:LiteralEma",
            AverageConfig,
            "the moving average itself, as supplement Eq. 10 is printed; does not learn",
        ),
        Component(
            "no-baseline",
            "corenas_tpsr.policy.reward:NoBaseline",
            RewardConfig,
            "normalised score plus entropy",
        ),
    )


@hookimpl
def corenas_evaluators() -> Iterable[Component]:
    return (
        Component(
            "tpsr-proxy",
            "corenas_tpsr.generator.proxy:ProxyEvaluator",
            ProxyConfig,
            "a short training from the best weights so far (Eq. 5)",
        ),
        Component(
            "tpsr-adversarial",
            "corenas_tpsr.perceptual.proxy:AdversarialEvaluator",
            AdversarialProxyConfig,
            "what a short training against a discriminator makes of a generator",
        ),
    )


@hookimpl
def corenas_recipes() -> Iterable[Recipe]:
    return (
        Recipe(
            "tpsr",
            "corenas_tpsr.recipe:tpsr",
            TpsrConfig,
            "search a tiny generator, then a discriminator that makes what it gives look good",
            PRESETS,
            PAPER,
            "corenas_tpsr.dry_run:check",
        ),
    )
