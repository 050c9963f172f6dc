"""Stage two of TPSR: search a discriminator, train the generator against the best, compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from corenas import (
    Chosen,
    ConfigError,
    DataError,
    Result,
    Run,
    SearchResult,
    choose,
)
from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.named import draw
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.training.feature_config import FeaturesConfig, Network
from corenas_sr.training.trunks import MissingWeights
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual._comparison import Finished, report
from corenas_tpsr.perceptual.config import FULL_LAYERS, PerceptualConfig
from corenas_tpsr.perceptual.full_task import (
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
    evaluator = config.discriminator.evaluator
    own: PerceptualConfig | None = evaluator.option("perceptual")
    if own is None:
        return config
    own = change(own, "discriminator.evaluator.perceptual")
    return _with_evaluator(
        config, evolve(evaluator, config=evolve(evaluator.config, perceptual=own))
    )


def _with_evaluator(config: TpsrConfig, evaluator: Chosen) -> TpsrConfig:
    return evolve(config, discriminator=evolve(config.discriminator, evaluator=evaluator))


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
    evaluator = config.discriminator.evaluator.filled(perceptual=config.perceptual)
    perceptual: PerceptualConfig | None = evaluator.option("perceptual")
    if perceptual is not None:
        layers = proxy_layers(evaluator.option("layers") or (), perceptual)
        _features("discriminator.evaluator", perceptual, layers)
    return _with_evaluator(config, evaluator)


def _features(where: str, perceptual: PerceptualConfig, layers: tuple[str, ...]) -> FeaturesConfig:
    """Return the options of a feature loss, or say by which option they do not fit."""
    try:
        return perceptual.features(layers)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error}") from error


def starting_from(config: TpsrConfig, generator: Path) -> TpsrConfig:
    """Tell the search's evaluator which generator its candidates start from, if it wants one."""
    return _with_evaluator(config, config.discriminator.evaluator.filled(generator=generator))


def improve(run: Run, config: TpsrConfig, generator: Path) -> Improved:
    """Search a discriminator, train the generator against the best ones, and compare.

    Args:
        run: Where the stages ``discriminator`` and ``compare`` stand.
        config: What `resolved` returned.
        generator: Model file of the trained generator.
    """
    config = starting_from(config, generator)
    found = run.search("discriminator", config.discriminator, data=config.data)
    if found.chosen is not None:
        draw(run.images / "discriminator", config.discriminator.space.build(), found.chosen)
    if run.stopping():
        return Improved(None, _described(config, found))
    start = load_model(generator)
    best = [trial.architecture for trial in found.trials]
    against = contenders(
        config, best, scale=start.scale, seed=run.seed_for("compare", "random discriminator")
    )
    stage = comparison(
        config, against, generator=generator, seed_for=run.seed_for, device=run.device
    )
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


def _finished(run: Run, config: TpsrConfig, compared: Result) -> list[Finished]:
    """Return the trainings that came to an end and could be measured."""
    score, metric = preference(config.perceptual), config.perceptual.metric.name
    return [
        Finished.of(member, folder=run.models, score=score)
        for member in compared.values["members"]
        if not member["failed"] and member["values"]["scalars"][metric] is not None
    ]


def _described(config: TpsrConfig, found: SearchResult) -> dict[str, Any]:
    """Return what the stage was optimised for, and what its search found."""
    evaluator = config.discriminator.evaluator
    features = {"full": config.perceptual.features(full_layers(config)).description}
    own: PerceptualConfig | None = evaluator.option("perceptual")
    if own is not None:
        layers = proxy_layers(evaluator.option("layers") or (), own)
        features["proxy"] = own.features(layers).description
    metric = config.perceptual.metric
    return {
        "optimised_for": {
            "features": features,
            "losses": asdict(config.perceptual.losses),
            "metric": metric.name,
            "protocol": build_metrics([metric])[metric.name].info.protocol,
        },
        "metrics": [metric.name for metric in final_metrics(config)],
        "search": {
            "trials": found.counts.get("finished", 0),
            "failed": found.counts.get("failed", 0),
            "best": [
                {"id": trial.architecture.id, "score": trial.score}
                for trial in found.trials[: config.compare.count]
            ],
        },
    }
