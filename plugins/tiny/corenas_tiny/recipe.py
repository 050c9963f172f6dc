"""The recipe ``tiny``: search within limits, train the network found, put known ones beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from torch import nn

from corenas import (
    Architecture,
    Chosen,
    NothingYet,
    Parts,
    Run,
    SearchConfig,
    SearchError,
    SearchResult,
    Trial,
    listed,
)
from corenas.supernets.one_shot import check_found
from corenas.training.networks import seeded
from corenas_sr.config import PixelTrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.models.named import draw
from corenas_sr.results.agreement import compare_scores
from corenas_sr.results.report import draw_trials, hand_over
from corenas_sr.training.final import FinalTraining, time_validations
from corenas_sr.training.timing import time_training
from corenas_tiny._checks import check_options, find_baselines
from corenas_tiny.config import TinyConfig

SPARE = 0.95
"""Share of the time left that final trainings have; the rest is for what they leave."""

LEAST_STEPS = 100
"""Of a final training, however little time there is."""


def tiny(run: Run, config: TinyConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    check_options(config, run=run)
    search = config.limited_search
    shares = _seconds_of_shares(run, config)
    found = run.search("search", search, data=config.data, seconds=shares["search"])
    if found.chosen is None:
        raise NothingYet("stopped before the first candidate was measured: nothing to hand over")
    if not run.stopping():
        check_found(found, search, data=config.data, where="search")
    front = draw_trials(run, found, stage="search")
    best = found.trials[: config.finalists.count]
    scores, correlation = _train_finalists(run, config, search, best, shares["finalists"])
    winner = _pick_winner(config, found, scores) or found.chosen
    run.say(f"winner: {winner.id}")
    space = search.space.build()
    draw(run.images / "network", space, winner)
    summary = {
        "architecture": {"id": winner.id, "network": space.format(winner)},
        "search": {
            "trials": found.counts.get("finished", 0),
            "rejected": found.counts.get("rejected", 0),
            "failed": found.counts.get("failed", 0),
            "short": {trial.architecture.id: trial.score for trial in best},
            "longer": {architecture.id: score for architecture, score in scores.items()},
            "rank_correlation": correlation,
            "pareto": [trial.number for trial in front],
        },
    }
    models = _train_finally(run, config, _Contender("found", search.space, winner))
    if not models:
        run.say("there is no model yet: only candidates were trained")
        return summary
    return {**hand_over(run, models, data=config.data, metrics=config.metrics), **summary}


def _seconds_of_shares(run: Run, config: TinyConfig) -> Mapping[str, float | None]:
    """Divide the time budget, if there is one, and say how."""
    names, budget = ("search", "finalists"), run.stop.seconds
    if budget is None:
        return dict.fromkeys(names)
    shares = {name: getattr(config.shares, name) * budget for name in names}
    rest = budget - sum(shares.values())
    run.say(
        f"of {budget:.0f} s: {shares['search']:.0f} s for the search, "
        f"{shares['finalists']:.0f} s for its finalists, {rest:.0f} s for final trainings"
    )
    return shares


def _train_finalists(
    run: Run,
    config: TinyConfig,
    search: SearchConfig,
    best: Sequence[Trial],
    seconds: float | None,
) -> tuple[Mapping[Architecture, float], dict[str, Any] | None]:
    """Train the best candidates for longer; return their scores, and how the two kinds agree."""
    if not best or run.stopping():
        return {}, None

    def in_turn(parts: Parts) -> Parts:
        strategy = listed([trial.architecture for trial in best])
        return evolve(parts, strategy=strategy, evaluator=parts.evaluator.from_scratch())

    longer = evolve(
        search, steps=len(best), evaluator=_longer(search.evaluator, config.finalists.longer)
    )
    try:
        found = run.search("finalists", longer, data=config.data, change=in_turn, seconds=seconds)
    except SearchError as error:
        # The search's result is still good: its own scores then pick the winner.
        run.say(f"the finalists could not be trained: {error}")
        return {}, None
    scores = {t.architecture: t.score for t in found.trials if t.score is not None}
    return scores, compare_scores(run, best, scores, how="trained for longer")


def _longer(evaluator: Chosen, factor: float) -> Chosen:
    """Return an evaluator that trains so many times as long, where it has steps to change."""
    training = evaluator.option("training")
    if training is None:
        return evaluator
    training = evolve(training, steps=max(1, round(training.steps * factor)))
    return evolve(evaluator, config=evolve(evaluator.config, training=training))


def _pick_winner(
    config: TinyConfig, found: SearchResult, scores: Mapping[Architecture, float]
) -> Architecture | None:
    """Return the best trial's architecture; None after a one-shot search, which has no trials."""
    if config.finalists.pick == "finalists" and scores:
        return max(scores, key=lambda architecture: scores[architecture])
    return found.trials[0].architecture if found.trials else None


@frozen
class _Contender:
    """A network that gets a final training: its name among the results, and what it is."""

    name: str
    space: Chosen
    architecture: Architecture

    def fresh(self, seed: int) -> nn.Module:
        with seeded(seed):
            network: nn.Module = self.space.build().build(self.architecture)
        return network


def _train_finally(run: Run, config: TinyConfig, winner: _Contender) -> dict[str, Path]:
    """Train the network found, and the known ones for as long as it; return model files by name.

    After a stop, what was not begun is left out: a network without any training is of no use.
    """
    contenders = [winner, *_known(config)]
    models: dict[str, Path] = {}
    for number, contender in enumerate(contenders):
        first = contender is winner
        stage = "train" if first else f"train-{contender.name}"
        if run.stopping() and not run.events(stage):
            break
        left = len(contenders) - number
        plan = run.remember(
            f"plan-{contender.name}", partial(_plan, run, config, contender, winner, left)
        )
        training = evolve(config.training, steps=plan["steps"])
        title = f"x{config.scale}" if first else contender.name
        models[title] = _train(run, config, contender, training, stage, plan["seconds"])
    return models


def _known(config: TinyConfig) -> Iterator[_Contender]:
    for name, named in find_baselines(config).items():
        yield _Contender(name.replace("/", "-"), named.space, named.architecture)


def _plan(
    run: Run, config: TinyConfig, contender: _Contender, winner: _Contender, left: int
) -> dict[str, Any]:
    """Return the ``steps`` of a final training, and the ``seconds`` that they have to fit into.

    With a time budget, that is its share of what is left. Without one, the network found has the
    steps of the options, and a known one as many as should take the same time.
    """
    remaining, first = run.stop.remaining(), contender is winner
    if remaining is None and first:
        return {"steps": config.training.steps, "seconds": None}
    if remaining is None:
        seconds = config.training.steps * _seconds_of_step(run, config, winner)
    else:
        # As long as the network found, not longer: what is left may be more by then.
        seconds = min(SPARE * remaining / left, run.seconds.get("train", remaining))
    steps = max(LEAST_STEPS, int(seconds / _seconds_of_step(run, config, contender)))
    run.say(f"{contender.name}: about {steps} steps in {seconds / 60:.1f} minutes")
    return {"steps": steps, "seconds": None if remaining is None else seconds}


def _seconds_of_step(run: Run, config: TinyConfig, contender: _Contender) -> float:
    """Time a few steps and a validation, of a network of its own; remembered for a resume.

    The time of a validation is spread over the steps to the next one.
    """

    def measure() -> float:
        training, scale = config.training, config.scale
        pairs = load_pairs(config.data.train, scale=scale, split="train")
        network = contender.fresh(0)
        seconds, _ = time_training(network, pairs, training, scale=scale, device=run.device)
        validations = time_validations(
            network,
            evolve(training, steps=training.validate_every or training.steps),
            data=config.data,
            metrics=config.metrics,
            scale=scale,
            device=run.device,
        )
        return seconds + validations / (training.validate_every or training.steps)

    seconds: float = run.remember(f"step-{contender.name}", measure)
    return seconds


def _train(
    run: Run,
    config: TinyConfig,
    contender: _Contender,
    training: PixelTrainingConfig,
    stage: str,
    seconds: float | None,
) -> Path:
    final = FinalTraining(
        f"{contender.name if stage != 'train' else 'tiny'}-x{config.scale}.safetensors",
        contender.space,
        contender.architecture,
        config.scale,
        config.data,
        config.metrics,
        run.device,
    )
    # The same patches for all: they differ in the network alone.
    task = final.task(
        contender.fresh(run.seed_for(stage, "weights")),
        training,
        seed=run.seed_for("train", "patches"),
        seconds=seconds,
    )
    result = run.stage(stage, task)
    return run.models / result.files["model"]
