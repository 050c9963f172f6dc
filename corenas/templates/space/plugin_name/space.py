"""The space: how many residual blocks, how wide, and the kernel of each.

What a network does not have is not decided: with two blocks, the kernel of a third is inactive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from corenas import Architecture, Decision, InputError, check_choices
from torch import Tensor, nn
from torch.nn import functional as F

from plugin_name.config import Options

WIDTHS = ("8", "16", "24")
KERNELS = ("1", "3", "5")


class Block(nn.Module):
    """A convolution and a PReLU with a shortcut around them."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, kernel, padding=kernel // 2)
        self.act = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input with what the convolution adds to it."""
        result: Tensor = x + self.act(self.conv(x))
        return result


class Network(nn.Module):
    """Adds details to the image that interpolation gives."""

    def __init__(self, width: int, kernels: Sequence[int], scale: int) -> None:
        super().__init__()
        self.scale = scale
        blocks = [Block(width, kernel) for kernel in kernels]
        last = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *blocks, last)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of shape (N, 3, scale * H, scale * W) for (N, 3, H, W)."""
        plain = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return plain + F.pixel_shuffle(self.body(x), self.scale)


class Space:
    """The search space."""

    name = "plugin-name"

    def __init__(self, config: Options) -> None:
        self.config = config
        numbers = range(1, config.blocks + 1)
        self.decisions: Sequence[Decision] = (
            Decision("blocks", [str(number) for number in numbers], "depth"),
            Decision("width", WIDTHS, "width"),
            *(Decision(f"kernel_{number}", KERNELS, "operation") for number in numbers),
        )

    @property
    def known(self) -> Mapping[str, Architecture]:
        """A plain network of one block."""
        plain = {"width": 16, "kernels": [3]}
        return {"plugin-name/plain": self.parse(plain)}

    def build(self, architecture: Architecture) -> nn.Module:
        """Return the network.

        Raises:
            InputError: The architecture is not of this space.
        """
        if reason := self.check(architecture):
            raise InputError(reason)
        return Network(int(architecture["width"]), self._kernels(architecture), self.config.scale)

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return the decisions that matter: those of the blocks that the network has."""
        return self.decisions[: 2 + int(architecture["blocks"])]

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
        """Read ``{"width": 16, "kernels": [3, 5]}``, a kernel for each block.

        Raises:
            InputError: It has another form, or names what there is not.
        """
        try:
            width, kernels = str(value["width"]), [str(each) for each in value["kernels"]]
        except (TypeError, KeyError):
            raise InputError(f"expected 'width' and a list 'kernels', got {value!r}") from None
        first = {each.name: each.options[0] for each in self.decisions}
        chosen = {f"kernel_{number}": each for number, each in enumerate(kernels, start=1)}
        choices = first | chosen | {"blocks": str(len(kernels)), "width": width}
        architecture = Architecture(self.name, choices)
        if reason := self.check(architecture):
            raise InputError(reason)
        return self.canonical(architecture)

    def format(self, architecture: Architecture) -> Any:
        """Return what `parse` reads."""
        return {"width": int(architecture["width"]), "kernels": self._kernels(architecture)}

    def _kernels(self, architecture: Architecture) -> list[int]:
        numbers = range(1, int(architecture["blocks"]) + 1)
        return [int(architecture[f"kernel_{number}"]) for number in numbers]
