"""The paper's architectures, in the form that spaces parse, and its printed results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen


def _cell(text: str) -> list[list[Any]]:
    """Read pairs such as ``conv1 64``, separated by commas."""
    pairs = (pair.split() for pair in text.split(","))
    return [[name, int(width)] for name, width in pairs]


PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "trilevel-a/table-1": {
        "path": "000101",
        "cells": [
            _cell("conv1 64, conv3 24, conv1 24, conv1 24, conv3 64"),
            _cell("dws 32, dws 32, dws 64, conv3 24, res 64"),
            _cell("conv1 64, conv1 64, conv3 40, conv1 32, dws 64"),
            _cell("conv3 24, conv3 64, conv1 32, conv3 32, conv3 64"),
        ],
    },
    "trilevel-b/table-3": {
        "path": "000001",
        "cells": [
            _cell("conv1 32, conv1 24, dws 64, dws 24, conv1 64"),
            _cell("dws 32, res 40, dws 56, conv3 40, conv3 64"),
            _cell("conv3 64, conv1 64, conv3 24, conv1 32, dws 64"),
            _cell("dws 64, dws 56, conv3 24, conv3 24, dws 64"),
            _cell("dws 32, conv3 64, conv3 64, conv3 24, conv3 64"),
        ],
    },
}
"""By the name of the space and of the table."""


@frozen
class PublishedResult:
    """A row of the paper at x4; PSNR in dB, 3x256x256 input, counted as `counting.paper_cost` does.

    ``params`` and ``gflops`` are in millions and billions, as they are printed.
    """

    title: str
    path: str
    params: float
    gflops: float
    set5: float
    set14: float


RESULTS: Mapping[str, PublishedResult] = {
    "psnr-b": PublishedResult("backbone B, PSNR", "000001", 0.51, 33.3, 31.62, 28.26),
    "visual-a": PublishedResult("backbone A, visual", "000101", 0.34, 117.39, 30.34, 27.29),
    "softmax": PublishedResult("A, visual, softmax", "00101", 0.47, 154.80, 30.34, 27.28),
    "order-0": PublishedResult("A, visual, order 0", "0010001", 0.58, 184.08, 30.32, 27.21),
    "order-0.01": PublishedResult("A, visual, order 0.01", "001001", 0.52, 169.69, 30.34, 27.20),
    "order-0.1": PublishedResult("A, visual, order 0.1", "000101", 0.34, 117.39, 30.34, 27.29),
    "bilevel": PublishedResult("A, visual, bilevel", "0000011", 0.52, 115.39, 30.32, 27.22),
}
"""The paper's own networks: of its comparison for PSNR, and of Tables 1, 7, 8 and 9."""
