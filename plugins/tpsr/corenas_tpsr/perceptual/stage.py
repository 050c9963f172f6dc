"""Stage two of TPSR: search discriminators, train against the best, compare the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from corenas import Result, Run, SearchResult, Trial
from corenas_sr.models.files import interpolate_models, load_model, save_model
from corenas_sr.models.named import draw
from corenas_sr.results.agreement import compare_scores
from corenas_sr.results.evaluation import build_metrics
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.perceptual._comparison import Finished, report
from corenas_tpsr.perceptual.config import PerceptualConfig
from corenas_tpsr.perceptual.full_task import (
    comparison,
    contenders,
    final_metrics,
    full_layers,
    preference,
)
from corenas_tpsr.perceptual.proxy import proxy_layers
from corenas_tpsr.perceptual.resolving import set_evaluator

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


def start_from(config: TpsrConfig, generator: Path) -> TpsrConfig:
    """Give the search's evaluator the generator that its candidates start from."""
    return set_evaluator(config, config.discriminator.evaluator.filled(generator=generator))


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
    best_found = found.trials[: config.compare.count]
    if correlation := _compare_with_search(run, best_found, finished):
        summary["rank_correlation"] = correlation
    between = _interpolate(run, config, generator, model)
    return Improved({**between, PERCEPTUAL: model}, summary)


def _compare_with_search(
    run: Run, best: Sequence[Trial], finished: Sequence[Finished]
) -> Mapping[str, Any] | None:
    """Say what the full task makes of the search's order; return the rank correlation, if any."""
    scores = {
        trial.architecture: max(each.score for each in ours)
        for place, trial in enumerate(best, start=1)
        if (ours := [each for each in finished if each.contender == f"searched-{place}"])
    }
    return compare_scores(run, best, scores, how="in the full task")


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
            "losses": asdict(config.perceptual.weights_of_losses),
            "adversarial": config.perceptual.adversarial,
            "r1": config.perceptual.r1,
            "balance": config.perceptual.balance,
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
