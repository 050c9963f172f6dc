"""The cost of a network for a stated image size."""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from corenas import Chosen, InputError, nearest
from corenas.cost import Convention, count
from corenas_sr.config import OUTPUT
from corenas_sr.models.named import Named

TRUE = "true"
"""Name of the convention that every space has: `corenas.cost.count`."""

Size = tuple[int, int]


def cost_at(
    named: Named,
    *,
    scale: int,
    input_size: str | None = None,
    output_size: str | None = None,
    convention: Convention | None = None,
) -> dict[str, Any]:
    """Count a network.

    Args:
        named: The architecture and its space.
        scale: The up-scaling factor.
        input_size: Low-resolution ``WIDTHxHEIGHT``.
        output_size: The size of the output instead. By default, the convention's size counts, or
            an output of 1280x720.
        convention: A way of counting beside the true one.

    Raises:
        InputError: Both are given, one is malformed, or the scale does not divide the output.
    """
    network = named.space.build().build(named.architecture)
    if convention is None:
        width, height = _input_size(input_size, output_size, scale)
        cost, more = count(network, (1, 3, height, width)), {}
    else:
        width, height = _input_size(input_size, output_size, scale, stated=convention)
        cost = convention.count(network, (1, 3, height, width))
        more = {
            "convention": convention.name,
            "gflops": round(cost.mult_adds / 1e9, 4),
            "params_millions": cost.params / 1e6,
        }
    return {
        "space": named.space.name,
        "id": named.architecture.id,
        "scale": scale,
        "params": cost.params,
        "mult_adds": cost.mult_adds,
        "input": [width, height],
        "output": [width * scale, height * scale],
        **more,
    }


def find_convention(space: Chosen, name: str) -> Convention | None:
    """Return a way of counting that a space offers, or None for the true one.

    Raises:
        InputError: It offers no such way.
    """
    if name == TRUE:
        return None
    offered = () if takes_patches(space) else getattr(space.build(), "conventions", ())
    by_name: dict[str, Convention] = {each.name: each for each in offered}
    if name not in by_name:
        raise InputError(
            f"--convention {name!r}: the space {space.name!r} has no such way of counting"
            f"{nearest(name, (TRUE, *by_name))}"
        )
    return by_name[name]


def takes_patches(space: Chosen) -> bool:
    """Return whether a space's networks judge patches of one size instead of enlarging images."""
    return space.option("patch") is not None and space.option("scale") is None


def patch_cost(
    named: Named, *, input_size: str | None = None, output_size: str | None = None
) -> dict[str, Any]:
    """Return the cost of a network that takes patches, as its space counts it.

    Args:
        named: The architecture and its space.
        input_size: A square ``WIDTHxHEIGHT`` for the patch; by default the space's own.
        output_size: Refused, because such a network has no image as its output.

    Raises:
        InputError: There is an output size, or the space cannot have patches of this size.
    """
    space = named.space
    if output_size is not None:
        raise InputError(
            f"--output: the networks of {space.name!r} give no image; their patches are --input"
        )
    if input_size is not None:
        width, height = parse_size("--input", input_size)
        if width != height:
            raise InputError(f"--input {width}x{height}: {space.name!r} takes square patches")
        space = evolve(space, config=evolve(space.config, patch=width))
    cost = space.build().cost(named.architecture)
    *_, height, width = cost.input
    return {
        "space": space.name,
        "id": named.architecture.id,
        "params": cost.params,
        "mult_adds": cost.mult_adds,
        "input": [width, height],
    }


def _input_size(
    input_size: str | None,
    output_size: str | None,
    scale: int,
    *,
    stated: Convention | None = None,
) -> Size:
    if input_size is not None and output_size is not None:
        raise InputError("--input and --output exclude each other")
    if input_size is not None:
        return parse_size("--input", input_size)
    if stated is not None and output_size is None:
        *_, height, width = stated.shape
        return width, height
    width, height = OUTPUT if output_size is None else parse_size("--output", output_size)
    # A size that is rounded would be the cost of another image than the one that is printed.
    if width % scale or height % scale:
        raise InputError(f"--output {width}x{height}: not a multiple of the scale {scale}")
    return width // scale, height // scale


def parse_size(option: str, text: str) -> Size:
    """Read ``WIDTHxHEIGHT``."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise InputError(f"{option} {text!r}: expected WIDTHxHEIGHT, such as 320x180")
    return int(match[1]), int(match[2])
