"""What stage two's losses and metric compare: settled before it begins, with stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from corenas import Chosen, ConfigError, DataError, choose
from corenas.search.config import SearchConfig
from corenas_sr.features.config import FEATURE_WEIGHTS, TITLES, FeaturesConfig, Network
from corenas_sr.features.trunks import MissingWeights
from corenas_sr.results.evaluation import build_metrics
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.config import FULL_LAYERS, PerceptualConfig
from corenas_tpsr.perceptual.full_task import full_layers
from corenas_tpsr.perceptual.proxy import features_of, proxy_layers


@frozen
class _StandIn:
    """Networks and metrics that may stand in for missing ones, those that go first first."""

    networks: Sequence[Network]
    metrics: Sequence[tuple[str, Mapping[str, Any]]]
    warning: str


_STAND_INS = {
    "st-lpips": _StandIn(
        ("st-alexnet", "st-vgg16"),
        (("st-lpips", {"net": "vgg"}), ("st-lpips", {"net": "alex"})),
        "networks of ST-LPIPS stand in: {}",
    ),
    "random-features": _StandIn(
        ("random-features",),
        (("random-features", {}),),
        "random-features stand in: random weights, which know nothing of images; stage two shows "
        "that everything runs, and nothing about quality",
    ),
}
"""By the option ``missing``."""

_REMEDIES = """\
The second half of this run optimises what a trained network sees, and its weights are missing:
  {missing}
Put the file there or name it, or choose one of these:
  --set perceptual.download=true (and --set perceptual.metric.download=true) fetches the weights
  --set perceptual.network=squeezenet1_1 --set perceptual.weights=FILE \
--set perceptual.metric=st-lpips
  --set perceptual.missing=st-lpips goes on with networks that are installed
  --set stages=generator ends the run with the generator"""


def resolve(config: TpsrConfig) -> tuple[TpsrConfig, dict[str, str]]:
    """Settle which features stage two uses, and hand the recipe's to the search.

    Returns:
        The options, and for each option that is replaced, why its weights are missing.

    Raises:
        DataError: Weights are missing and nothing may stand in for them, or a file that the
            options name cannot be used.
        ConfigError: The layers are not of the network.
    """
    missing: dict[str, str] = {}

    def replace_or_refuse(perceptual: PerceptualConfig, where: str) -> PerceptualConfig:
        found = _find_missing(perceptual, where)
        if found and perceptual.missing == "refuse":
            raise DataError(_REMEDIES.format(missing="\n  ".join(found.values())))
        missing.update(found)
        return _use_stand_ins(perceptual, where, found)

    return _fill_search(_change_perceptual(config, replace_or_refuse)), missing


def replace_missing(config: TpsrConfig, missing: Mapping[str, str]) -> TpsrConfig:
    """Let other features stand in where they did when the run began, and nowhere else.

    Weights that come or go while a run is interrupted would otherwise change what it optimises.
    """

    def replace(perceptual: PerceptualConfig, where: str) -> PerceptualConfig:
        return evolve(_use_stand_ins(perceptual, where, missing), missing="refuse")

    return _change_perceptual(config, replace)


def describe_missing(missing: Mapping[str, str], config: TpsrConfig) -> str:
    """Return the warning about missing weights; empty where none are missing.

    Args:
        missing: What `resolve` returned.
        config: The options as they were given to it.
    """
    if not missing:
        return ""
    reasons = [f"{option}: {reason.splitlines()[0]}" for option, reason in missing.items()]
    warnings: dict[str, None] = {}

    def describe(perceptual: PerceptualConfig, where: str) -> PerceptualConfig:
        found = _use_stand_ins(perceptual, where, missing)
        told = []
        if f"{where}.network" in missing:
            told.append(f"{TITLES[found.network]} in the loss")
        if f"{where}.metric" in missing:
            told.append(f"{TITLES[network_of(found.metric)]} in the metric")
        if told:
            warnings[_STAND_INS[perceptual.missing].warning.format(", ".join(told))] = None
        return perceptual

    _change_perceptual(config, describe)
    return "\n".join([*reasons, *warnings])


def describe_shared(config: TpsrConfig) -> str:
    """Return a warning where a loss and the metric read one network; empty where none does.

    Args:
        config: What `resolve` returned.
    """
    warnings: dict[str, None] = {}

    def describe(perceptual: PerceptualConfig, where: str) -> PerceptualConfig:
        known = perceptual.network != "random-features"  # nobody takes their numbers for any
        if known and network_of(perceptual.metric) == perceptual.network:
            warnings[
                f"the loss compares the features of {TITLES[perceptual.network]}, and so does the "
                f"metric {perceptual.metric.name}: it flatters what was trained for it"
            ] = None
        return perceptual

    _change_perceptual(config, describe)
    return "\n".join(warnings)


def network_of(metric: Chosen) -> str:
    """Return the network whose features a metric compares; empty where it compares none."""
    return build_metrics([metric])[metric.name].info.network


def _change_perceptual(
    config: TpsrConfig, change: Callable[[PerceptualConfig, str], PerceptualConfig]
) -> TpsrConfig:
    """Change the recipe's option ``perceptual``, and that of the search where it has its own."""
    config = evolve(config, perceptual=change(config.perceptual, "perceptual"))
    evaluator = config.discriminator.evaluator
    own: PerceptualConfig | None = evaluator.option("perceptual")
    if own is None:
        return config
    own = change(own, "discriminator.evaluator.perceptual")
    return set_evaluator(config, evolve(evaluator, config=evolve(evaluator.config, perceptual=own)))


def _find_missing(perceptual: PerceptualConfig, where: str) -> dict[str, str]:
    """Return, by option, why weights are missing. Loading is the only sure way to know."""
    missing = {}
    try:
        features_of(perceptual.features(FULL_LAYERS[perceptual.network]))
    except MissingWeights as error:
        missing[f"{where}.network"] = str(error)
    try:
        build_metrics([perceptual.metric])
    except MissingWeights as error:
        missing[f"{where}.metric"] = str(error)
    return missing


def _use_stand_ins(
    perceptual: PerceptualConfig, where: str, missing: Mapping[str, str]
) -> PerceptualConfig:
    """Replace what is missing, so that losses and metric read different networks if they can.

    Raises:
        MissingWeights: What should stand in is missing itself.
    """
    no_network, no_metric = (f"{where}.{part}" in missing for part in ("network", "metric"))
    if not (no_network or no_metric):
        return perceptual
    known = _STAND_INS[perceptual.missing]
    if no_network:
        judge = "" if no_metric else network_of(perceptual.metric)
        network = next((each for each in known.networks if each != judge), known.networks[0])
        losses = perceptual.losses
        if losses.features is not None:
            larger = FEATURE_WEIGHTS[network] / FEATURE_WEIGHTS[perceptual.network]
            losses = evolve(losses, features=losses.features * larger)
        perceptual = evolve(
            perceptual, network=network, weights=None, download=False, losses=losses
        )
        features_of(perceptual.features(FULL_LAYERS[network]))
    if no_metric:
        metrics = [_chosen_metric(*each) for each in known.metrics]
        others = (each for each in metrics if network_of(each) != perceptual.network)
        perceptual = evolve(perceptual, metric=next(others, metrics[0]))
    return perceptual


def _chosen_metric(name: str, options: Mapping[str, Any]) -> Chosen:
    chosen = choose("metrics", name)
    return evolve(chosen, config=evolve(chosen.config, **options))


def _fill_search(config: TpsrConfig) -> TpsrConfig:
    """Give the search for a discriminator the recipe's features, metric and executor.

    Where it has its own, it keeps them.
    """
    config = evolve(config, discriminator=_with_executor(config.discriminator, config.search))
    _features_config("compare", config.perceptual, full_layers(config))
    evaluator = config.discriminator.evaluator.filled(perceptual=config.perceptual)
    perceptual: PerceptualConfig | None = evaluator.option("perceptual")
    if perceptual is not None:
        layers = proxy_layers(evaluator.option("layers") or (), perceptual)
        _features_config("discriminator.evaluator", perceptual, layers)
    return set_evaluator(config, evaluator)


def _with_executor(search: SearchConfig, first: SearchConfig) -> SearchConfig:
    """Let a search whose executor nobody has touched have that of the first one."""
    if search.executor != choose("executors", "processes"):
        return search
    executor = first.executor
    if executor.option("time_limit") is not None:
        # A limit is made for the candidates of one search; those of the other may take days.
        executor = evolve(executor, config=evolve(executor.config, time_limit=None))
    return evolve(search, executor=executor)


def _features_config(
    where: str, perceptual: PerceptualConfig, layers: tuple[str, ...]
) -> FeaturesConfig:
    """Return the options of a feature loss; an error begins with the option at fault."""
    try:
        return perceptual.features(layers)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error


def set_evaluator(config: TpsrConfig, evaluator: Chosen) -> TpsrConfig:
    """Return the options with another evaluator of the search for a discriminator."""
    return evolve(config, discriminator=evolve(config.discriminator, evaluator=evaluator))
