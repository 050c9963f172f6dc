"""Stage two of TPSR: search a discriminator, train the generator against the best, compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from typing import Any

from attrs import evolve, frozen

from corenas import (
    Budget,
    Chosen,
    ConfigError,
    DataError,
    Problem,
    Result,
    Run,
    Trial,
    choose,
    trial_seed,
)
from corenas_sr.architectures import draw
from corenas_sr.evaluation import build_metrics
from corenas_sr.feature_config import LossWeights, Network
from corenas_sr.modelfile import load_model
from corenas_tpsr.comparison import Finished, report
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.discriminator_search import features_of, proxy_layers
from corenas_tpsr.full_task import (
    at_patch,
    comparison,
    contenders,
    final_metrics,
    full_layers,
    preference,
)
from corenas_tpsr.perceptual_config import AdversarialProxyConfig, PerceptualConfig

RANDOM: Network = "random-features"
NAME = "x4-perceptual"

_CHOICES = """\
The second half of this run optimises what a trained network sees, and its weights are missing:
  {missing}
Put the file there or name it, or choose one of these:
  --set perceptual.download=true (and --set perceptual.metric.download=true) fetches the weights
  --set perceptual.network=squeezenet1_1 --set perceptual.weights=FILE \
--set perceptual.metric.net=squeeze --set perceptual.metric.weights=FILE
  --set perceptual.missing=random-features goes on with features that know nothing of images
  --set stages=generator ends the run with the generator"""


@frozen
class Improved:
    """What stage two adds: the model file, if there is one, and its part of the summary."""

    model: Path | None
    summary: Mapping[str, Any]


def resolved(config: TpsrConfig) -> tuple[TpsrConfig, str]:
    """Fill in what stage two leaves open: features that are at hand, the search's objective.

    Returns:
        The configuration, and what a person has to know about it, or an empty string.

    Raises:
        DataError: Weights are missing and nothing may stand in for them.
        ConfigError: The layers are not of the network.
    """
    perceptual, notes = config.perceptual, []
    if problem := _features_missing(config):
        _refuse(perceptual, problem)
        notes.append(f"{perceptual.network}: {problem.splitlines()[0]}")
        perceptual = evolve(perceptual, network=RANDOM, weights=None, download=False)
    if problem := _metric_missing(perceptual.metric):
        _refuse(perceptual, problem)
        notes.append(f"{perceptual.metric.name}: {problem.splitlines()[0]}")
        perceptual = evolve(perceptual, metric=choose("metrics", RANDOM))
    if notes:
        notes.append(
            "random-features stand in: random weights, which know nothing of images; stage two "
            "shows that everything runs, and nothing about quality"
        )
    return _filled(evolve(config, perceptual=perceptual)), "\n".join(notes)


def _refuse(perceptual: PerceptualConfig, problem: str) -> None:
    if perceptual.missing == "refuse":
        raise DataError(_CHOICES.format(missing=problem))


def _features_missing(config: TpsrConfig) -> str:
    """Return why the features cannot be computed; they are loaded if they can."""
    try:
        features_of(config.perceptual.features(full_layers(config)))
    except DataError as error:
        return str(error)
    return ""


def _metric_missing(metric: Chosen) -> str:
    try:
        build_metrics([metric])
    except DataError as error:
        return str(error)
    return ""


def _filled(config: TpsrConfig) -> TpsrConfig:
    """Name metric, features and patch where the search for a discriminator leaves them open."""
    search = config.discriminator
    if search.objective is None:
        objective = choose("objectives", "metric")
        objective = evolve(
            objective, config=evolve(objective.config, metric=config.perceptual.metric)
        )
        search = evolve(search, objective=objective)
    proxy = search.evaluator.config
    if isinstance(proxy, AdversarialProxyConfig):
        perceptual = proxy.perceptual or config.perceptual
        perceptual.features(proxy_layers(proxy, perceptual))  # says which layer is unknown
        filled = evolve(search.evaluator, config=evolve(proxy, perceptual=perceptual))
        search = evolve(search, evaluator=filled)
    return evolve(config, discriminator=search)


def starting_from(config: TpsrConfig, generator: Path) -> TpsrConfig:
    """Tell the search's evaluator which generator its candidates start from."""
    search = config.discriminator
    proxy = search.evaluator.config
    if not isinstance(proxy, AdversarialProxyConfig):
        return config
    if proxy.generator is None:
        proxy = evolve(proxy, generator=generator)
    scale = load_model(generator).scale
    search = evolve(
        search,
        evaluator=evolve(search.evaluator, config=proxy),
        space=at_patch(search.space, scale * proxy.training.patch),
    )
    return evolve(config, discriminator=search)


def improve(run: Run, config: TpsrConfig, generator: Path) -> Improved:
    """Search a discriminator, train the generator against the best ones, and compare.

    Args:
        run: Where the stages ``discriminator`` and ``compare`` stand.
        config: What `resolved` returned.
        generator: Model file of the trained generator.
    """
    config = starting_from(config, generator)
    found = _search(run, config)
    ranking = [Trial.from_json(value) for value in found.values["best"]]
    best = [trial.architecture for trial in ranking]
    scale = load_model(generator).scale
    if best:
        space = config.discriminator.space.build()
        draw(run.images / "discriminator", space, best[0])
    against = contenders(config, best, scale=scale, seed=trial_seed(run.seed, 5))
    if run.stop.requested:
        return Improved(None, _described(config, found))
    stage = comparison(config, against, generator=generator, seed=run.seed, device=run.device)
    compared = run.stage("compare", stage)
    finished = _finished(run, config, compared)
    if not finished:
        return Improved(None, _described(config, found))
    table = report(run, config, against, finished, generator=generator)
    winner = max(finished, key=lambda each: each.score)
    model = run.models / f"tpsr-{NAME}.safetensors"
    copyfile(winner.file, model)
    copyfile(winner.file.with_suffix(".json"), model.with_suffix(".json"))
    run.say(f"best: {winner.name}, {winner.described}")
    summary = {**_described(config, found), "winner": winner.name, "contenders": table}
    return Improved(model, summary)


def _search(run: Run, config: TpsrConfig) -> Result:
    search = config.discriminator
    if search.objective is None:
        raise ConfigError("discriminator.objective: unset")
    space = search.space.build()
    with closing(search.executor.build(run.stop, workers=run.workers, devices=run.devices)) as pool:
        problem = Problem(
            space,
            search.evaluator.build(space, config.data),
            search.objective.build(),
            pool,
            Budget(search.steps, search.rejections, search.failures),
            trial_seed(run.seed, 6),
            data=config.data,
            device=run.device,
        )
        return run.stage("discriminator", search.strategy.build().search(problem))


def _finished(run: Run, config: TpsrConfig, compared: Result) -> list[Finished]:
    """Return the trainings that came to an end, with what they were validated by."""
    score = preference(config.perceptual)
    members = compared.values["members"]
    return [
        Finished.of(member, folder=run.models, score=score)
        for member in members
        if not member["failed"] and config.perceptual.metric.name in member["values"]["scalars"]
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
            "losses": _weights(config.perceptual.losses),
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


def _weights(losses: LossWeights) -> dict[str, float]:
    return {
        "pixel": losses.pixel,
        "features": losses.features,
        "adversarial": losses.adversarial,
    }
