"""Training and measuring a classifier, with the core's loop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional as F

from corenas import Architecture, Chosen
from corenas.modelfile import save_model
from corenas.supernets.supervision import Part, halves
from corenas.training.batches import ShuffledBatches
from corenas.training.config import TrainingConfig
from corenas.training.loop import Save, Training
from corenas.training.step import SupervisedStep
from corenas_digits.data import Images


def save_nothing(module: nn.Module, folder: Path) -> Mapping[str, str]:
    """Write no file: a candidate's weights are not kept."""
    return {}


def training_of(
    network: nn.Module,
    images: Images,
    config: TrainingConfig,
    *,
    seed: int,
    device: str,
    save: Save = save_nothing,
) -> Training:
    """Return the training of a network by cross-entropy.

    Args:
        network: Freshly initialised, or with any weights.
        images: What it learns.
        config: Steps, batch, rate and schedule.
        seed: Decides the batches.
        device: Where to train.
        save: Writes the network at the end, and whenever the run is stopped.
    """
    batches = ShuffledBatches(images.pixels, images.classes, batch=config.batch, seed=seed)
    step = SupervisedStep(
        network, F.cross_entropy, learning_rate=config.learning_rate, device=device
    )
    return Training.of(config, step, [batches], save=save)


def accuracy(network: nn.Module, images: Images, device: str) -> float:
    """Return the share of images whose largest logit is that of their class, in percent."""
    training = network.training
    network.eval()
    with torch.no_grad():
        predicted = network(images.pixels.to(device)).argmax(dim=1).cpu()
    network.train(training)
    return 100 * float((predicted == images.classes).double().mean())


@frozen
class DigitsSupervision:
    """What a supernet learns from: half of the images for weights, and half for choices."""

    images: Images
    batch: int
    shape: tuple[int, ...] = (1, 1, 8, 8)
    protocol: str = "one image of 8x8"

    def stream(self, part: Part, *, split: int, seed: int, device: str) -> ShuffledBatches:
        """Return batches of one half."""
        weights, architecture = halves(range(len(self.images.classes)), seed=split)
        chosen = list(weights if part == "weights" else architecture)
        pixels, classes = self.images.pixels[chosen], self.images.classes[chosen]
        return ShuffledBatches(pixels.to(device), classes.to(device), batch=self.batch, seed=seed)

    def place(self, values: Tensor, device: torch.device) -> Tensor:
        return values.to(device)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets)

    def save(
        self, path: Path, module: nn.Module, *, space: Chosen, architecture: Architecture
    ) -> None:
        save_model(path, module, space=space, architecture=architecture)
