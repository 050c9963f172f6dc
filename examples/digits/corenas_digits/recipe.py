"""The recipe ``digits``: search, train the network found, look at the test images once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from corenas import (
    Architecture,
    NothingYet,
    Run,
    SearchResult,
    StagePlan,
    check_search,
    plan_search,
)
from corenas.cost import count
from corenas.drawing.plots import pareto_plot, search_plot
from corenas.modelfile import load_model, save_model
from corenas.training.networks import seeded
from corenas_digits.config import DigitsConfig
from corenas_digits.data import load
from corenas_digits.training import accuracy, training_of

FILE = "digits.safetensors"


def digits(run: Run, config: DigitsConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    check_search("search", config.search, data=config.data)
    found = run.search("search", config.search, data=config.data)
    if found.chosen is None:
        raise NothingYet("stopped before the first candidate was measured: nothing to hand over")
    space = config.search.space.build()
    _draw(run, found, space)
    summary: dict[str, Any] = {
        "architecture": {"id": found.chosen.id, **space.format(found.chosen)},
        "search": {"counts": dict(found.counts), "front": [t.number for t in found.front]},
    }
    if run.stopping():
        return summary
    file = _train(run, config, found.chosen)
    if run.stopping():
        return summary
    network = load_model(file).module
    cost = count(network, (1, 1, 8, 8))
    tested = accuracy(network, load(config.data).test, "cpu")
    run.say(f"test accuracy {tested:.2f} %, {cost.params} parameters, {cost.mult_adds} mult-adds")
    return {
        **summary,
        "models": [
            {
                "name": "digits",
                "file": str(file.relative_to(run.folder)),
                "params": cost.params,
                "mult_adds": cost.mult_adds,
                "test_accuracy": tested,
            }
        ],
    }


def _train(run: Run, config: DigitsConfig, architecture: Architecture) -> Path:
    """Train the network from fresh weights, on all images but those for the test."""
    space = config.search.space

    def save(module: nn.Module, folder: Path) -> Mapping[str, str]:
        save_model(folder / FILE, module, space=space, architecture=architecture)
        return {"model": FILE}

    with seeded(run.seed_for("train", "weights")):
        network = space.build().build(architecture)
    parts = load(config.data)
    task = training_of(
        network,
        parts.train.and_also(parts.validation),
        config.training,
        seed=run.seed_for("train", "batches"),
        device=run.device,
        save=save,
    )
    return run.file(run.stage("train", task), "model")


def _draw(run: Run, found: SearchResult, space: Any) -> None:
    """Draw how the search went, its best compromises, and the network found."""
    trials = run.trials("search")
    quantities = {each.name: each for each in found.quantities}
    search_plot(run.images / "search.png", trials, quantities, cost="params")
    pareto_plot(run.images / "pareto.png", trials, quantities)
    space.draw(found.chosen, run.images / "network")


def check(config: DigitsConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check everything and estimate each stage, for ``--dry-run``."""
    check_search("search", config.search, data=config.data)
    search = plan_search(
        "search", config.search, data=config.data, devices=devices, workers=workers
    )
    train = StagePlan("train", config.training.steps, search.seconds_per_step, note=search.note)
    return [search, train]
