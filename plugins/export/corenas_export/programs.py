"""Programs of torch.export: what several formats begin with, and a format by itself."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from corenas.errors import CorenasError, InputError
from corenas.plugins.hookspecs import NoOptions
from corenas_export.format import Exported, Source

_EXAMPLE = (53, 37)
"""Width and height with which a network is traced; odd, so that no size looks like a multiple."""

_LONGEST = 500
"""Characters of a converter's message, which may hold a whole graph."""


class ByteImages(nn.Module):
    """A network for images as files have them: uint8 of shape (N, H, W, 3), in and out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the larger images, clamped and rounded, halves up."""
        larger = self.network(images.permute(0, 3, 1, 2).float())
        return torch.floor(larger + 0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def refuse_licence(source: Source, name: str) -> None:
    """Raise an `InputError` where a file shall state a licence that has no place for it."""
    if "corenas.data_licence" in source.facts:
        raise InputError(f"--licence: {name}'s files have no place for it; write it beside them")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence converters, which warn and log of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def silent() -> Iterator[None]:
    """Keep what programs and libraries print of their own from the user's screen."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        kept = [(number, os.dup(number)) for number in (1, 2)]
        try:
            for number, _ in kept:
                os.dup2(nothing.fileno(), number)
            yield
        finally:
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)


@contextmanager
def converting(source: Source, by: str) -> Iterator[None]:
    """Silence a converter, and turn whatever it raises into one error that names it.

    Args:
        source: The network.
        by: What converts it.

    Raises:
        CorenasError: It failed.
    """
    try:
        with quiet():
            yield
    except CorenasError:
        raise
    except Exception as error:  # they have no class of errors in common
        raise CorenasError(
            f"{source.path}: {by} cannot convert the network: {one_line(error)}"
        ) from error


def one_line(error: Exception) -> str:
    """Return what an error says, on one line that is not too long."""
    return " ".join(str(error).split())[:_LONGEST] or type(error).__name__


def example_of(source: Source, *, byte_images: bool = False) -> Tensor:
    """Return the images with which a network is traced: two of any size, or one of the only one."""
    if source.size is None:
        batch, (width, height) = 2, (source.sizes.fit(side) for side in _EXAMPLE)
    else:
        batch, (width, height) = 1, source.size
    if byte_images:
        return torch.zeros(batch, height, width, 3, dtype=torch.uint8)
    return torch.zeros(batch, source.channels, height, width)


def trace(source: Source, *, byte_images: bool = False) -> ExportedProgram:
    """Trace a network by torch.export; batch, height and width stay open unless there is one size.

    Args:
        source: The network.
        byte_images: Trace `ByteImages` of it.

    Raises:
        CorenasError: torch cannot trace it.
    """
    module = ByteImages(source.module).eval() if byte_images else source.module
    images = example_of(source, byte_images=byte_images)
    dims = None if source.size is not None else _open_dims(source, byte_images=byte_images)
    with converting(source, "torch.export"):
        try:
            return torch.export.export(module, (images,), dynamic_shapes=dims)
        except torch._dynamo.exc.UserError:
            return _trace_on_trust(module, images, dims)


def _open_dims(source: Source, *, byte_images: bool) -> tuple[Mapping[int, object]]:
    height, width = (1, 2) if byte_images else (2, 3)
    multiple = source.sizes.multiple
    return (
        {
            0: Dim("batch"),
            height: Dim("height") if multiple == 1 else multiple * Dim("rows"),
            width: Dim("width") if multiple == 1 else multiple * Dim("columns"),
        },
    )


def _trace_on_trust(
    module: nn.Module, images: Tensor, dims: tuple[Mapping[int, object]] | None
) -> ExportedProgram:
    """Trace a network that compares sizes, as those do that work on cells of a grid.

    torch then assumes that each comparison comes out as it did for the example, and asserts that in
    the program. Most concern memory layout alone, so the assertions go, and the check against torch
    judges the result.
    """
    opened = None if dims is None else tuple(dict.fromkeys(each, Dim.DYNAMIC) for each in dims)
    program = torch.export.export(
        module,
        (images,),
        dynamic_shapes=opened,
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is torch.ops.aten._assert_scalar.default:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


class ProgramFormat:
    """Writes a program of torch.export; float32 images in 0..255, shape (N, 3, H, W)."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def check(self, source: Source) -> None:
        """Nothing speaks against it."""

    def write(self, source: Source, file: Path) -> Exported:
        """Write a ``.pt2`` file; what it says of itself is its extra file ``corenas.json``."""
        program = trace(source)
        with quiet():
            torch.export.save(program, file, extra_files={"corenas.json": json.dumps(source.facts)})
            module = torch.export.load(file).module()

        def run(images: Tensor) -> Tensor:
            larger: Tensor = module(images)
            return larger

        return Exported((file,), run, f"torch {torch.__version__}")
