"""Random paths ranked by the weights that they share (Guo et al., arXiv:1904.00420)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from corenas import Architecture, Event, SearchError, SearchSpace, State, Supernet
from corenas.supernets.mixtures import one_hot
from corenas.supernets.supervision import Supervision
from corenas.training.step import Stream
from corenas.values.seeds import derive_seed
from corenas_oneshot.search.plan import RankingPlan, Refuse
from corenas_oneshot.search.step import module_of
from corenas_oneshot.search.terms import Terms


class Ranking:
    """Measures random architectures in a trained supernet, and keeps the best.

    All are compared by the mean loss over the same batches, on which the weights did not learn. The
    supernet stays in training mode: where a network normalises by its batch, statistics gathered
    over many paths would fit none of them.

    Note:
        Guo et al. search by evolution, and gather each path's own statistics; here candidates are
        drawn uniformly.

    Args:
        space: The space.
        supernet: Trained, on the device.
        supervision: Compares outputs with targets.
        terms: Counts costs.
        plan: How many.
        refuse: Says which are not ranked.
        stream: Batches of the half on which the weights did not learn.
        seed: Decides the candidates; each depends on it and its number alone.
        device: Where the supernet is.
    """

    def __init__(
        self,
        space: SearchSpace,
        supernet: Supernet,
        supervision: Supervision,
        terms: Terms,
        plan: RankingPlan,
        refuse: Refuse,
        stream: Stream,
        *,
        seed: int,
        device: str,
    ) -> None:
        self._space = space
        self._supernet = supernet
        self._module = module_of(supernet)
        self._supervision = supervision
        self._terms = terms
        self._plan = plan
        self._refuse = refuse
        self._device = torch.device(device)
        self._seed = seed
        self._batches = [self._place(stream.next_batch()) for _ in range(plan.batches)]
        self._done = 0
        self._drawn = 0
        self._rejected = 0
        self._best: tuple[float, Architecture] | None = None

    def _place(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        inputs, targets = (self._supervision.place(values, self._device) for values in batch)
        return inputs, targets

    def events(self) -> Iterator[Event]:
        """Rank; yield an ``epoch`` event every so many candidates.

        Raises:
            SearchError: Too many candidates in a row are refused, or have no finite loss.
        """
        plan = self._plan
        while self._done < plan.candidates:
            losses = []
            until = min(plan.candidates, self._done + plan.report_every)
            while self._done < until:
                losses.append(self._measure(self._next_candidate()))
                self._done += 1
            assert self._best is not None  # set with the first finite loss
            scalars = {"loss": self._best[0], "mean_loss": float(np.mean(losses))}
            yield Event("epoch", self._done, plan.candidates, scalars)

    def _next_candidate(self) -> Architecture:
        reason = ""
        for _ in range(self._plan.rejections):
            candidate = self._draw(self._drawn)
            self._drawn += 1
            rejected = self._refuse(candidate)
            if rejected is None:
                return candidate
            self._rejected += 1
            reason = rejected.reason
        raise SearchError(
            f"{self._plan.rejections} random paths in a row were refused; the last one: {reason}"
        )

    def _draw(self, number: int) -> Architecture:
        generator = np.random.default_rng(derive_seed(self._seed, str(number)))
        choices = {
            decision.name: decision.options[int(generator.integers(len(decision.options)))]
            for decision in self._space.decisions
        }
        return self._space.canonical(Architecture(self._space.name, choices))

    @torch.no_grad()
    def _measure(self, candidate: Architecture) -> float:
        point = one_hot(self._space, candidate, device=self._device)
        losses = [
            self._supervision.loss(self._supernet(inputs, point), targets)
            for inputs, targets in self._batches
        ]
        loss = float(torch.stack(losses).mean())
        if not math.isfinite(loss):
            raise SearchError(f"a path's loss became {loss}; a smaller learning_rate may help")
        if self._best is None or loss < self._best[0]:
            self._best = (loss, candidate)
        return loss

    def scalars(self) -> Mapping[str, float]:
        return {"expected_cost": self.measurement()["expected_cost"]}

    def architecture(self) -> Architecture | None:
        """Return the best so far."""
        return None if self._best is None else self._best[1]

    @torch.no_grad()
    def measurement(self) -> dict[str, float]:
        """Return the loss of the best so far, and its cost."""
        if self._best is None:
            return {"expected_cost": math.nan, "loss": math.nan}
        loss, architecture = self._best
        point = one_hot(self._space, architecture, device=self._device)
        return {"expected_cost": float(self._terms.cost(point)), "loss": loss}

    def counts(self) -> dict[str, int]:
        return {"steps": self._done, "ranked": self._done, "rejected": self._rejected}

    def state(self) -> State:
        """Return the supernet, whose statistics change, and the best so far."""
        best = self._best
        return {
            "supernet": self._module.state_dict(),
            "done": self._done,
            "drawn": self._drawn,
            "rejected": self._rejected,
            "best": best and {"loss": best[0], "architecture": best[1].to_json()},
        }

    def restore(self, state: State) -> None:
        self._module.load_state_dict(state["supernet"])
        self._done, self._drawn = state["done"], state["drawn"]
        self._rejected = state["rejected"]
        best = state["best"]
        self._best = best and (best["loss"], Architecture.from_json(best["architecture"]))
