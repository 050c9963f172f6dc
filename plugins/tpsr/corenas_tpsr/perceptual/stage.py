"""Stage two of TPSR: search discriminators, train against the best, compare the results."""

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
from corenas.search.config import SearchConfig
from corenas_sr.features.config import FeaturesConfig, Network
from corenas_sr.features.trunks import MissingWeights
from corenas_sr.models.files import interpolate_models, load_model, save_model
from corenas_sr.models.named import draw
from corenas_sr.results.evaluation import build_metrics
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


@frozen
class _StandIn:
    """Network and metric that stand in for missing ones; features are ``larger`` times as large."""

    network: Network
    metric: str
    options: Mapping[str, Any] = {}
    larger: float = 1.0


_STAND_INS = {
    # Another network in the metric than in the loss: a loss must not judge itself. Squared
    # differences of these features are about 1/400 of those of VGG16's conv5_3, so that with the
    # weights of the options the other terms would drown them.
    "st-lpips": _StandIn("st-alexnet", "st-lpips", {"net": "vgg"}, larger=1 / 400),
    "random-features": _StandIn("random-features", "random-features"),
}
"""By the option ``missing``."""

_WARNINGS = {
    "st-lpips": "the networks of ST-LPIPS stand in: AlexNet in the loss, VGG16 in the metric",
    "random-features": "random-features stand in: random weights, which know nothing of images; "
    "stage two shows that everything runs, and nothing about quality",
}

_REMEDIES = """\
The second half of this run optimises what a trained network sees, and its weights are missing:
  {missing}
Put the file there or name it, or choose one of these:
  --set perceptual.download=true (and --set perceptual.metric.download=true) fetches the weights
  --set perceptual.network=squeezenet1_1 --set perceptual.weights=FILE \
--set perceptual.losses.features=0.02 --set perceptual.metric.net=squeeze \
--set perceptual.metric.weights=FILE
  --set perceptual.missing=st-lpips goes on with networks that are installed
  --set perceptual.missing=random-features goes on with features that know nothing of images
  --set stages=generator ends the run with the generator"""


PERCEPTUAL = "perceptual"
"""What the best training's model is called among those of stage two."""


@frozen
class Improved:
    """The result of stage two: its model files by what they are, and its part of the summary.

    ``perceptual`` is the best training's; before it come those between it and the generator. There
    are none where nothing was trained.
    """

    models: Mapping[str, Path]
    summary: Mapping[str, Any]


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
    own: PerceptualConfig | None = config.discriminator.evaluator.option("perceptual")
    modes = [
        (own if own is not None and option.startswith("discriminator.") else config.perceptual)
        for option in missing
    ]
    warnings = dict.fromkeys(_WARNINGS[mode.missing] for mode in modes)
    return "\n".join([*reasons, *warnings])


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
    return _set_evaluator(
        config, evolve(evaluator, config=evolve(evaluator.config, perceptual=own))
    )


def _set_evaluator(config: TpsrConfig, evaluator: Chosen) -> TpsrConfig:
    return evolve(config, discriminator=evolve(config.discriminator, evaluator=evaluator))


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
    """Replace what is missing.

    Raises:
        MissingWeights: What should stand in is missing itself.
    """
    if not missing.keys() & {f"{where}.network", f"{where}.metric"}:
        return perceptual
    known = _STAND_INS[perceptual.missing]
    if f"{where}.network" in missing:
        losses = perceptual.losses
        losses = evolve(losses, features=losses.features / known.larger)
        perceptual = evolve(
            perceptual, network=known.network, weights=None, download=False, losses=losses
        )
        features_of(perceptual.features(FULL_LAYERS[known.network]))
    if f"{where}.metric" in missing:
        chosen = choose("metrics", known.metric)
        chosen = evolve(chosen, config=evolve(chosen.config, **known.options))
        build_metrics([chosen])
        perceptual = evolve(perceptual, metric=chosen)
    return perceptual


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
    return _set_evaluator(config, evaluator)


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


def start_from(config: TpsrConfig, generator: Path) -> TpsrConfig:
    """Give the search's evaluator the generator that its candidates start from."""
    return _set_evaluator(config, config.discriminator.evaluator.filled(generator=generator))


def improve(run: Run, config: TpsrConfig, generator: Path) -> Improved:
    """Search a discriminator, train the generator against the best ones, and compare.

    Args:
        run: Where the stages ``discriminator`` and ``compare`` stand.
        config: What `resolve` returned.
        generator: Model file of the trained generator.
    """
    config = start_from(config, generator)
    found = run.search("discriminator", config.discriminator, data=config.data)
    if found.chosen is not None:
        draw(run.images / "discriminator", config.discriminator.space.build(), found.chosen)
    # The search trains proxies of the generator alone; a better one comes of the comparison.
    if run.stopping():
        return Improved({}, _summarise(config, found))
    start = load_model(generator)
    best = [trial.architecture for trial in found.trials]
    against = contenders(
        config, best, scale=start.scale, seed=run.seed_for("compare", "random discriminator")
    )
    stage = comparison(
        config, against, generator=generator, seed_for=run.seed_for, device=run.device
    )
    compared = run.stage("compare", stage)
    finished = _finished_trainings(run, config, compared)
    if not finished:
        return Improved({}, _summarise(config, found))
    table = report(run, config, against, finished, generator=generator)
    winner = max(finished, key=lambda each: each.score)
    model = run.models / f"tpsr-x{start.scale}-perceptual.safetensors"
    _copy_model(winner.file, model)
    run.say(f"best: {winner.name}, {winner.location}")
    summary = {**_summarise(config, found), "winner": winner.name, "contenders": table}
    between = _interpolate(run, config, generator, model)
    return Improved({**between, PERCEPTUAL: model}, summary)


def _interpolate(run: Run, config: TpsrConfig, generator: Path, model: Path) -> dict[str, Path]:
    """Write the networks between the generator and the best training; return them by name."""
    files = {}
    for share in config.compare.interpolate:
        name = f"{PERCEPTUAL}-{share:g}"
        files[name] = model.with_name(f"{model.stem}-{share:g}{model.suffix}")
        with run.writing():
            interpolate_models(generator, model, share, files[name])
    return files


def _copy_model(file: Path, copy: Path) -> None:
    """Copy a model file by loading and saving it: the JSON file beside it names the copy, then."""
    model = load_model(file)
    save_model(
        copy,
        model.module,
        space=model.space,
        architecture=model.architecture,
        scale=model.scale,
        extra=model.info,
    )


def _finished_trainings(run: Run, config: TpsrConfig, compared: Result) -> list[Finished]:
    """Return the trainings that came to an end and have a finite perceptual metric."""
    score, metric = preference(config.perceptual), config.perceptual.metric.name
    return [
        Finished.of(member, folder=run.models, score=score)
        for member in compared.values["members"]
        if not member["failed"] and member["values"]["scalars"][metric] is not None
    ]


def _summarise(config: TpsrConfig, found: SearchResult) -> dict[str, Any]:
    """Return the summary of the stage: what it optimised for, and what its search found."""
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
            "adversarial": config.perceptual.adversarial,
            "r1": config.perceptual.r1,
            "ema": config.perceptual.ema,
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
