"""The recipe ``train``: one known or found architecture, trained, measured and saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from corenas import InputError, Run, StagePlan
from corenas.training.networks import carry_over, seeded
from corenas_sr.config import TrainConfig
from corenas_sr.data.preflight import check_data, check_run_data
from corenas_sr.models.files import load_model
from corenas_sr.models.named import Named, draw, find_architecture, scale_of
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.results.report import hand_over
from corenas_sr.training.final import FinalTraining, plan_training
from corenas_sr.training.pixel import PixelStep


def train(run: Run, config: TrainConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    named = find_architecture(config.architecture, scale=config.scale, cell=config.cell)
    scale = scale_of(named.space)
    check_run_data(run, config.data, patches={scale: config.training.largest_patch})
    final = FinalTraining(
        f"model-x{scale}.safetensors",
        named.space,
        named.architecture,
        scale,
        config.data,
        config.metrics,
        run.device,
    )
    network = _network(config, named, seed=run.seed_for("train", "weights"))
    task = final.task(network, config.training, seed=run.seed_for("train", "patches"))
    result = run.stage("train", task)
    draw(run.images / "network", named.space.build(), named.architecture)
    files = {f"x{scale}": run.models / result.files["model"]}
    return hand_over(run, files, data=config.data, metrics=config.metrics)


def check(config: TrainConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check metrics, data and architecture, and estimate the training from a few steps."""
    build_metrics(config.metrics)
    named = find_architecture(config.architecture, scale=config.scale, cell=config.cell)
    scale = scale_of(named.space)
    check_data(config.data, patches={scale: config.training.largest_patch})
    network = _network(config, named, seed=0)
    plan = plan_training(
        "train",
        PixelStep.of(network, config.training, device=devices[0]),
        config.training,
        data=config.data,
        metrics=config.metrics,
        scale=scale,
        device=devices[0],
    )
    return [plan]


def _network(config: TrainConfig, named: Named, *, seed: int) -> nn.Module:
    """Build the network with fresh weights, over which those of ``start`` are copied that fit.

    Raises:
        InputError: Nothing of the model file fits but biases and slopes.
    """
    with seeded(seed):
        model: nn.Module = named.space.build().build(named.architecture)
    if config.start is not None:
        carried = carry_over(load_model(config.start).module, model)
        # Biases and slopes have the same shape in almost any two networks of equal width.
        if all(tensor.ndim < 2 for tensor in carried.values()):
            raise InputError(f"start: {config.start}: its weights do not fit this network")
    return model
