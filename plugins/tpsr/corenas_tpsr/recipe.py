"""The recipe ``tpsr``: search at x2, full training at x2 and x4, stage two, hand-over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve
from torch import nn

from corenas import (
    Architecture,
    Chosen,
    NothingYet,
    Parts,
    Run,
    SearchError,
    SearchResult,
    Trial,
    listed,
)
from corenas.files import atomic_write
from corenas.supernets.one_shot import check_found
from corenas.training.networks import carry_over, seeded
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.preflight import check_run_data
from corenas_sr.models.files import load_model
from corenas_sr.models.named import at_scale, draw
from corenas_sr.results.agreement import compare_scores
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.results.report import draw_trials, hand_over
from corenas_sr.training.final import FinalTraining
from corenas_tpsr._checks import check_searches, full_patches
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.generator.weight_cache import read_weights
from corenas_tpsr.perceptual.full_task import final_metrics
from corenas_tpsr.perceptual.resolving import (
    describe_missing,
    describe_shared,
    replace_missing,
    resolve,
)
from corenas_tpsr.perceptual.stage import improve
from corenas_tpsr.perceptual.tradeoff import draw_tradeoff

GENERATOR = "generator.safetensors"
"""File name of the run's copy of a generator that the user gave."""


def tpsr(run: Run, config: TpsrConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    config = _prepare(run, config)
    models, summary = _make_generator(run, config)
    metrics: Sequence[Chosen] = config.metrics
    undrawn: Sequence[str] = ()
    if config.stages != "generator" and not run.stopping():
        name, generator = list(models.items())[-1]
        improved = improve(run, config, generator)
        metrics = final_metrics(config)
        summary["perceptual"] = improved.summary
        made = {f"{name}-{what}": file for what, file in improved.models.items()}
        models |= made
        # A table and one picture of all of them say more than a picture of each.
        undrawn = list(made)[:-1]
    handed_over = hand_over(run, models, data=config.data, metrics=metrics, undrawn=undrawn)
    if "perceptual" in summary:
        draw_tradeoff(run, config, handed_over["models"])
    return {**handed_over, **summary}


def _prepare(run: Run, config: TpsrConfig) -> TpsrConfig:
    """Check everything before anything is trained; return the options with nothing left open.

    A resumed run keeps its own copy of the generator, and its first decision on missing weights.
    """
    # The user's file may have changed or gone since; the results so far rest on the copy.
    if run.begun and config.generator is not None and (run.models / GENERATOR).exists():
        config = evolve(config, generator=run.models / GENERATOR)
    build_metrics(config.metrics)
    if config.stages != "generator":
        config = _resolve_features(run, config)
    check_searches(config)
    check_run_data(run, config.data, patches=full_patches(config))
    return config


def _resolve_features(run: Run, config: TpsrConfig) -> TpsrConfig:
    """Settle what stage two's losses and metric compare; say where others stand in for them."""
    # Remembered: weights that appear while a run is interrupted must not change what it optimises.
    missing = run.remember("missing-weights", lambda: resolve(config)[1])
    resolved = resolve(replace_missing(config, missing))[0]
    for text in (describe_missing(missing, config), describe_shared(resolved)):
        for line in text.splitlines():
            run.say(line)
    return resolved


def _make_generator(run: Run, config: TpsrConfig) -> tuple[dict[str, Path], dict[str, Any]]:
    """Search and train the generator, or copy the one that the user gave; return its models."""
    if config.generator is not None:
        scale = load_model(config.generator).scale
        return {f"x{scale}": _copy_generator(run, config.generator)}, {}
    found = run.search("search", config.search, data=config.data)
    if found.chosen is None:
        raise NothingYet("stopped before the first candidate was measured: nothing to hand over")
    if not run.stopping():
        check_found(found, config.search, data=config.data, where="search")
    front = draw_trials(run, found, stage="search")
    best = found.trials[: config.fresh.count]
    scores = _train_from_scratch(run, config, best)
    winner = _pick_winner(config, found, scores) or found.chosen
    run.say(f"winner: {winner.id}")
    space = config.search.space.build()
    draw(run.images / "generator", space, winner)
    models = _train_fully(run, config, winner, found)
    return models, {
        "architecture": {"id": winner.id, "cell": space.format(winner)},
        "search": {
            "trials": found.counts.get("finished", 0),
            "rejected": found.counts.get("rejected", 0),
            "failed": found.counts.get("failed", 0),
            "warm": {trial.architecture.id: trial.score for trial in best},
            "fresh": {architecture.id: score for architecture, score in scores.items()},
            "pareto": [trial.number for trial in front],
        },
    }


def _copy_generator(run: Run, generator: Path) -> Path:
    """Copy the user's generator: the run folder holds all that its results rest on."""
    file = run.models / GENERATOR
    if generator != file.absolute():
        with run.writing(), atomic_write(file) as copy:
            copy.write(generator.read_bytes())
    return file


def _train_from_scratch(
    run: Run, config: TpsrConfig, best: Sequence[Trial]
) -> Mapping[Architecture, float]:
    """Train the best candidates from scratch, and say how the scores agree.

    Late candidates inherit more training through the weight cache, so the search's own scores
    favour them.
    """
    if not best:
        return {}

    def from_scratch(parts: Parts) -> Parts:
        return evolve(
            parts,
            strategy=listed([trial.architecture for trial in best]),
            evaluator=parts.evaluator.from_scratch(),
        )

    search = evolve(config.search, steps=len(best))
    try:
        found = run.search("fresh", search, data=config.data, change=from_scratch)
    except SearchError as error:
        # The search's result is still good: its own scores then pick the winner.
        run.say(f"the best candidates could not be trained from scratch: {error}")
        return {}
    scores = {t.architecture: t.score for t in found.trials if t.score is not None}
    compare_scores(run, best, scores, how="trained from scratch")
    return scores


def _pick_winner(
    config: TpsrConfig, found: SearchResult, scores: Mapping[Architecture, float]
) -> Architecture | None:
    """Return the best trial's architecture; None after a one-shot search, which has no trials."""
    if config.fresh.pick == "fresh" and scores:
        return max(scores, key=lambda architecture: scores[architecture])
    return found.trials[0].architecture if found.trials else None


def _train_fully(
    run: Run, config: TpsrConfig, winner: Architecture, found: SearchResult
) -> dict[str, Path]:
    """Train the winner at x2 from the search's weights, then at x4 from the x2 model."""
    space = config.search.space
    # Seeded although the cache follows: what it does not hold keeps these weights.
    with seeded(run.seed_for("train-x2", "weights")):
        model = space.build().build(winner)
    if "cache" in found.files:
        weights = read_weights(run.file(found, "cache"), winner)
        model.load_state_dict(weights, strict=False)
    if "inherited" in found.files:
        model = load_model(run.file(found, "inherited")).module
    files = {"x2": _train_at_scale(run, config, space, winner, model, config.x2)}
    if run.stopping():
        return files
    # Section 4.1: x4 is trained from the x2 model. Only its second up-sampler is fresh.
    at_four = at_scale(space, 4)
    with seeded(run.seed_for("train-x4", "weights")):
        larger = at_four.build().build(winner)
    carry_over(load_model(files["x2"]).module, larger)
    files["x4"] = _train_at_scale(run, config, at_four, winner, larger, config.x4)
    return files


def _train_at_scale(
    run: Run,
    config: TpsrConfig,
    space: Chosen,
    winner: Architecture,
    model: nn.Module,
    training: PixelTrainingConfig,
) -> Path:
    scale = space.config.scale
    final = FinalTraining(
        f"tpsr-x{scale}.safetensors",
        space,
        winner,
        scale,
        config.data,
        config.metrics,
        run.device,
    )
    task = final.task(model, training, seed=run.seed_for(f"train-x{scale}", "patches"))
    result = run.stage(f"train-x{scale}", task)
    return run.models / result.files["model"]
