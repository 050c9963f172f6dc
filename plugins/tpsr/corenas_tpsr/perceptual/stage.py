"""Stage two of TPSR: search a discriminator, train the generator against the best, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from corenas import (
    Budget,
    ConfigError,
    DataError,
    Result,
    Run,
    Trial,
    choose,
    search_stage,
    trial_seed,
)
from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.named import draw
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.training.feature_config import FeaturesConfig, Network
from corenas_sr.training.trunks import MissingWeights
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual.comparison import Finished, report
from corenas_tpsr.perceptual.config import FULL_LAYERS, AdversarialProxyConfig, PerceptualConfig
from corenas_tpsr.perceptual.full_task import (
    at_patch,
    comparison,
    contenders,
    final_metrics,
    full_layers,
    preference,
)
from corenas_tpsr.perceptual.proxy import features_of, proxy_layers

RANDOM: Network = "random-features"

_CHOICES = """\
The second half of this run optimises what a trained network sees, and its weights are missing:
  {missing}
Put the file there or name it, or choose one of these:
  --set perceptual.download=true (and --set perceptual.metric.download=true) fetches the weights
  --set perceptual.network=squeezenet1_1 --set perceptual.weights=FILE \
--set perceptual.losses.features=0.02 --set perceptual.metric.net=squeeze \
--set perceptual.metric.weights=FILE
  --set perceptual.missing=random-features goes on with features that know nothing of images
  --set stages=generator ends the run with the generator"""


@frozen
class Improved:
    """What stage two adds: the model file, if there is one, and its part of the summary."""

    model: Path | None
    summary: Mapping[str, Any]


def resolved(config: TpsrConfig) -> tuple[TpsrConfig, dict[str, str]]:
    """Fill in what stage two leaves open: features that are at hand, the search's objective.

    Returns:
        The configuration, and by option why random features stand in for what it names.

    Raises:
        DataError: Weights are missing and nothing may stand in for them, or a file that the
            options name cannot be used.
        ConfigError: The layers are not of the network.
    """
    missing: dict[str, str] = {}

    def at_hand(perceptual: PerceptualConfig, where: str) -> PerceptualConfig:
        found = _missing(perceptual, where)
        if found and perceptual.missing == "refuse":
            raise DataError(_CHOICES.format(missing="\n  ".join(found.values())))
        missing.update(found)
        return _replaced(perceptual, where, found)

    return _filled(_changed(config, at_hand)), missing


def as_begun(config: TpsrConfig, missing: Mapping[str, str]) -> TpsrConfig:
    """Let random features stand in for what they did when a run began, and for nothing else.

    Weights that come or go while a run is interrupted would change it midway.
    """

    def as_then(perceptual: PerceptualConfig, where: str) -> PerceptualConfig:
        return evolve(_replaced(perceptual, where, missing), missing="refuse")

    return _changed(config, as_then)


def note(missing: Mapping[str, str]) -> str:
    """Return what a person has to know of the weights that are missing; nothing where none are."""
    if not missing:
        return ""
    reasons = [f"{option}: {reason.splitlines()[0]}" for option, reason in missing.items()]
    warning = (
        "random-features stand in: random weights, which know nothing of images; stage two "
        "shows that everything runs, and nothing about quality"
    )
    return "\n".join([*reasons, warning])


def _changed(
    config: TpsrConfig, change: Callable[[PerceptualConfig, str], PerceptualConfig]
) -> TpsrConfig:
    """Change what the options ``perceptual`` say, and those that the search has of its own."""
    config = evolve(config, perceptual=change(config.perceptual, "perceptual"))
    proxy = config.discriminator.evaluator.config
    if not isinstance(proxy, AdversarialProxyConfig) or proxy.perceptual is None:
        return config
    own = change(proxy.perceptual, "discriminator.evaluator.perceptual")
    return _with_proxy(config, evolve(proxy, perceptual=own))


def _with_proxy(config: TpsrConfig, proxy: Any) -> TpsrConfig:
    """Give the search's evaluator other options."""
    search = config.discriminator
    search = evolve(search, evaluator=evolve(search.evaluator, config=proxy))
    return evolve(config, discriminator=search)


def _missing(perceptual: PerceptualConfig, where: str) -> dict[str, str]:
    """Return what has no weights on this machine, and why; what has them is loaded."""
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


def _replaced(
    perceptual: PerceptualConfig, where: str, missing: Mapping[str, str]
) -> PerceptualConfig:
    if f"{where}.network" in missing:
        perceptual = evolve(perceptual, network=RANDOM, weights=None, download=False)
    if f"{where}.metric" in missing:
        perceptual = evolve(perceptual, metric=choose("metrics", RANDOM))
    return perceptual


def _filled(config: TpsrConfig) -> TpsrConfig:
    """Name metric and features where the search for a discriminator leaves them open."""
    _features("compare", config.perceptual, full_layers(config))
    search = config.discriminator
    if search.objective is None:
        objective = choose("objectives", "metric")
        objective = evolve(
            objective, config=evolve(objective.config, metric=config.perceptual.metric)
        )
        config = evolve(config, discriminator=evolve(search, objective=objective))
    proxy = search.evaluator.config
    if not isinstance(proxy, AdversarialProxyConfig):
        return config
    perceptual = proxy.perceptual or config.perceptual
    _features("discriminator.evaluator", perceptual, proxy_layers(proxy, perceptual))
    return _with_proxy(config, evolve(proxy, perceptual=perceptual))


def _features(where: str, perceptual: PerceptualConfig, layers: tuple[str, ...]) -> FeaturesConfig:
    """Return the options of a feature loss, or say by which option they do not fit."""
    try:
        return perceptual.features(layers)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error


def starting_from(config: TpsrConfig, generator: Path) -> TpsrConfig:
    """Tell the search's evaluator which generator its candidates start from, if it wants one."""
    proxy = config.discriminator.evaluator.config
    if hasattr(proxy, "generator") and proxy.generator is None:
        proxy = evolve(proxy, generator=generator)
        config = _with_proxy(config, proxy)
    if not isinstance(proxy, AdversarialProxyConfig):
        return config
    scale = load_model(proxy.generator or generator).scale
    search = config.discriminator
    space = at_patch(search.space, scale * proxy.training.patch)
    return evolve(config, discriminator=evolve(search, space=space))


def improve(run: Run, config: TpsrConfig, generator: Path) -> Improved:
    """Search a discriminator, train the generator against the best ones, and compare.

    Args:
        run: Where the stages ``discriminator`` and ``compare`` stand.
        config: What `resolved` returned.
        generator: Model file of the trained generator.
    """
    config = starting_from(config, generator)
    found = _search(run, config)
    best = [Trial.from_json(value).architecture for value in found.values["best"]]
    if best:
        space = config.discriminator.space.build()
        draw(run.images / "discriminator", space, best[0])
    if run.stopping():
        return Improved(None, _described(config, found))
    start = load_model(generator)
    against = contenders(config, best, scale=start.scale, seed=trial_seed(run.seed, 5))
    stage = comparison(config, against, generator=generator, seed=run.seed, device=run.device)
    compared = run.stage("compare", stage)
    finished = _finished(run, config, compared)
    if not finished:
        return Improved(None, _described(config, found))
    table = report(run, config, against, finished, generator=generator)
    winner = max(finished, key=lambda each: each.score)
    model = run.models / f"tpsr-x{start.scale}-perceptual.safetensors"
    _copy(winner.file, model)
    run.say(f"best: {winner.name}, {winner.described}")
    summary = {**_described(config, found), "winner": winner.name, "contenders": table}
    return Improved(model, summary)


def _copy(file: Path, copy: Path) -> None:
    """Copy a model file; what stands beside it then has the copy's name."""
    model = load_model(file)
    save_model(
        copy,
        model.module,
        space=model.space,
        architecture=model.architecture,
        scale=model.scale,
        extra=model.info,
    )


def _search(run: Run, config: TpsrConfig) -> Result:
    search = config.discriminator
    if search.objective is None:
        raise ConfigError("discriminator.objective: unset")
    space = search.space.build()
    return search_stage(
        run,
        "discriminator",
        search.strategy.build(),
        space=space,
        evaluator=search.evaluator.build(space, config.data),
        objective=search.objective.build(),
        executor=search.executor,
        budget=Budget(search.steps, search.rejections, search.failures),
        seed=trial_seed(run.seed, 6),
        data=config.data,
    )


def _finished(run: Run, config: TpsrConfig, compared: Result) -> list[Finished]:
    """Return the trainings that came to an end and could be measured."""
    score, metric = preference(config.perceptual), config.perceptual.metric.name
    return [
        Finished.of(member, folder=run.models, score=score)
        for member in compared.values["members"]
        if not member["failed"] and member["values"]["scalars"][metric] is not None
    ]


def _described(config: TpsrConfig, found: Result) -> dict[str, Any]:
    """Return what the stage was optimised for, and what its search found."""
    trials: Sequence[Mapping[str, Any]] = found.values["best"]
    proxy = config.discriminator.evaluator.config
    features = {"full": config.perceptual.features(full_layers(config)).description}
    if isinstance(proxy, AdversarialProxyConfig) and proxy.perceptual is not None:
        layers = proxy_layers(proxy, proxy.perceptual)
        features["proxy"] = proxy.perceptual.features(layers).description
    return {
        "optimised_for": {
            "features": features,
            "losses": asdict(config.perceptual.losses),
            "metric": config.perceptual.metric.name,
            "protocol": build_metrics([config.perceptual.metric])[
                config.perceptual.metric.name
            ].info.protocol,
        },
        "metrics": [metric.name for metric in final_metrics(config)],
        "search": {
            "trials": found.values["finished"],
            "failed": found.values["failed"],
            "best": [
                {"id": Trial.from_json(trial).architecture.id, "score": trial["score"]}
                for trial in trials[: config.compare.count]
            ],
        },
    }
