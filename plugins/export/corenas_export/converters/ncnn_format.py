"""ncnn's files, made by pnnx from a trace of the network."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from corenas.errors import CorenasError
from corenas_export.config import NcnnConfig
from corenas_export.format import Exported, Source
from corenas_export.programs import converting, example_of, refuse_licence, silent

_SECOND = 11
"""By how many pixels the second example is larger, from which pnnx learns what stays open."""

_HALF_TOLERANCE = 2.0


class NcnnFormat:
    """Writes ``.ncnn.param`` and ``.ncnn.bin``; float32 images in 0..255, shape (3, H, W)."""

    def __init__(self, config: NcnnConfig) -> None:
        self.config = config

    def check(self, source: Source) -> None:
        """Refuse a licence.

        Raises:
            InputError: There is one.
        """
        refuse_licence(source, "ncnn")

    def write(self, source: Source, file: Path) -> Exported:
        """Convert the network; the blobs are called ``in0`` and ``out0``."""
        import pnnx

        images = example_of(source)[:1]
        second = None
        if source.size is None:
            sides = (source.sizes.fit(side + _SECOND) for side in images.shape[2:])
            second = torch.zeros(1, 3, *sides)
        # By a name that pnnx does not change: it writes and imports a module called after it.
        made = file.with_name("network.pt")
        weights = file.with_name(file.name.removesuffix(".param") + ".bin")
        with converting(source, "pnnx"), silent():
            pnnx.export(
                source.module,
                str(made),
                images,
                second,
                fp16=self.config.half,
                check_trace=False,
            )
            made.with_suffix(".ncnn.param").rename(file)
            made.with_suffix(".ncnn.bin").rename(weights)
        run, runs_with = _runner(file, weights)
        tolerance = _HALF_TOLERANCE if self.config.half else 0.02
        return Exported((file, weights), run, runs_with, batches=False, tolerance=tolerance)


def _runner(param: Path, weights: Path) -> tuple[Callable[[Tensor], Tensor] | None, str]:
    if find_spec("ncnn") is None:
        return None, "ncnn is not installed: pip install ncnn"
    import ncnn
    import numpy as np

    network = ncnn.Net()
    network.opt.num_threads = torch.get_num_threads()
    # As exact as it can be; phones will use shorter numbers.
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(network.opt, f"use_{name}", False)
    with silent():
        network.load_param(str(param))
        network.load_model(str(weights))

    def run(images: Tensor) -> Tensor:
        made = []
        for image in images:
            with silent():
                extractor = network.create_extractor()
                extractor.input("in0", ncnn.Mat(image.contiguous().numpy()).clone())
                status, larger = extractor.extract("out0")
            if status:
                raise CorenasError(f"ncnn cannot run the network that pnnx made (status {status})")
            made.append(torch.from_numpy(np.array(larger)))
        return torch.stack(made)

    return run, f"ncnn {version('ncnn')}"
