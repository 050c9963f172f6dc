"""The training step of a supernet: one update of its weights, and one of the architecture.

It runs in the training loop of `corenas.training.loop`. Each loss of a step is differentiated by
itself, so that only one pass is in memory at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from attrs import frozen
from torch import Tensor, nn

from corenas import Diverged, PluginError, Relaxation, State, Supernet
from corenas.supernets.supervision import Supervision
from corenas.training.step import adam, restore_optimiser
from corenas_oneshot.relaxing.logits import Logits
from corenas_oneshot.relaxing.sparsestmax import radius_at
from corenas_oneshot.search.terms import Terms

Batch = tuple[Tensor, Tensor]


@frozen
class Learning:
    """How a step updates weights and logits.

    Args:
        clip: Largest norm of the weights' gradient.
        learning_rate: Adam's step size for the logits.
        betas: Decay of that Adam's two averages.
        sandwich: Whether losses with the widest and the narrowest widths are added.
        architecture_first: Whose turn is first.
    """

    clip: float
    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    sandwich: bool = False
    architecture_first: bool = False


class OneShotStep:
    """One update of the weights, and one of the logits where the architecture learns as well.

    Gives ``loss``, the sum over the points of the step: the one drawn, and with the sandwich rule
    the widest and the narrowest widths. Where the architecture learns, it takes a second batch and
    gives ``architecture_loss`` and the weighted penalties of the terms; sparsestmax's radius then
    grows from 0 to 1 with the steps, and is 0 otherwise.

    Args:
        supernet: Its weights are trained; moved to the device.
        logits: The architecture; moved to the device.
        supervision: Examples and loss.
        terms: What the architecture pays for.
        learning: How both learn.
        steps: How many steps the architecture learns for; None where the weights learn alone, at
            points of `Logits.first_weights`.
        learning_rate: Adam's step size for the weights at schedule factor 1.
        seed: Decides all draws.
        device: Where to train.
    """

    def __init__(
        self,
        supernet: Supernet,
        logits: Logits,
        supervision: Supervision,
        terms: Terms,
        learning: Learning,
        *,
        steps: int | None,
        learning_rate: float,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._supernet = supernet
        self._module = module_of(supernet).to(self._device).train()
        self._logits = logits.to(self._device)
        self._supervision = supervision
        self._terms = terms
        self._learning = learning
        self._steps = steps
        self._generator = torch.Generator().manual_seed(seed)
        self._weights = adam(self._module, learning_rate)
        self._architecture = None
        if steps is not None and logits.searched:
            self._architecture = torch.optim.Adam(
                logits.searched, lr=learning.learning_rate, betas=learning.betas
            )
        self._done = 0

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        """The weights' optimiser alone: the architecture's step size is constant."""
        return (self._weights,)

    @property
    def radius(self) -> float:
        """The distance that sparsestmax now keeps from its center."""
        return 0.0 if self._steps is None else radius_at(self._done, self._steps)

    def step(self, batches: Sequence[Batch]) -> Mapping[str, Tensor]:
        """Do the updates, each on a batch of its own."""
        weights, *architecture = map(self._place, batches)
        turns: list[Callable[[], dict[str, Tensor]]] = [partial(self._step_weights, *weights)]
        turns += [partial(self._step_architecture, *batch) for batch in architecture]
        if self._learning.architecture_first:
            turns.reverse()
        scalars: dict[str, Tensor] = {}
        for turn in turns:
            scalars |= turn()
        # After both turns: the last step then has a radius below 1, at which nothing could learn.
        self._done += 1
        if self._steps is not None:
            self._terms.adapt(self._done, self._logits.architecture)
        return scalars

    def _place(self, batch: Batch) -> Batch:
        inputs, targets = (self._supervision.place(values, self._device) for values in batch)
        return inputs, targets

    def _points(self) -> list[Relaxation]:
        """Return the points of one update."""
        logits, sandwich = self._logits, self._learning.sandwich
        if self._steps is not None:
            drawn = logits.step_weights(self.radius, self._generator)
            return [drawn, *(logits.extremes(drawn) if sandwich else ())]
        drawn = logits.first_weights(self._generator)
        extremes = logits.extremes(drawn) if sandwich else ()
        # Four points, as slimmable networks are trained: the extremes, and two drawn between them.
        others = [logits.first_weights(self._generator)] if extremes else []
        return [*extremes, drawn, *others]

    def _loss_at(self, point: Relaxation, inputs: Tensor, targets: Tensor) -> Tensor:
        return self._supervision.loss(self._supernet(inputs, point), targets)

    def _step_weights(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Do one update for the sum of the losses at the points.

        Weights that no point uses have no gradient, so Adam skips them.
        """
        # Logits do not learn here, so a graph through them would be wasted.
        with torch.no_grad():
            points = self._points()
        losses = []
        for point in points:
            loss = self._loss_at(point, inputs, targets)
            torch.autograd.backward(loss)
            losses.append(loss.detach())
        nn.utils.clip_grad_norm_(self._module.parameters(), self._learning.clip)
        self._weights.step()
        # None, not zero: Adam would move unused weights by their old momentum.
        self._weights.zero_grad(set_to_none=True)
        return {"loss": torch.stack(losses).sum()}

    def _step_architecture(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        assert self._architecture is not None  # a second batch comes only where it learns
        self._architecture.zero_grad(set_to_none=True)
        points = self._points()
        losses = [self._differentiate(self._loss_at(point, inputs, targets)) for point in points]
        penalties = self._terms.penalties(self._logits, points[0])
        terms = {name: self._differentiate(term) for name, term in penalties.items()}
        self._architecture.step()
        return {"architecture_loss": torch.stack(losses).sum(), **terms}

    def _differentiate(self, term: Tensor) -> Tensor:
        """Add a term's gradients to those of the logits; return its value.

        The weights get none: this step does not train them, and takes a third less time without.
        The graph is kept, because all terms share its part from logits to points.
        """
        torch.autograd.backward(term, inputs=self._logits.searched, retain_graph=True)
        return term.detach()

    def report(self) -> dict[str, float]:
        """Return the state of the architecture: `Logits.scalars`, radius and expected cost.

        Reading these waits for the device, so they are no scalars of each step.

        Raises:
            Diverged: One of them is not finite.
        """
        with torch.no_grad():
            weights = self._logits.weights(self.radius)
            scalars = {
                "expected_cost": float(self._terms.cost(weights)),
                "radius": self.radius,
                **self._logits.scalars(weights, self._terms.taking_part(weights)),
            }
        if self._steps is not None:
            scalars |= self._terms.scalars()
        for name, value in scalars.items():
            if not math.isfinite(value):
                raise Diverged(f"{name} became {value}")
        return scalars

    def state(self) -> State:
        """Return weights, logits, terms, both optimisers' states and the random state."""
        state = {
            "supernet": self._module.state_dict(),
            "logits": self._logits.state_dict(),
            "weights_optimiser": self._weights.state_dict(),
            "generator": self._generator.get_state(),
            "terms": self._terms.state(),
            "done": self._done,
        }
        if self._architecture is not None:
            state["architecture_optimiser"] = self._architecture.state_dict()
        return state

    def restore(self, state: State) -> None:
        self._module.load_state_dict(state["supernet"])
        self._logits.load_state_dict(state["logits"])
        restore_optimiser(self._weights, state["weights_optimiser"])
        self._generator.set_state(state["generator"])
        self._terms.restore(state["terms"])
        self._done = state["done"]
        if self._architecture is not None:
            restore_optimiser(self._architecture, state["architecture_optimiser"])

    def remark(self, scalars: Mapping[str, float]) -> str:
        return ""

    def deliverable(self) -> nn.Module:
        """Return the network of the largest logits, with a copy of its part of the weights."""
        return self._supernet.inherit(self._logits.architecture())


def module_of(supernet: Supernet) -> nn.Module:
    """Return a supernet as the module that it is.

    Raises:
        PluginError: It is none.
    """
    if not isinstance(supernet, nn.Module):
        raise PluginError(f"a supernet is a torch module; got {type(supernet).__qualname__}")
    return supernet
