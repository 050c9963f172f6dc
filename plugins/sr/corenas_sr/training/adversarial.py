"""Adversarial training: the discriminator's turn, then the generator's (Eq. 8 of Lee et al.)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from corenas import State
from corenas.training.step import adam, restore_optimiser
from corenas_sr.data.patches import Batch
from corenas_sr.features.config import LossWeights
from corenas_sr.training.losses import AdversarialLoss, FeatureLoss
from corenas_sr.training.pixel import images

WINNING_LOSS = 0.02
"""Mean loss below which a discriminator wins: it is 99 % sure of real and of fake images."""


class AdversarialStep:
    """One step of the discriminator, and one of the generator against the updated discriminator.

    Both learn by Adam at the same rate. Ground truth and generated images go through the
    discriminator apart, so that its batch norms see each side by itself. In the generator's turn
    the discriminator is frozen and in evaluation mode. That skips the power iteration of spectral
    norms and must change nothing else: its batch norms keep no running statistics.

    Args:
        generator: Takes and gives float images in [0, 255], shape (N, 3, H, W).
        discriminator: Takes such images as large as the ground truth, gives logits (N, 1); all of
            its parameters are trained.
        features: The perceptual loss.
        adversarial: The losses of discriminator and generator.
        weights: Weights of the generator's terms. A term of weight 0 is not computed; the
            discriminator learns in any case.
        learning_rate: Adam's step size of both at schedule factor 1.
        device: Where to train; the networks are moved there.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        features: FeatureLoss,
        adversarial: AdversarialLoss,
        weights: LossWeights,
        learning_rate: float,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self.generator = self._place(generator).train()
        self.discriminator = self._place(discriminator).train()
        self._features = self._place(features)
        self._adversarial = adversarial
        self._weights = weights
        self._generator_optimiser = adam(self.generator, learning_rate)
        self._discriminator_optimiser = adam(self.discriminator, learning_rate)

    def _place(self, module: nn.Module) -> nn.Module:
        return module.to(self._device).to(memory_format=torch.channels_last)

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        return (self._generator_optimiser, self._discriminator_optimiser)

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        """Do both turns.

        Returns:
            ``loss`` of the generator, the weighted terms of which it is the sum (``pixel``,
            ``features``, ``adversarial``), the loss of the ``discriminator``, and the mean sigmoid
            of its logits in its own turn, for ``real`` and for ``fake`` images.
        """
        ((low, high),) = batches
        real = images(high, self._device)
        fake = self.generator(images(low, self._device))
        # The discriminator first, and the generator against the updated one, as in EDSR's code, on
        # which the paper trains. Detached, so that the first turn does not reach the generator.
        judged = self._discriminator_turn(real, fake.detach())
        return self._generator_turn(real, fake) | judged

    def _discriminator_turn(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        # Without the cache, the second pass would normalise every weight again: 7 % of a step.
        with parametrize.cached():
            logits = self.discriminator(real), self.discriminator(fake)
        loss = self._adversarial.discriminator(*logits)
        _descend(self._discriminator_optimiser, loss)
        means = [side.detach().sigmoid().mean() for side in logits]
        return {"discriminator": loss.detach(), "real": means[0], "fake": means[1]}

    def _generator_turn(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        weights = self._weights
        terms = {}
        if weights.pixel:
            terms["pixel"] = weights.pixel * F.l1_loss(fake, real)
        if weights.features:
            terms["features"] = weights.features * self._features(fake, real)
        if weights.adversarial:
            terms["adversarial"] = weights.adversarial * self._adversarial_term(real, fake)
        loss = torch.stack(list(terms.values())).sum()
        _descend(self._generator_optimiser, loss)
        return {name: value.detach() for name, value in {"loss": loss, **terms}.items()}

    def _adversarial_term(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the generator's adversarial loss; the discriminator gets no gradient from it."""
        with _frozen(self.discriminator), parametrize.cached():
            logits = self.discriminator(fake)
            others = self.discriminator(real) if self._adversarial.needs_real else None
        return self._adversarial.generator(others, logits)

    def state(self) -> State:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }

    def restore(self, state: State) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            restore_optimiser(optimiser, saved)

    def remark(self, scalars: Mapping[str, float]) -> str:
        """Return a warning when the discriminator wins outright."""
        if scalars["discriminator"] >= WINNING_LOSS:
            return ""
        return (
            f"the discriminator wins outright (its loss is {scalars['discriminator']:.2g}): "
            "what it says tells the generator little"
        )

    def deliverable(self) -> nn.Module:
        return self.generator


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch has not typed it
    optimiser.step()


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module while nothing in it changes."""
    module.requires_grad_(False).eval()
    try:
        yield
    finally:
        module.requires_grad_(True).train()
