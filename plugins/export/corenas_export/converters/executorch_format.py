"""ExecuTorch's programs, lowered to XNNPACK."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from torch import Tensor

from corenas import InputError
from corenas.plugins.hookspecs import NoOptions
from corenas_export.format import Exported, Source
from corenas_export.programs import converting, refuse_licence, silent, trace


class ExecuTorchFormat:
    """Writes a ``.pte`` file; one float32 image in 0..255, shape (1, 3, H, W)."""

    def __init__(self, config: NoOptions) -> None:
        del config

    def check(self, source: Source) -> None:
        """Ask for one size, and refuse a licence.

        Raises:
            InputError: There is no size, or a licence.
        """
        refuse_licence(source, "executorch")
        if source.size is None:
            raise InputError(
                "executorch: plans its memory for one size of images; give it with --input, such "
                "as --input 320x180"
            )

    def write(self, source: Source, file: Path) -> Exported:
        """Write the file, and load it with ExecuTorch's runtime."""
        program = trace(source)
        with converting(source, "ExecuTorch"), silent():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
                XnnpackPartitioner,
            )
            from executorch.exir import to_edge_transform_and_lower
            from executorch.runtime import Runtime

            lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
            file.write_bytes(lowered.to_executorch().buffer)
            method = Runtime.get().load_program(file).load_method("forward")

        def run(images: Tensor) -> Tensor:
            larger: Tensor = method.execute([images.contiguous()])[0]
            return larger.clone()

        return Exported((file,), run, f"ExecuTorch {version('executorch')}", batches=False)
