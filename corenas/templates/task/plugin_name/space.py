"""The search space: how many hidden layers, how wide, and with which activation.

What a network does not have is not decided: with one layer, the width of a second is inactive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from corenas import Architecture, Decision, InputError, check_choices
from torch import nn

from plugin_name.config import SpaceConfig

WIDTHS = ("4", "8", "16", "32")
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
}


class Space:
    """Networks from a position to a logit for each of two classes."""

    name = "plugin-name"

    def __init__(self, config: SpaceConfig) -> None:
        self.config = config
        numbers = range(1, config.layers + 1)
        self.decisions: Sequence[Decision] = (
            Decision("layers", [str(number) for number in numbers], "depth"),
            Decision("activation", tuple(ACTIVATIONS), "operation"),
            *(Decision(f"width_{number}", WIDTHS, "width") for number in numbers),
        )

    @property
    def known(self) -> Mapping[str, Architecture]:
        """A plain network of one layer."""
        plain = {"activation": "relu", "widths": [16]}
        return {"plugin-name/plain": self.parse(plain)}

    def build(self, architecture: Architecture) -> nn.Module:
        """Return the network; it takes positions of shape (N, 2) and gives two logits each.

        Raises:
            InputError: The architecture is not of this space.
        """
        if reason := self.check(architecture):
            raise InputError(reason)
        widths = [2, *self._widths(architecture)]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), ACTIVATIONS[architecture["activation"]]()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], 2))

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return the decisions that matter: those of the layers that the network has."""
        return self.decisions[: 2 + int(architecture["layers"])]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the same network with every inactive decision at its first option."""
        active = {decision.name for decision in self.active(architecture)}
        return Architecture(
            self.name,
            {
                each.name: architecture[each.name] if each.name in active else each.options[0]
                for each in self.decisions
            },
        )

    def parse(self, value: Any) -> Architecture:
        """Read ``{"activation": "relu", "widths": [16, 8]}``, a width for each layer.

        Raises:
            InputError: It has another form, or names what there is not.
        """
        try:
            activation, widths = str(value["activation"]), [str(each) for each in value["widths"]]
        except (TypeError, KeyError):
            raise InputError(f"expected 'activation' and a list 'widths', got {value!r}") from None
        first = {each.name: each.options[0] for each in self.decisions}
        chosen = {f"width_{number}": each for number, each in enumerate(widths, start=1)}
        choices = first | chosen | {"layers": str(len(widths)), "activation": activation}
        architecture = Architecture(self.name, choices)
        if reason := self.check(architecture):
            raise InputError(reason)
        return self.canonical(architecture)

    def format(self, architecture: Architecture) -> Any:
        """Return what `parse` reads."""
        return {
            "activation": architecture["activation"],
            "widths": list(self._widths(architecture)),
        }

    def _widths(self, architecture: Architecture) -> list[int]:
        numbers = range(1, int(architecture["layers"]) + 1)
        return [int(architecture[f"width_{number}"]) for number in numbers]
