"""The cost of a network for a stated image size."""

from __future__ import annotations

import re
from typing import Any

from corenas import InputError
from corenas.cost import count
from corenas_sr.architectures import Named

OUTPUT = (1280, 720)
"""Width and height that the literature counts mult-adds for."""

Size = tuple[int, int]


def cost_at(
    named: Named, *, scale: int, input_size: str | None = None, output_size: str | None = None
) -> dict[str, Any]:
    """Count a network.

    Args:
        named: The architecture and its space.
        scale: The up-scaling factor.
        input_size: Low-resolution ``WIDTHxHEIGHT``.
        output_size: The size of the output instead; 1280x720 when neither is given.

    Raises:
        InputError: Both are given, one is malformed, or the scale does not divide the output.
    """
    width, height = _input(input_size, output_size, scale)
    cost = count(named.space.build().build(named.architecture), (1, 3, height, width))
    return {
        "space": named.space.name,
        "id": named.architecture.id,
        "scale": scale,
        "params": cost.params,
        "mult_adds": cost.mult_adds,
        "input": [width, height],
        "output": [width * scale, height * scale],
    }


def _input(input_size: str | None, output_size: str | None, scale: int) -> Size:
    if input_size is not None and output_size is not None:
        raise InputError("--input and --output exclude each other")
    if input_size is not None:
        return parse_size("--input", input_size)
    width, height = OUTPUT if output_size is None else parse_size("--output", output_size)
    if width % scale or height % scale:
        raise InputError(f"--output {width}x{height}: not a multiple of the scale {scale}")
    return width // scale, height // scale


def parse_size(option: str, text: str) -> Size:
    """Read ``WIDTHxHEIGHT``."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise InputError(f"{option} {text!r}: expected WIDTHxHEIGHT, such as 320x180")
    return int(match[1]), int(match[2])
