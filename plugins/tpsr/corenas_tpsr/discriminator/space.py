"""The search space of discriminators (Lee et al., arXiv:2007.04356, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from attrs import evolve
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from corenas.cost import Cost, count
from corenas.errors import InputError
from corenas.names import nearest
from corenas.values.architecture import Architecture, Decision, check_choices
from corenas_sr.models.kernels import PReLU
from corenas_tpsr.discriminator.config import DiscriminatorSpaceConfig
from corenas_tpsr.generator.network import RGB_MEAN
from corenas_tpsr.generator.operations import ChannelAttention, InvertedBlock


class Discriminator(nn.Module):
    """Tells real patches from generated ones.

    The state dict holds what is trained and the vectors of spectral normalisation.

    Args:
        features: Turns patches of shape (N, 3, patch, patch) into feature maps.
        judge: Turns the flattened maps into one logit, shape (N, 1).
        patch: Side of the patches; the size of the judge's first layer follows from it.
        centred: Whether the features see (x - mean colour) / 127.5 instead of x.
    """

    def __init__(
        self, features: nn.Module, judge: nn.Module, *, patch: int, centred: bool = True
    ) -> None:
        super().__init__()
        self.features = features
        self.judge = judge
        self.patch = patch
        self.centred = centred
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Judge patches.

        Args:
            x: RGB in [0, 255], floating point, shape (N, 3, patch, patch); generated patches need
                not be clamped.

        Returns:
            Logits, shape (N, 1): the higher, the more real.

        Raises:
            ValueError: The shape or the type is another.
        """
        if x.dim() != 4 or x.shape[1:] != (3, self.patch, self.patch) or not x.is_floating_point():
            raise ValueError(
                f"expected floating point of shape (N, 3, {self.patch}, {self.patch}), "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        if self.centred:
            # To about [-1, 1]: gates and identity have no weights that could rescale 0..255.
            x = (x - self.mean) / 127.5
        logits: Tensor = self.judge(self.features(x).flatten(1))
        return logits


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return normalisation by the batch's own statistics, in evaluation mode too.

    Real and generated batches come by turns. A running average would fit neither, and the same
    patches would be judged differently in the two modes.
    """
    return nn.BatchNorm2d(channels, track_running_stats=False)


class DiscriminatorSpace:
    """Five decisions on operations and five on reductions: op_1, rop_1, op_2, rop_2, ..."""

    name = "tpsr-discriminator"

    def __init__(self, config: DiscriminatorSpaceConfig) -> None:
        self.config = config
        self.operations = {chosen.name: chosen for chosen in config.operations}
        self.reductions = {chosen.name: chosen for chosen in config.reductions}
        self.decisions = tuple(
            _decisions(config.blocks, tuple(self.operations), tuple(self.reductions))
        )

    def at_patch(self, side: int) -> DiscriminatorSpace:
        """Return the same space for patches of another side in pixels.

        Raises:
            ConfigError: Its reductions do not divide the side.
        """
        return DiscriminatorSpace(evolve(self.config, patch=side))

    @property
    def known(self) -> Mapping[str, Architecture]:
        """Empty: the paper prints no discriminator in a form that could be rebuilt."""
        return {}

    def build(self, architecture: Architecture) -> Discriminator:
        """Return the freshly initialised discriminator.

        Raises:
            InputError: The architecture is not of this space, or an operation cannot take its
                number of channels.
        """
        discriminator = self._build_plain(architecture)
        if self.config.spectral_norm:
            _normalise_spectra(discriminator)
        return discriminator

    def _build_plain(self, architecture: Architecture) -> Discriminator:
        """Return the discriminator without spectral normalisation."""
        config = self.config
        channels = config.channels
        stages = [self._build_stem()]
        for operation, reduction in self._blocks(architecture):
            kept = self.operations[operation].build(channels)
            stages.append(self._build_stage(kept, channels, ends_block=False))
            reduced = self.reductions[reduction].build(channels)
            channels *= 2
            stages.append(self._build_stage(reduced, channels, ends_block=True))
        side = config.patch // 2**config.blocks
        return Discriminator(
            nn.Sequential(*stages),
            _build_judge(channels * side**2, config.bottleneck),
            patch=config.patch,
            centred=config.input == "centred",
        )

    def cost(self, architecture: Architecture) -> Cost:
        """Return the discriminator's cost for one patch; spectral norm adds nothing to it."""
        side = self.config.patch
        with torch.device("meta"):
            module = self._build_plain(architecture)
        # For two patches: batch normalisation refuses a single value per channel, which one patch
        # has once it is reduced to one pixel.
        pair = count(module, (2, 3, side, side))
        return Cost(pair.params, pair.mult_adds // 2, (1, 3, side, side))

    def check(self, architecture: Architecture) -> str:
        """Return why the architecture is not of this space, or an empty string."""
        return check_choices(self.name, self.decisions, architecture)

    def active(self, architecture: Architecture) -> Sequence[Decision]:
        """Return all decisions: each of them matters."""
        return self.decisions

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the architecture with its choices in the order of the decisions."""
        return self._architecture(self._blocks(architecture))

    def draw(self, architecture: Architecture, path: Path) -> None:
        """Draw an architecture as ``path`` with ``.svg``, ``.png`` and ``.dot`` added.

        Raises:
            CorenasError: A file cannot be written.
            InputError: The architecture is not of this space.
        """
        from corenas_tpsr.discriminator._diagrams import draw_discriminator

        draw_discriminator(path, self, architecture)

    def parse(self, value: Any) -> Architecture:
        """Read ``[["conv3", "reduce-conv3"], ...]``: operation and reduction of each block."""
        if not isinstance(value, list | tuple):
            raise InputError(f"expected a list of [operation, reduction] pairs, got {value!r}")
        if len(value) != self.config.blocks:
            raise InputError(f"expected {self.config.blocks} blocks, got {len(value)}")
        numbered = enumerate(value, start=1)
        return self._architecture([self._parse_block(block, pair) for block, pair in numbered])

    def _parse_block(self, block: int, pair: Any) -> tuple[str, str]:
        match pair:
            case [str(operation), str(reduction)]:
                pass
            case _:
                raise InputError(
                    f"block {block}: expected an operation and a reduction, got {pair!r}"
                )
        if operation not in self.operations:
            hint = nearest(operation, self.operations)
            raise InputError(f"block {block}: unknown operation {operation!r}{hint}")
        if reduction not in self.reductions:
            hint = nearest(reduction, self.reductions)
            raise InputError(f"block {block}: unknown reduction {reduction!r}{hint}")
        return operation, reduction

    def format(self, architecture: Architecture) -> list[list[str]]:
        """Return operation and reduction of each block, as `parse` reads them."""
        return [list(pair) for pair in self._blocks(architecture)]

    def _blocks(self, architecture: Architecture) -> list[tuple[str, str]]:
        """Return operation and reduction of each block."""
        if problem := self.check(architecture):
            raise InputError(f"architecture: {problem}")
        blocks = range(1, self.config.blocks + 1)
        return [(architecture[f"op_{i}"], architecture[f"rop_{i}"]) for i in blocks]

    def _architecture(self, blocks: Sequence[tuple[str, str]]) -> Architecture:
        choices: dict[str, str] = {}
        for block, (operation, reduction) in enumerate(blocks, start=1):
            choices |= {f"op_{block}": operation, f"rop_{block}": reduction}
        return Architecture(self.name, choices)

    def _build_stem(self) -> nn.Module:
        size = {"conv1": 1, "conv3": 3}[self.config.stem]
        channels = self.config.channels
        convolution = nn.Conv2d(3, channels, size, padding=size // 2)
        return self._build_stage(convolution, channels, ends_block=False)

    def _build_stage(self, operation: nn.Module, channels: int, *, ends_block: bool) -> nn.Module:
        """Return the operation, whose output has ``channels``, with normalisation and PReLU."""
        if not self._is_normalised(operation, ends_block=ends_block):
            return nn.Sequential(operation, PReLU())
        _drop_redundant_bias(operation)
        return nn.Sequential(operation, batch_norm(channels), PReLU())

    def _is_normalised(self, operation: nn.Module, *, ends_block: bool) -> bool:
        match self.config.batch_norm:
            case "operations":
                return True
            case "convolutions":
                return _convolves(operation)
            case "blocks":
                return ends_block
            case "none":
                return False


def _decisions(
    blocks: int, operations: tuple[str, ...], reductions: tuple[str, ...]
) -> Iterator[Decision]:
    for block in range(1, blocks + 1):
        yield Decision(f"op_{block}", operations, "operation")
        yield Decision(f"rop_{block}", reductions, "operation")


def _build_judge(features: int, bottleneck: int | None) -> nn.Module:
    if bottleneck is None:
        return nn.Linear(features, 1)
    return nn.Sequential(nn.Linear(features, bottleneck), PReLU(), nn.Linear(bottleneck, 1))


def _convolves(operation: nn.Module) -> bool:
    # The gate's 1x1 convolutions see the channels' means, not the image.
    gate = isinstance(operation, ChannelAttention)
    return not gate and any(isinstance(module, nn.Conv2d) for module in operation.modules())


def _drop_redundant_bias(operation: nn.Module) -> None:
    """Remove the bias of the convolution that ends an operation: the next layer subtracts it."""
    match operation:
        case nn.Conv2d():
            operation.bias = None
        case nn.Sequential() if len(operation):
            _drop_redundant_bias(operation[-1])
        case InvertedBlock():
            _drop_redundant_bias(operation.body)


def _normalise_spectra(module: nn.Module) -> None:
    """Keep each weight's largest singular value at 1, by one power iteration per training pass."""
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectral_norm(layer)
