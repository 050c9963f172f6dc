"""What an architecture of a trilevel space pays for: the cost term and the order of paths."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from corenas import Architecture, Relaxation, State
from corenas.supernets.mixtures import one_hot
from corenas_oneshot.relaxing.logits import Logits
from corenas_trilevel.search._penalty import adapted_lambda, cost_term, order_term
from corenas_trilevel.search.config import TrilevelStrategyConfig
from corenas_trilevel.space.decisions import PATH, operation_names, width_names
from corenas_trilevel.space.paths import cell_steps
from corenas_trilevel.space.supernet import TrilevelSupernet


class TrilevelTerms:
    """The weighted penalties ``cost_term`` and ``order_term``, where these have a weight.

    Args:
        supernet: Counts costs.
        config: The options of the search.
    """

    def __init__(self, supernet: TrilevelSupernet, config: TrilevelStrategyConfig) -> None:
        self._supernet = supernet
        self._space = supernet.space
        self._config = config
        self._lambda = config.cost.weight

    def cost(self, point: Relaxation) -> Tensor:
        return self._supernet.expected_cost(point, size=self._config.cost.size)

    def penalties(self, logits: Logits, point: Relaxation) -> Mapping[str, Tensor]:
        cost, order, terms = self._config.cost, self._config.order, dict[str, Tensor]()
        if self._lambda:
            mult_adds = cost_term(
                self._supernet, point, omega1=cost.omega1, omega2=cost.omega2, size=cost.size
            )
            terms["cost_term"] = self._lambda * mult_adds
        # A fixed path has nothing to order.
        if order.weight and order.mode != "off" and not logits.is_fixed(PATH):
            summed = order_term(
                order.mode,
                logits=logits.row(PATH),
                weights=point[PATH],
                chains=self._space.chains,
            )
            terms["order_term"] = order.weight * summed
        return terms

    def taking_part(self, weights: Relaxation) -> Collection[str]:
        """Return the path and the decisions of cells on a path of some weight.

        Cells off every path get no gradient: their undecided logits would hide the others.
        """
        shares = zip(self._space.candidates, weights[PATH].tolist(), strict=True)
        # Not only those above 0: a weight that is no number shall be seen.
        cells = {cell for path, weight in shares if weight != 0 for cell in cell_steps(path)}
        names = {PATH}
        for cell in cells:
            names.update(operation_names(cell), width_names(cell))
        return names

    @torch.no_grad()
    def adapt(self, done: int, architecture: Callable[[], Architecture]) -> None:
        """Halve or double lambda now and then, by the cost of the architecture."""
        cost = self._config.cost
        if not cost.adaptive or done % cost.every:
            return
        device = next(self._supernet.parameters()).device
        mult_adds = float(self.cost(one_hot(self._space, architecture(), device=device)))
        self._lambda = adapted_lambda(
            self._lambda, mult_adds, lowest=cost.lowest, highest=cost.highest
        )

    def scalars(self) -> Mapping[str, float]:
        return {"lambda": self._lambda}

    def state(self) -> State:
        return {"lambda": self._lambda}

    def restore(self, state: State) -> None:
        self._lambda = state["lambda"]
