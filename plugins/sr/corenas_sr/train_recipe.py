"""The recipe ``train``: one known or found architecture, trained, measured and saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from corenas import InputError, Run, StagePlan, trial_seed
from corenas.training.loop import Training
from corenas.training.networks import carry_over, seeded
from corenas_sr.config import TrainConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.preflight import check_data
from corenas_sr.models.files import load_model
from corenas_sr.models.named import Named, find_architecture, scale_of
from corenas_sr.results.evaluation import build_metrics
from corenas_sr.results.report import hand_over
from corenas_sr.training.final import FinalTraining
from corenas_sr.training.timing import time_training


def train(run: Run, config: TrainConfig) -> dict[str, Any]:
    """Carry out the recipe; return the summary."""
    named = find_architecture(config.architecture, scale=config.scale, cell=config.cell)
    scale = scale_of(named.space)
    check_data(config.data, patches={scale: config.training.patch})
    task = training_of(config, named, seed=trial_seed(run.seed, 0), device=run.device)
    result = run.stage("train", task)
    files = {f"x{scale}": run.models / result.files["model"]}
    return hand_over(run, files, data=config.data, metrics=config.metrics)


def check(config: TrainConfig, *, devices: Sequence[str], workers: int) -> list[StagePlan]:
    """Check metrics, data and architecture, and estimate the training from a few steps."""
    build_metrics(config.metrics)
    named = find_architecture(config.architecture, scale=config.scale, cell=config.cell)
    scale = scale_of(named.space)
    check_data(config.data, patches={scale: config.training.patch})
    seconds, memory = time_training(
        _network(config, named, seed=0),
        load_pairs(config.data.train, scale=scale, split="train"),
        config.training,
        scale=scale,
        device=devices[0],
    )
    return [StagePlan("train", config.training.steps, seconds, memory=memory)]


def training_of(config: TrainConfig, named: Named, *, seed: int, device: str) -> Training:
    """Build the network and the training of it."""
    scale = scale_of(named.space)
    final = FinalTraining(
        f"model-x{scale}.safetensors",
        named.space,
        named.architecture,
        scale,
        config.data,
        config.metrics,
        device,
    )
    return final.task(_network(config, named, seed=seed), config.training, seed=seed)


def _network(config: TrainConfig, named: Named, *, seed: int) -> nn.Module:
    """Build the network, with fresh weights or those that fit of the model file to start from.

    Raises:
        InputError: Only biases and slopes fit, as they do between almost any two networks.
    """
    with seeded(seed):
        model: nn.Module = named.space.build().build(named.architecture)
    if config.start is not None:
        carried = carry_over(load_model(config.start).module, model)
        if all(tensor.ndim < 2 for tensor in carried.values()):
            raise InputError(f"start: {config.start}: its weights do not fit this network")
    return model
