"""Adversarial training: the discriminator's turn, then the generator's (Eq. 8 of Lee et al.)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from corenas import State
from corenas.training.step import adam, moving_average, restore_optimiser
from corenas_sr.data.patches import Batch
from corenas_sr.features.config import LossWeights
from corenas_sr.training.losses import AdversarialLoss, FeatureLoss, gradient_penalty
from corenas_sr.training.pixel import images


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
        weights: Weights of the generator's terms, that of the features settled. A term of weight
            0 is not computed; the discriminator learns in any case.
        learning_rate: Adam's step size of both at schedule factor 1.
        device: Where to train; the networks are moved there.
        r1: Weight (gamma) of the discriminator's gradient penalty at the ground truth.
        balance: Share of a batch, real and fake together, above which a discriminator that tells so
            much apart does not learn from it.
        ema: Decay of a moving average of the generator's weights, which is then what is delivered.

    Raises:
        ValueError: The weight of the features is not settled.
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
        r1: float = 0.0,
        balance: float | None = None,
        ema: float | None = None,
    ) -> None:
        if weights.features is None:
            raise ValueError(
                "weights.features is unset: LossWeights.settled gives the network's own"
            )
        self._device = torch.device(device)
        self.generator = self._place(generator).train()
        self.discriminator = self._place(discriminator).train()
        self._features = self._place(features)
        self._adversarial = adversarial
        self._weights = weights
        self._r1 = r1
        self._balance = balance
        self._average = None if ema is None else moving_average(self.generator, ema)
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
            of its logits in its own turn, for ``real`` and for ``fake`` images; with R1, its
            weighted ``penalty``; with a balance, whether it ``learnt``, as 1 or 0; and, with an
            adversarial term, its ``influence``: the norm of its gradient at the generated images,
            as a share (0 to 1) of the sum of the terms' norms.
        """
        ((low, high),) = batches
        real = images(high, self._device)
        fake = self.generator(images(low, self._device))
        # The discriminator first, and the generator against the updated one, as in EDSR's code, on
        # which the paper trains. Detached, so that the first turn does not reach the generator.
        judged = self._discriminator_turn(real, fake.detach())
        learnt = self._generator_turn(real, fake)
        if self._average is not None:
            self._average.update_parameters(self.generator)
        return learnt | judged

    def _discriminator_turn(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        if self._r1:
            real = real.detach().requires_grad_()
        # Without the cache, the second pass would normalise every weight again: 7 % of a step.
        with parametrize.cached():
            logits = self.discriminator(real), self.discriminator(fake)
        loss = self._adversarial.discriminator(*logits)
        means = [side.detach().sigmoid().mean() for side in logits]
        scalars = {"discriminator": loss.detach(), "real": means[0], "fake": means[1]}
        if self._r1:
            penalty = self._r1 / 2 * gradient_penalty(logits[0], real)
            loss, scalars["penalty"] = loss + penalty, penalty.detach()
        if self._balance is not None:
            learns = _share_told_apart(*logits) <= self._balance
            scalars["learnt"] = loss.new_tensor(float(learns))
            if not learns:
                return scalars
        _descend(self._discriminator_optimiser, loss, self.discriminator)
        return scalars

    def _generator_turn(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        # Gradients end at the image first: there the terms' shares are told without another pass.
        image = fake.detach().requires_grad_()
        terms = self.terms(image, real)
        gradients = {name: torch.autograd.grad(term, image)[0] for name, term in terms.items()}
        whole = reduce(torch.add, gradients.values())
        _descend(self._generator_optimiser, fake, self.generator, gradient=whole)
        scalars = {"loss": torch.stack([*terms.values()]).sum(), **terms}
        if self._weights.adversarial:
            scalars["influence"] = _share_of("adversarial", gradients)
        return {name: value.detach() for name, value in scalars.items()}

    def terms(self, image: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms of the generator's loss that have a weight, by name.

        The discriminator is frozen and in evaluation mode while it judges, and trains afterwards.

        Args:
            image: What the generator gave, in [0, 255], shape (N, 3, H, W).
            real: The ground truth, same shape and range.
        """
        weights = self._weights
        terms = {}
        if weights.pixel:
            terms["pixel"] = weights.pixel * F.l1_loss(image, real)
        if weights.features:
            terms["features"] = weights.features * self._features(image, real)
        if weights.adversarial:
            terms["adversarial"] = weights.adversarial * self._adversarial_term(real, image)
        return terms

    def _adversarial_term(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the generator's adversarial loss; the discriminator gets no gradient from it."""
        with _frozen(self.discriminator), parametrize.cached():
            logits = self.discriminator(fake)
            others = self.discriminator(real) if self._adversarial.needs_real else None
        return self._adversarial.generator(others, logits)

    def state(self) -> State:
        state = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        return state if self._average is None else {**state, "ema": self._average.state_dict()}

    def restore(self, state: State) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            restore_optimiser(optimiser, saved)
        if self._average is not None:
            self._average.load_state_dict(state["ema"])

    def remark(self, scalars: Mapping[str, float]) -> str:
        """Return a warning when the discriminator wins outright."""
        if scalars["discriminator"] >= self._adversarial.wins_below:
            return ""
        return (
            f"the discriminator wins outright (its loss is {scalars['discriminator']:.2g}): "
            "what it says tells the generator little"
        )

    def deliverable(self) -> nn.Module:
        if self._average is None:
            return self.generator
        average: nn.Module = self._average.module
        return average


def _descend(
    optimiser: torch.optim.Optimizer,
    output: Tensor,
    network: nn.Module,
    *,
    gradient: Tensor | None = None,
) -> None:
    """Do a step; the loss's ``gradient`` at the output is unset where the output is the loss."""
    optimiser.zero_grad(set_to_none=True)
    # Of the network alone: with R1, the images require a gradient as well.
    torch.autograd.backward(output, gradient, inputs=list(network.parameters()))
    optimiser.step()


def _share_of(name: str, gradients: Mapping[str, Tensor]) -> Tensor:
    """Return the norm of one gradient as a share of the sum of all norms; 0 where all are 0."""
    norms = {term: gradient.norm() for term, gradient in gradients.items()}
    tiny = torch.finfo(norms[name].dtype).tiny
    share: Tensor = norms[name] / torch.stack([*norms.values()]).sum().clamp_min(tiny)
    return share


def _share_told_apart(real: Tensor, fake: Tensor) -> float:
    """Return which share of images is on its own side of the mean of both sides' mean logits.

    That line, and not 0, because a relativistic discriminator's logits mean nothing by themselves.
    """
    line = (real.mean() + fake.mean()) / 2
    return float(torch.cat([real > line, fake < line]).float().mean())


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module while nothing in it changes."""
    module.requires_grad_(False).eval()
    try:
        yield
    finally:
        module.requires_grad_(True).train()
