"""The full task: train the generator against the best discriminators found and known ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import evolve, frozen
from torch import nn

from corenas import Architecture, Chosen, Task
from corenas.cost import Cost, count
from corenas.training.networks import seeded
from corenas.training.sequence import Part, TaskSequence
from corenas_sr.models.files import load_model
from corenas_sr.training.final import FinalTraining
from corenas_sr.training.losses import (
    ADVERSARIAL,
    AdversarialLoss,
    RelativisticAverage,
    StandardAdversarial,
)
from corenas_tpsr.config import TpsrConfig
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.discriminator.srgan import SrganDiscriminator
from corenas_tpsr.perceptual.config import FULL_LAYERS, PerceptualConfig
from corenas_tpsr.perceptual.proxy import adversarial_training

FILE = "perceptual.safetensors"
"""Name of each training's model file; every training has a folder of its own."""


@frozen
class Contender:
    """A discriminator of the comparison.

    ``build`` draws fresh weights; ``cost`` is for one patch; ``architecture`` is None for a
    discriminator that is not of the space.
    """

    name: str
    build: Callable[[], nn.Module]
    loss: AdversarialLoss
    cost: Cost
    architecture: Architecture | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the contender's entry in the summary."""
        cost = self.cost
        identity = None if self.architecture is None else self.architecture.id
        return {"id": identity, "params": cost.params, "mult_adds": cost.mult_adds}


def at_patch(space: Chosen, patch: int) -> Chosen:
    """Return the same space of discriminators for patches of another side.

    Raises:
        ConfigError: Its reductions do not divide the side.
    """
    # A discriminator's last layer has one size, so each task builds its own network.
    if space.option("patch") is None:
        return space
    return evolve(space, config=evolve(space.config, patch=patch))


def contenders(
    config: TpsrConfig, found: Sequence[Architecture], *, scale: int, seed: int
) -> list[Contender]:
    """Return the discriminators of the comparison: the best found, then the baselines.

    Args:
        config: Names the space and the baselines.
        found: Discriminators of the search, best first.
        scale: The generator's up-scaling factor.
        seed: Draws the architecture of the baseline ``random``.
    """
    patch = scale * config.compare.training.patch
    space = at_patch(config.discriminator.space, patch).build()
    own = ADVERSARIAL[config.perceptual.adversarial]

    def known(name: str) -> Contender:
        if name == "random":
            return member(name, space, random_architecture(space, seed), loss=own())
        loss = RelativisticAverage() if name == "esrgan" else StandardAdversarial()
        return Contender(name, lambda: SrganDiscriminator(patch), loss, _srgan_cost(patch))

    searched = [
        member(f"searched-{place}", space, architecture, loss=own())
        for place, architecture in enumerate(found[: config.compare.count], start=1)
    ]
    return [*searched, *map(known, config.compare.baselines)]


def member(
    name: str, space: DiscriminatorSpace, architecture: Architecture, *, loss: AdversarialLoss
) -> Contender:
    """Return a discriminator of the space as a contender."""
    return Contender(
        name,
        lambda: space.build(architecture),
        loss,
        space.cost(architecture),
        architecture,
    )


def _srgan_cost(patch: int) -> Cost:
    with torch.device("meta"):
        return count(SrganDiscriminator(patch), (1, 3, patch, patch))


def random_architecture(space: Any, seed: int) -> Architecture:
    """Draw each decision of a space uniformly."""
    generator = torch.Generator().manual_seed(seed)
    choices = {
        decision.name: decision.options[
            int(torch.randint(len(decision.options), (), generator=generator))
        ]
        for decision in space.decisions
    }
    return Architecture(space.name, choices)


def comparison(
    config: TpsrConfig,
    against: Sequence[Contender],
    *,
    generator: Path,
    seed_for: Callable[..., int],
    device: str,
) -> TaskSequence:
    """Return the trainings of the full task, one after the other, as one stage.

    All start from the same generator. They differ in the discriminator, its first weights, and
    the patches.
    """
    compare = config.compare
    return TaskSequence(
        [
            Part(
                f"{contender.name}-{number}",
                _training(
                    config,
                    contender,
                    generator=generator,
                    weights_seed=seed_for("compare", f"{contender.name}-{number}", "weights"),
                    # Without the contender's name: the n-th training of each sees the same patches,
                    # so that contenders differ by nothing else.
                    patches_seed=seed_for("compare", f"training {number}", "patches"),
                    device=device,
                ),
                compare.training.steps,
            )
            for contender in against
            for number in range(1, compare.trainings + 1)
        ]
    )


def _training(
    config: TpsrConfig,
    contender: Contender,
    *,
    generator: Path,
    weights_seed: int,
    patches_seed: int,
    device: str,
) -> Callable[[], Task]:
    """Return a function that builds the training when its turn comes: it holds two networks."""

    def build() -> Task:
        start = load_model(generator)
        final = FinalTraining(
            FILE,
            start.space,
            start.architecture,
            start.scale,
            config.data,
            final_metrics(config),
            device,
            extra={"discriminator": contender.to_json()},
        )
        # Never that of the search: no discriminator is carried over from the proxy task.
        with seeded(weights_seed):
            discriminator = contender.build()
        return adversarial_training(
            start.module,
            discriminator,
            final.pairs(),
            config.compare.training,
            perceptual=config.perceptual,
            layers=full_layers(config),
            scale=final.scale,
            seed=patches_seed,
            device=device,
            adversarial=contender.loss,
            validate=final.validator(),
            keep=preference(config.perceptual) if config.compare.keep == "best" else None,
            save=final.save,
        )

    return build


def full_layers(config: TpsrConfig) -> tuple[str, ...]:
    """Return the layers of the full task's feature loss."""
    return config.compare.layers or FULL_LAYERS[config.perceptual.network]


def final_metrics(config: TpsrConfig) -> list[Chosen]:
    """Return the metrics of finished models: the recipe's, then the perceptual one."""
    metric = config.perceptual.metric
    return [*(m for m in config.metrics if m.name != metric.name), metric]


def preference(perceptual: PerceptualConfig) -> Callable[[Mapping[str, float]], float]:
    """Return the score of a validation: the perceptual metric, negated where lower is better."""
    name, sign = perceptual.metric.name, perceptual.metric.component.metadata.sign

    def score(values: Mapping[str, float]) -> float:
        return float(sign * values[name])

    return score
