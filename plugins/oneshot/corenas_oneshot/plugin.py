"""The hooks: strategies that search in a supernet."""

from __future__ import annotations

from collections.abc import Iterable

from corenas.plugins.hookspecs import Component, hookimpl
from corenas_oneshot.config import DartsConfig, OneShotConfig, SinglePathConfig


@hookimpl
def corenas_strategies() -> Iterable[Component]:
    return (
        Component(
            "sparsestmax",
            "corenas_oneshot.search.strategy:sparsestmax",
            OneShotConfig,
            "weights that become one-hot as the search goes on (Shao et al., CVPR 2019)",
        ),
        Component(
            "sparsemax",
            "corenas_oneshot.search.strategy:sparsemax",
            OneShotConfig,
            "weights projected onto the simplex (Martins and Astudillo, arXiv:1602.02068)",
        ),
        Component(
            "darts",
            "corenas_oneshot.search.strategy:darts",
            DartsConfig,
            "softmax over all options, first order (Liu et al., arXiv:1806.09055)",
        ),
        Component(
            "gumbel",
            "corenas_oneshot.search.strategy:gumbel",
            OneShotConfig,
            "one option drawn in each step, straight-through (Jang et al., arXiv:1611.01144)",
        ),
        Component(
            "single-path",
            "corenas_oneshot.search.strategy:single_path",
            SinglePathConfig,
            "one random path in each step, then paths ranked by shared weights (Guo et al., "
            "arXiv:1904.00420)",
        ),
    )
