"""The training steps of a supernet (Alg. 1 of Wu et al., supplement): pretraining, and the search.

Both run in the training loop of `corenas.training.loop`. Losses are those of images in [0, 1], as
the paper weighs them. Each loss of a step is differentiated by itself, so that only one pass is in
memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from corenas import Diverged, Relaxation, State
from corenas.training.step import adam, restore_optimiser
from corenas_sr.data.patches import Batch
from corenas_sr.training.pixel import images
from corenas_trilevel.search._logits import Logits, one_hot_at, uniform_one_hot
from corenas_trilevel.search._penalty import adapted_lambda, cost_term, order_term
from corenas_trilevel.search.config import TrilevelStrategyConfig
from corenas_trilevel.search.sparsestmax import radius_at
from corenas_trilevel.space.relaxation import one_hot, relaxation
from corenas_trilevel.space.supernet import TrilevelSupernet


class SupernetStep:
    """Common part of both phases: the weights' update, the random draws and the report.

    Args:
        supernet: Its weights are trained; moved to the device.
        logits: The architecture; moved to the device.
        loss: Compares the supernet's images with the teacher's.
        config: The options of the search.
        learning_rate: Adam's step size for the weights at schedule factor 1.
        seed: Decides all draws.
        device: Where to train.
    """

    def __init__(
        self,
        supernet: TrilevelSupernet,
        logits: Logits,
        loss: nn.Module,
        config: TrilevelStrategyConfig,
        *,
        learning_rate: float,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._supernet = supernet.to(self._device).train()
        self._logits = logits.to(self._device)
        self._loss = loss.to(self._device)
        self._config = config
        self._generator = torch.Generator().manual_seed(seed)
        self._weights = adam(self._supernet, learning_rate)

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        """The weights' optimiser alone: the architecture's step size is constant (supplement)."""
        return (self._weights,)

    @property
    def radius(self) -> float:
        """The distance that sparsestmax now keeps from its center."""
        return 0.0

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        raise NotImplementedError

    def _images(self, batch: Batch) -> tuple[Tensor, Tensor]:
        low, high = batch
        return images(low, self._device), images(high, self._device)

    def _points(self, widths: Iterable[Tensor]) -> list[Relaxation]:
        """Return the points with these widths and the present weights of path and operations."""
        path = self._logits.path_weights(self.radius)
        operations = self._logits.operation_weights(self.radius)
        space = self._supernet.space
        return [relaxation(space, path=path, operations=operations, widths=w) for w in widths]

    def _extreme_widths(self) -> tuple[Tensor, ...]:
        """Return the widest and the narrowest widths, if the sandwich rule is on."""
        widths = self._logits.widths
        return (one_hot_at(widths, -1), one_hot_at(widths, 0)) if self._config.sandwich else ()

    def _loss_at(self, point: Relaxation, low: Tensor, high: Tensor) -> Tensor:
        loss: Tensor = self._loss(self._supernet(low, point), high)
        return loss

    def _train_weights(self, low: Tensor, high: Tensor, points: Iterable[Relaxation]) -> Tensor:
        """Do one update for the sum of the losses at the points; return that sum.

        Weights that no point uses have no gradient, so Adam skips them.
        """
        losses = []
        for point in points:
            loss = self._loss_at(point, low, high)
            torch.autograd.backward(loss)
            losses.append(loss.detach())
        nn.utils.clip_grad_norm_(self._supernet.parameters(), self._config.clip)
        self._weights.step()
        # None, not zero: Adam would move unused weights by their old momentum.
        self._weights.zero_grad(set_to_none=True)
        return torch.stack(losses).sum()

    def report(self) -> dict[str, float]:
        """Return the state of the architecture: `Logits.scalars`, radius and expected cost.

        Reading these waits for the device, so they are no scalars of each step.

        Raises:
            Diverged: One of them is not finite.
        """
        scalars = {
            "expected_cost": self._expected_cost(),
            "radius": self.radius,
            **self._logits.scalars(self.radius),
        }
        for name, value in scalars.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} became {value}")
        return scalars

    @torch.no_grad()
    def _expected_cost(self) -> float:
        (point,) = self._points([self._logits.width_weights(self.radius)])
        return float(self._supernet.expected_cost(point, size=self._config.cost.size))

    def state(self) -> State:
        """Return weights, logits, the optimiser's state and the random state."""
        return {
            "supernet": self._supernet.state_dict(),
            "logits": self._logits.state_dict(),
            "weights_optimiser": self._weights.state_dict(),
            "generator": self._generator.get_state(),
        }

    def restore(self, state: State) -> None:
        self._supernet.load_state_dict(state["supernet"])
        self._logits.load_state_dict(state["logits"])
        restore_optimiser(self._weights, state["weights_optimiser"])
        self._generator.set_state(state["generator"])

    def remark(self, scalars: Mapping[str, float]) -> str:
        return ""

    def deliverable(self) -> nn.Module:
        """Return the network of the largest logits, with a copy of its part of the weights."""
        return self._supernet.inherit(self._logits.architecture())


class PretrainStep(SupernetStep):
    """One update of the weights, at radius 0 and at widths that do not depend on logits.

    Takes one batch; gives ``loss``, the sum over the widest, the narrowest and two random widths.
    """

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        (batch,) = batches
        # Logits do not learn here, so a graph through them would be wasted.
        with torch.no_grad():
            points = self._points([*self._extreme_widths(), *self._random_widths()])
        return {"loss": self._train_weights(*self._images(batch), points)}

    def _random_widths(self) -> list[Tensor]:
        count = 2 if self._config.sandwich else 1
        return [uniform_one_hot(self._logits.widths, self._generator) for _ in range(count)]


class SearchStep(SupernetStep):
    """One update of the weights and one of the logits, each on a batch of its own.

    The radius grows from 0 to 1 with the steps. Gives ``loss`` and ``architecture_loss``, each the
    sum over drawn, widest and narrowest widths, and the weighted penalties ``cost_term`` and
    ``order_term`` where these have a weight. Arguments are those of `SupernetStep`.
    """

    def __init__(
        self,
        supernet: TrilevelSupernet,
        logits: Logits,
        loss: nn.Module,
        config: TrilevelStrategyConfig,
        *,
        learning_rate: float,
        seed: int,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            supernet, logits, loss, config, learning_rate=learning_rate, seed=seed, device=device
        )
        options = config.architecture
        self._architecture = torch.optim.Adam(
            logits.searched, lr=options.learning_rate, betas=options.betas
        )
        self._lambda = config.cost.weight
        self._done = 0

    @property
    def radius(self) -> float:
        return radius_at(self._done, self._config.search.steps)

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        weights, architecture = map(self._images, batches)
        if self._config.alternate == "weights-first":
            scalars = self._step_weights(*weights) | self._step_architecture(*architecture)
        else:
            scalars = self._step_architecture(*architecture) | self._step_weights(*weights)
        # After both turns: the last step then has a radius below 1, at which nothing could learn.
        self._done += 1
        cost = self._config.cost
        if cost.adaptive and self._done % cost.every == 0:
            self._adapt_lambda()
        return scalars

    def _drawn_points(self) -> list[Relaxation]:
        drawn = self._logits.draw_widths(self.radius, self._generator)
        return self._points([drawn, *self._extreme_widths()])

    def _step_weights(self, low: Tensor, high: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            points = self._drawn_points()
        return {"loss": self._train_weights(low, high, points)}

    def _step_architecture(self, low: Tensor, high: Tensor) -> dict[str, Tensor]:
        self._architecture.zero_grad(set_to_none=True)
        points = self._drawn_points()
        losses = [self._differentiate(self._loss_at(point, low, high)) for point in points]
        terms = {
            name: self._differentiate(term) for name, term in self._penalties(points[0]).items()
        }
        self._architecture.step()
        return {"architecture_loss": torch.stack(losses).sum(), **terms}

    def _differentiate(self, term: Tensor) -> Tensor:
        """Add a term's gradients to those of the logits; return its value.

        The weights get none: this step does not train them, and takes a third less time without.
        The graph is kept, because all terms share its part from logits to points.
        """
        torch.autograd.backward(term, inputs=self._logits.searched, retain_graph=True)
        return term.detach()

    def _penalties(self, point: Relaxation) -> dict[str, Tensor]:
        cost, order, terms = self._config.cost, self._config.order, dict[str, Tensor]()
        if self._lambda:
            mult_adds = cost_term(
                self._supernet, point, omega1=cost.omega1, omega2=cost.omega2, size=cost.size
            )
            terms["cost_term"] = self._lambda * mult_adds
        path = self._logits.path
        # A fixed path has nothing to order.
        if order.weight and order.mode != "off" and path.requires_grad:
            weights, chains = point["path"], self._supernet.space.chains
            summed = order_term(order.mode, logits=path, weights=weights, chains=chains)
            terms["order_term"] = order.weight * summed
        return terms

    @torch.no_grad()
    def _adapt_lambda(self) -> None:
        cost, architecture = self._config.cost, self._logits.architecture()
        point = one_hot(self._supernet.space, architecture, device=self._device)
        mult_adds = float(self._supernet.expected_cost(point, size=cost.size))
        self._lambda = adapted_lambda(
            self._lambda, mult_adds, lowest=cost.lowest, highest=cost.highest
        )

    def report(self) -> dict[str, float]:
        return {**super().report(), "lambda": self._lambda}

    def state(self) -> State:
        return {
            **super().state(),
            "architecture_optimiser": self._architecture.state_dict(),
            "lambda": self._lambda,
            "done": self._done,
        }

    def restore(self, state: State) -> None:
        super().restore(state)
        restore_optimiser(self._architecture, state["architecture_optimiser"])
        self._lambda = state["lambda"]
        self._done = state["done"]
