"""Core ML packages, which Apple's systems alone can run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from corenas.plugins.hookspecs import NoOptions
from corenas_export.format import Exported, Source
from corenas_export.programs import converting, example_of, silent, trace

_LARGEST_SIDE = 4096
"""Of images of any size, in pixels: Core ML wants a bound."""


class CoreMlFormat:
    """Writes an ``.mlpackage``; one float32 image in 0..255, shape (1, 3, H, W)."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def check(self, source: Source) -> None:
        """Nothing speaks against it."""

    def write(self, source: Source, file: Path) -> Exported:
        """Write the package, which is a folder; on macOS it is run besides."""
        with converting(source, "coremltools"), silent():
            import coremltools

            images = example_of(source)[:1]
            plain = _simplified(trace(source)).module()
            traced = torch.jit.trace(plain, images, check_trace=False)  # type: ignore[no-untyped-call]  # torch has not typed it
            sides = (
                [coremltools.RangeDim(source.sizes.smallest, _LARGEST_SIDE) for _ in "hw"]
                if source.size is None
                else list(images.shape[2:])
            )
            model = coremltools.convert(
                traced,
                inputs=[coremltools.TensorType(name="images", shape=(1, 3, *sides))],
                outputs=[coremltools.TensorType(name="larger")],
                compute_precision=coremltools.precision.FLOAT32,
                minimum_deployment_target=coremltools.target.iOS15,
            )
            model.user_defined_metadata.update(source.facts)
            model.save(str(file))
        if sys.platform != "darwin":
            runs_with = "Core ML runs on macOS only; run it there before it is used"
            return Exported((file,), None, runs_with, batches=False)
        return Exported(
            (file,), _runner(model), f"coremltools {version('coremltools')}", batches=False
        )


def _simplified(program: ExportedProgram) -> ExportedProgram:
    """Write what coremltools cannot read in other words: ``a + alpha * b`` at once, and aliases."""
    aten = torch.ops.aten
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is aten.add.Tensor and node.kwargs.get("alpha", 1) != 1:
            first, second = node.args
            with graph.inserting_before(node):
                product = (second, node.kwargs["alpha"])
                scaled = graph.call_function(aten.mul.Tensor, product)
            scaled.meta = dict(second.meta)
            node.args, node.kwargs = (first, scaled), {}
        elif node.target is aten.alias.default:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    program.graph_module.recompile()
    return program


def _runner(model: Any) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(model.predict({"images": images.numpy()})["larger"])

    return run
