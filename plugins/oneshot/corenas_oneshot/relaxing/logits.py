"""The architecture as a search learns it: logits, and the weights that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch
from attrs import frozen
from torch import Tensor, nn

from corenas import Architecture, Decision, Relaxation, SearchSpace
from corenas.supernets.mixtures import argmax
from corenas.values.architecture import DecisionKind
from corenas_oneshot.relaxing.relaxing import Relaxing


@frozen
class Group:
    """Decisions of one kind with as many options; their logits are the rows of one tensor."""

    decisions: tuple[Decision, ...]
    relaxing: Relaxing
    fixed: bool = False

    @property
    def kind(self) -> DecisionKind:
        return self.decisions[0].kind

    def named(self, rows: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield each decision's name and row."""
        return zip((decision.name for decision in self.decisions), rows.unbind(), strict=True)


class Logits(nn.Module):
    """One logit for each option of each decision.

    Args:
        space: The space of the decisions.
        relaxing: How each kind of decision is relaxed; all that the space has.
        generator: Draws initial values that are no constant; on the CPU.
        fixed: Options of decisions that are not searched, by the decision's name.
    """

    def __init__(
        self,
        space: SearchSpace,
        relaxing: Mapping[DecisionKind, Relaxing],
        *,
        generator: torch.Generator,
        fixed: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        fixed = fixed or {}
        self.groups = tuple(_group(space.decisions, relaxing, fixed))
        self.levels = nn.ParameterList(
            _fix(group.decisions[0], fixed) if group.fixed else _begin(group, generator)
            for group in self.groups
        )

    @property
    def searched(self) -> tuple[nn.Parameter, ...]:
        """The logits that the search changes: all but those of fixed decisions."""
        return tuple(level for level in self.levels if level.requires_grad)

    def row(self, decision: str) -> Tensor:
        """Return the logits of a decision, shape (options,)."""
        return self.point(lambda group, level: level)[decision]

    def is_fixed(self, decision: str) -> bool:
        """Return whether a decision is not searched."""
        names = {each.name for group in self.groups if group.fixed for each in group.decisions}
        return decision in names

    def point(self, make: Callable[[Group, Tensor], Tensor]) -> Relaxation:
        """Return what a function makes of each group's logits, by decision."""
        rows: dict[str, Tensor] = {}
        for group, level in zip(self.groups, self.levels, strict=True):
            rows |= group.named(level if group.fixed else make(group, level))
        return {decision.name: rows[decision.name] for decision in self.space.decisions}

    def weights(self, radius: float) -> Relaxation:
        """Return the weights of all options, chances where one is drawn; radius as sparsestmax."""
        return self.point(lambda group, level: group.relaxing.weights(level, radius))

    def step_weights(self, radius: float, generator: torch.Generator) -> Relaxation:
        """Return the point of one step: draws where a kind of decision is drawn."""
        return self.point(
            lambda group, level: group.relaxing.step_weights(level, radius, generator)
        )

    def first_weights(self, generator: torch.Generator) -> Relaxation:
        """Return the point of one step in which the supernet's weights learn alone."""
        return self.point(lambda group, level: group.relaxing.first_weights(level, generator))

    def extremes(self, point: Relaxation) -> tuple[Relaxation, ...]:
        """Return the point with the widest and with the narrowest widths; none without widths."""
        widths = [decision for decision in self.space.decisions if decision.kind == "width"]
        if not widths:
            return ()
        return tuple(
            {**point, **{d.name: _chosen(point[d.name], choose(d.options)) for d in widths}}
            for choose in (_widest, _narrowest)
        )

    def architecture(self) -> Architecture:
        """Return the architecture of the largest logits; of tied ones the first is taken."""
        return argmax(self.space, self.point(lambda group, level: level.detach()))

    @torch.no_grad()
    def scalars(self, weights: Relaxation, taking_part: Collection[str]) -> dict[str, float]:
        """Return how far the search has decided.

        ``operation_sparsity`` and so on are the shares of a kind's weights that are exactly zero,
        ``operation_entropy`` and so on its decisions' mean entropy in nats. ``path/000101`` and so
        on are the weights of the options of decisions on a path that have one.

        Args:
            weights: What `weights` gives.
            taking_part: The decisions that count: others may be undecided for want of a gradient.
        """
        kinds: dict[str, list[Tensor]] = {}
        for decision in self.space.decisions:
            if decision.name in taking_part:
                kinds.setdefault(decision.kind, []).append(weights[decision.name])
        sparsity = [(torch.cat(rows) == 0).float().mean() for rows in kinds.values()]
        entropy = [_mean_entropy(rows) for rows in kinds.values()]
        paths = [d for d in self.space.decisions if d.kind == "path"]
        names = [f"{kind}_{what}" for what in ("sparsity", "entropy") for kind in kinds]
        names += [f"{d.name}/{option}" for d in paths for option in d.options]
        # One transfer for all numbers: each reading waits for the device.
        single = torch.stack([*sparsity, *entropy])
        values = torch.cat([single, *(weights[d.name] for d in paths)]).tolist()
        numbers = zip(names, values, strict=True)
        return {name: value for name, value in numbers if value or "/" not in name}


def _mean_entropy(rows: Sequence[Tensor]) -> Tensor:
    return torch.stack([torch.special.entr(row).sum() for row in rows]).mean()


def _group(
    decisions: Sequence[Decision],
    relaxing: Mapping[DecisionKind, Relaxing],
    fixed: Mapping[str, str],
) -> Iterator[Group]:
    """Put decisions together whose logits can be rows of one tensor, in their order."""
    found: dict[tuple[str, int, str], list[Decision]] = {}
    for decision in decisions:
        apart = decision.name if decision.name in fixed else ""
        found.setdefault((decision.kind, len(decision.options), apart), []).append(decision)
    for (_, _, apart), members in found.items():
        yield Group(tuple(members), relaxing[members[0].kind], fixed=bool(apart))


def _begin(group: Group, generator: torch.Generator) -> nn.Parameter:
    shape, how = (len(group.decisions), len(group.decisions[0].options)), group.relaxing
    scale = torch.randn(shape, generator=generator) if how.random else torch.ones(shape)
    # Where options are drawn by chance alone, nothing is learnt.
    return nn.Parameter(how.initial * scale, requires_grad=how.method != "uniform")


def _fix(decision: Decision, fixed: Mapping[str, str]) -> nn.Parameter:
    chosen = decision.index(fixed[decision.name])
    weights = torch.tensor([[float(index == chosen) for index in range(len(decision.options))]])
    # A parameter like the others, so that all are saved and moved alike.
    return nn.Parameter(weights, requires_grad=False)


def _chosen(like: Tensor, index: int) -> Tensor:
    chosen = torch.zeros_like(like, requires_grad=False)
    chosen[index] = 1
    return chosen


def _widest(options: Sequence[str]) -> int:
    return max(range(len(options)), key=lambda index: float(options[index]))


def _narrowest(options: Sequence[str]) -> int:
    return min(range(len(options)), key=lambda index: float(options[index]))
