"""Options of the two search spaces, one class per backbone (no torch here)."""

from __future__ import annotations

from math import comb
from typing import ClassVar, Literal

from attrs import evolve, frozen

from corenas.errors import ConfigError
from corenas.options.structuring import option

Backbone = Literal["a", "b"]

OPERATION_NAMES = ("conv1", "conv3", "res", "dws")
"""Operations of a cell, in the paper's order."""


# A model file from elsewhere must not ask for a space that takes minutes to list.
MOST_WIDTHS = 100
MOST_PREFIXES = 1_000


@frozen
class CellsConfig:
    """Options that both backbones have."""

    cells: int = option(5, "RiR cells of a complete path", paper="5", ge=2, le=100)
    searched_cells: int = option(
        4, "cells whose place is searched, fewer than all; the others come first", paper="4", ge=1
    )
    # By default 4, 6, 8, 10 and 12 twelfths of 64, rounded to multiples of 8, as in the code.
    widths: tuple[int, ...] = option(
        (24, 32, 40, 56, 64), "channels an operation may have, ascending", unit="channels", ge=1
    )
    features: int = option(
        64, "channels between cells, at least the largest width", paper="64", unit="channels", ge=1
    )

    def __attrs_post_init__(self) -> None:
        if self.searched_cells >= self.cells:
            raise ConfigError(
                f"searched_cells: must be less than cells, {self.cells}, got {self.searched_cells}"
            )
        if not self.widths or list(self.widths) != sorted(set(self.widths)):
            raise ConfigError(f"widths: must be ascending and distinct, got {list(self.widths)}")
        if len(self.widths) > MOST_WIDTHS:
            raise ConfigError(f"widths: at most {MOST_WIDTHS}, got {len(self.widths)}")
        if self.widths[-1] > self.features:
            raise ConfigError(
                f"widths: must be at most features, {self.features}, got {self.widths[-1]}"
            )


@frozen
class TrilevelAConfig(CellsConfig):
    """Options of backbone A, whose path says where between the cells the image is enlarged."""

    backbone: ClassVar[Backbone] = "a"

    # Each convolution of the path enlarges by two.
    scale: int = option(4, "up-scaling factor", paper="4", choices=(2, 4, 8))
    share_up: bool = option(
        False, "a path's up-convolutions are one module (explains the paper's 0.34 M parameters)"
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        _check_tree(self.searched_cells, self.ups)

    @property
    def ups(self) -> int:
        """Enlargements by two of every path."""
        return self.scale.bit_length() - 1

    @property
    def unshared(self) -> TrilevelAConfig:
        """The same space where each convolution has its own weights: it has the same members."""
        return evolve(self, share_up=False)


@frozen
class TrilevelBConfig(CellsConfig):
    """Options of backbone B, which works at the input's resolution and shuffles pixels at the end.

    Its path says where between the cells plain convolutions stand.
    """

    backbone: ClassVar[Backbone] = "b"
    share_up: ClassVar[bool] = False

    scale: int = option(4, "up-scaling factor", paper="4", ge=1, le=16)
    ups: int = option(2, "the most convolutions a path may hold", paper="2", ge=0, le=100)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        _check_tree(self.searched_cells, self.ups)

    @property
    def unshared(self) -> TrilevelBConfig:
        """The same space: its convolutions share nothing."""
        return self


def _check_tree(searched_cells: int, ups: int) -> None:
    """Refuse a tree of too many prefixes."""
    # Of i zeros and j ones there are C(i + j, i) orders; this is their sum over all i and j.
    prefixes = comb(searched_cells + ups + 2, ups + 1) - 1
    if prefixes > MOST_PREFIXES:
        raise ConfigError(
            f"searched_cells: {searched_cells} and {ups} convolutions make {prefixes} prefixes of "
            f"paths; at most {MOST_PREFIXES} are allowed"
        )


SpaceConfig = TrilevelAConfig | TrilevelBConfig
