"""How much of the generator's gradient in TPSR's stage two comes from the discriminator.

    CORENAS_DATA=FOLDER python benchmarks/influence.py --generator x4.safetensors

By the paper's weights of the losses and by those of the benchmarks of stage two, against SRGAN's
discriminator and two drawn at random, after so many steps of training: the adversarial term's share
of the norms of the terms' gradients, at the generated images and at the generator's weights. Means
over batches that were not trained on; the ``influence`` that a run reports is that at the images,
of the batches that the discriminator has just learnt.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import mean

import torch
from shared.perceptual import BATCH, PATCH, link_images, perceptual_options
from torch import Tensor, nn

from corenas import structure
from corenas.training.networks import seeded
from corenas_sr.config import PatchTrainingConfig
from corenas_sr.data.datasets import load_pairs
from corenas_sr.data.patches import Batch, PatchSampler
from corenas_sr.models.files import load_model
from corenas_sr.training.adversarial import AdversarialStep
from corenas_sr.training.pixel import images
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.discriminator.space import DiscriminatorSpace
from corenas_tpsr.discriminator.srgan import SrganDiscriminator
from corenas_tpsr.perceptual.config import PROXY_LAYERS, PerceptualConfig
from corenas_tpsr.perceptual.full_task import random_architecture
from corenas_tpsr.perceptual.proxy import adversarial_step

SCALE = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generator", type=Path, required=True, help="trained x4 model file")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-influence"))
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--batches", type=int, default=8, help="that gradients are taken of")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ["CORENAS_DATA"]).absolute()
    pairs = load_pairs(link_images(data, arguments.out)["train"], scale=SCALE, split="train")
    print("| alpha, lambda, gamma | discriminator | steps | at the images | at the weights |")
    print("|---|---|--:|--:|--:|")
    for perceptual in _settings(data):
        weights = perceptual.weights_of_losses
        shown = f"{weights.pixel:g}, {weights.features:g}, {weights.adversarial:g}"
        for name, discriminator in _discriminators().items():
            patches = PatchSampler(pairs, scale=SCALE, patch=PATCH, batch=BATCH, seed=0)
            step = adversarial_step(
                load_model(arguments.generator).module,
                discriminator,
                PatchTrainingConfig(batch=BATCH, patch=PATCH, learning_rate=2e-4),
                perceptual=perceptual,
                layers=PROXY_LAYERS[perceptual.network],
                device="cpu",
            )
            done = 0
            for steps in sorted(arguments.steps):
                for _ in range(steps - done):
                    step.step([patches.next_batch()])
                done = steps
                found = [_shares(step, patches.next_batch()) for _ in range(arguments.batches)]
                there, here = (100 * mean(each) for each in zip(*found, strict=True))
                print(f"| {shown} | {name} | {steps} | {there:.2g} % | {here:.2g} % |", flush=True)


def _settings(data: Path) -> Iterator[PerceptualConfig]:
    """Yield the paper's weights, lambda as suits the network, and those of the benchmarks."""
    ours = perceptual_options(data)
    yield structure(PerceptualConfig, {k: v for k, v in ours.items() if k != "losses"})
    yield structure(PerceptualConfig, ours)


def _discriminators() -> Mapping[str, nn.Module]:
    side = SCALE * PATCH
    space = DiscriminatorSpace(DiscriminatorSpaceConfig(patch=side))
    with seeded(0):
        drawn = {f"random {n}": space.build(random_architecture(space, n)) for n in range(2)}
        return {"SRGAN": SrganDiscriminator(side), **drawn}


def _shares(step: AdversarialStep, batch: Batch) -> tuple[float, float]:
    """Return the adversarial term's share of the norms: at the images, and at the weights."""
    low, high = (images(side, torch.device("cpu")) for side in batch)
    fake = step.generator(low)
    image = fake.detach().requires_grad_()
    norms: dict[str, tuple[float, float]] = {}
    for name, term in step.terms(image, high).items():
        (there,) = torch.autograd.grad(term, image)
        parameters = list(step.generator.parameters())
        own = torch.autograd.grad(fake, parameters, there, retain_graph=True)
        norms[name] = float(there.norm()), float(_norm(own))
    at_images, at_weights = zip(*norms.values(), strict=True)
    ours = norms["adversarial"]
    return ours[0] / sum(at_images), ours[1] / sum(at_weights)


def _norm(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([each.norm() for each in gradients]).norm()


if __name__ == "__main__":
    main()
