"""Parameters and mult-adds of a network, as they are and as the paper counts them.

The paper counts with thop 0.0.31: one per multiplication and addition of a convolution, one more
per output element of a biased one, and one per element of a LeakyReLU. Its parameters include two
per output channel of each bias-free convolution, for batch norms that its code makes and never
runs. ``docs/papers.md`` compares the printed numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from corenas import cost
from corenas.cost import Convention, Cost
from corenas.errors import InputError

WayOfCounting = Literal["true", "paper"]

PAPER_SIZE = (256, 256)
"""Height and width of the low-resolution image for which the paper prints its costs."""


def count(
    network: nn.Module, *, size: tuple[int, int] = PAPER_SIZE, convention: WayOfCounting = "true"
) -> Cost:
    """Count what a network costs for one image; nothing is computed, and it stays as it is.

    Args:
        network: Takes images, shape (1, 3, H, W).
        size: Height and width of the input, in pixels.
        convention: ``true`` counts as `corenas.cost.count`, ``paper`` as the paper's tables do.

    Raises:
        InputError: By the paper's convention a layer with weights must be a Conv2d.
        ValueError: The convention is unknown.
    """
    shape = (1, 3, *size)
    if convention == "true":
        return cost.count(network, shape)
    if convention == "paper":
        return paper_cost(network, shape)
    raise ValueError(f"convention must be 'true' or 'paper', got {convention!r}")


def paper_cost(network: nn.Module, shape: tuple[int, ...]) -> Cost:
    """Count as the paper's tables do; see `count`."""
    counts: list[int] = []
    # Meta tensors stand in for the weights, so that no convolution is really computed.
    weights = {name: tensor.to("meta") for name, tensor in _tensors(network)}
    with _observe_layers(network, counts), torch.no_grad():
        torch.func.functional_call(network, weights, (torch.empty(shape, device="meta"),))
    params = sum(weight.numel() for weight in network.parameters())
    return Cost(params + _unused_norm_params(network), sum(counts), shape)


PAPER = Convention("paper", paper_cost, (1, 3, *PAPER_SIZE))
"""Second way of counting of the command ``corenas cost``, beside the true one."""


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from network.named_parameters()
    yield from network.named_buffers()


def _unused_norm_params(network: nn.Module) -> int:
    """Return the parameters of batch norms that the paper's code makes and never runs."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    return sum(2 * layer.out_channels for layer in layers if layer.bias is None)


@contextmanager
def _observe_layers(network: nn.Module, counts: list[int]) -> Iterator[None]:
    """Append the count of each call of a layer while the network runs."""
    rules = {layer: _rule(name, layer) for name, layer in network.named_modules()}
    handles = [
        layer.register_forward_hook(_hook(rule, counts)) for layer, rule in rules.items() if rule
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(rule: Callable[[Any, Tensor], int], counts: list[int]) -> Callable[..., None]:
    def observe(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append(rule(layer, output))

    return observe


def _rule(name: str, layer: nn.Module) -> Callable[[Any, Tensor], int] | None:
    if isinstance(layer, nn.Conv2d):
        return _convolution
    if isinstance(layer, nn.LeakyReLU):
        return _leaky_relu
    # A layer that is not counted would make the whole number wrong, without a word.
    if next(layer.parameters(recurse=False), None) is not None:
        where, kind = name or "network", type(layer).__name__
        raise InputError(f"{where}: the paper's way of counting knows no {kind}, only Conv2d")
    return None


def _convolution(layer: nn.Conv2d, output: Tensor) -> int:
    per_element = layer.weight.numel() // layer.out_channels + (layer.bias is not None)
    return output.numel() * per_element


def _leaky_relu(layer: nn.LeakyReLU, output: Tensor) -> int:
    return output.numel()
