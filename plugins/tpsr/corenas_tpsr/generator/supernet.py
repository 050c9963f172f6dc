"""The supernet of the generator space: all operations at every node, and every source it can have.

Where operation and source of each node are chosen, it is the derived generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corenas.supernets.mixtures import Mixture, mixtures
from corenas.supernets.sharing import copy_slices
from corenas.training.networks import seeded
from corenas.values.architecture import Architecture, Relaxation
from corenas_sr.config import OUTPUT
from corenas_sr.models.kernels import PReLU
from corenas_tpsr.generator.network import RGB_MEAN, Generator, head, upsampler

if TYPE_CHECKING:
    from corenas_tpsr.generator.space import GeneratorSpace

Mixtures = Mapping[str, Mixture]


class MixedNode(nn.Module):
    """The weighted sum of all operations of a node, each with its PReLU."""

    def __init__(self, space: GeneratorSpace) -> None:
        super().__init__()
        # Not by name: an operation's may have a dot, or be that of a method.
        self.choices = nn.ModuleList(space.node(name) for name in space.operations)

    def forward(self, x: Tensor, operations: Mixture) -> Tensor:
        """Mix the operations that take part; shape (N, channels, H, W) both."""
        terms = (
            self.choices[index](x) * operations.weights[index] for index in operations.taking_part
        )
        mixed: Tensor = reduce(torch.add, terms)
        return mixed


class GeneratorSupernet(nn.Module):
    """Every node with all its operations; its input is the mixture of its sources.

    What is a leaf is a matter of chance between architectures. With sources drawn independently, a
    node is one with the chance that no later node reads it, by which its output counts in the sum.
    There is a single leaf only in a chain, so the PReLU that follows the sum of several leaves is
    mixed with the identity by the chance of the chain. What has a weight of exactly zero is not
    computed.

    Args:
        space: Its operations must keep the shape and need nothing but the input, as all here do.
    """

    def __init__(self, space: GeneratorSpace) -> None:
        super().__init__()
        config = space.config
        self.space = space
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)
        self.head = head(config.channels)
        self.nodes = nn.ModuleList(MixedNode(space) for _ in range(config.nodes))
        self.merge = PReLU()
        self.up1 = upsampler(config.channels)
        self.up2 = upsampler(3) if config.scale == 4 else None

    def forward(self, x: Tensor, point: Relaxation) -> Tensor:
        """Run the mixture.

        Args:
            x: RGB in [0, 255], floating point, shape (N, 3, H, W).
            point: Weights of every decision.

        Returns:
            RGB in the same range, but not clamped, shape (N, 3, scale * H, scale * W).

        Raises:
            ValueError: The point lacks a decision, or its weights have the wrong shape.
        """
        chosen = mixtures(point, self.space.decisions)
        outputs = [self.head(x - self.mean)]
        for number, node in enumerate(self.nodes, start=1):
            sources = chosen[f"in_{number}"]
            read = (outputs[index] * sources.weights[index] for index in sources.taking_part)
            outputs.append(node(reduce(torch.add, read), chosen[f"op_{number}"]))
        leaves = self._leaves(chosen)
        y = self._merge(
            reduce(torch.add, (outputs[index] * weight for index, weight in leaves.items())), chosen
        )
        y = F.pixel_shuffle(self.up1(y), 2)
        if self.up2 is not None:
            y = F.pixel_shuffle(self.up2(y), 2)
        return y + self.mean

    def _leaves(self, chosen: Mixtures) -> dict[int, Tensor]:
        """Return by how much each node counts in the sum of the leaves; not those that cannot."""
        nodes = range(1, len(self.nodes) + 1)
        weights: dict[int, Tensor] = {}
        for node in nodes:
            readers = [chosen[f"in_{later}"] for later in nodes if later > node]
            if any(reader.taking_part == (node,) for reader in readers):
                continue  # some node reads this one for sure
            unread = [1 - reader.weights[node] for reader in readers if node in reader.taking_part]
            one = chosen["in_1"].weights.new_ones(())
            weights[node] = reduce(torch.mul, unread, one)
        return weights

    def _merge(self, y: Tensor, chosen: Mixtures) -> Tensor:
        """Apply what follows the sum of the leaves: PReLU where there are several."""
        chain = self._chain(chosen)
        if chain is None:
            return self._prelu(y)
        if all(len(chosen[f"in_{n}"].taking_part) == 1 for n in range(1, len(self.nodes) + 1)):
            return y * chain
        return chain * y + (1 - chain) * self._prelu(y)

    def _prelu(self, y: Tensor) -> Tensor:
        merged: Tensor = self.merge(y)
        return merged

    def _chain(self, chosen: Mixtures) -> Tensor | None:
        """Return the chance that there is a single leaf; None where that cannot be."""
        nodes = range(2, len(self.nodes) + 1)
        if self.space.config.merge_single_leaf or any(
            node - 1 not in chosen[f"in_{node}"].taking_part for node in nodes
        ):
            return None
        one = chosen["in_1"].weights.new_ones(())
        return reduce(torch.mul, (chosen[f"in_{n}"].weights[n - 1] for n in nodes), one)

    def expected_cost(self, point: Relaxation, *, output: tuple[int, int] = OUTPUT) -> Tensor:
        """Return the mean mult-adds when each decision is drawn by its weights.

        Wiring and PReLUs cost nothing, so this depends on the operations alone.

        Args:
            point: Weights of every decision.
            output: Width and height of the output.

        Returns:
            A float64 number, the derived network's cost at one-hot points; differentiable.
        """
        width, height = (side // self.space.config.scale for side in output)
        fixed, operations = self.space.mult_adds(height=height, width=width)
        weights = torch.stack([point[f"op_{n}"] for n in range(1, len(self.nodes) + 1)]).double()
        return fixed + (weights @ weights.new_tensor(operations)).sum()

    def inherit(self, architecture: Architecture) -> Generator:
        """Return the derived generator with a copy of its part of the weights.

        Raises:
            InputError: The architecture is not of the supernet's space.
        """
        # Its initial weights are all replaced; drawing them shall disturb nobody.
        with seeded(0):
            network = self.space.build(architecture)
        network = network.to(next(self.parameters()))
        copy_slices(self.head, network.head)
        copy_slices(self.up1, network.up1)
        if self.up2 is not None and network.up2 is not None:
            copy_slices(self.up2, network.up2)
        if isinstance(network.merge, PReLU):
            copy_slices(self.merge, network.merge)
        names = list(self.space.operations)
        for index, node in enumerate(network.nodes):
            choice = names.index(architecture[f"op_{index + 1}"])
            copy_slices(self.get_submodule(f"nodes.{index}.choices.{choice}"), node)
        return network.train(self.training)
