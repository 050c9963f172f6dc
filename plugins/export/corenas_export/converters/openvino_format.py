"""OpenVINO's intermediate representation, by way of ONNX."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from corenas_export.config import OnnxConfig, OpenVinoConfig
from corenas_export.format import Exported, Source
from corenas_export.onnx_files.format import convert, save
from corenas_export.programs import converting

_HALF_TOLERANCE = 2.0

# Processors that have shorter numbers would use them; here the file is compared with torch.
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


class OpenVinoFormat:
    """Writes ``.xml`` and ``.bin``; float32 images in 0..255, shape (N, 3, H, W)."""

    def __init__(self, config: OpenVinoConfig) -> None:
        self.config = config

    def check(self, source: Source) -> None:
        """Nothing speaks against it."""

    def write(self, source: Source, file: Path) -> Exported:
        """Write both files; what they say of themselves is in the section ``corenas``."""
        import openvino

        graph = file.with_suffix(".onnx")
        save(convert(source, OnnxConfig(images="float")), graph)
        with converting(source, "OpenVINO"):
            model = openvino.convert_model(graph)
            for key, value in source.facts.items():
                model.set_rt_info(value, key.split("."))
            openvino.save_model(model, file, compress_to_fp16=self.config.half)
            options = _EXACT | {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
            compiled = openvino.Core().compile_model(file, "CPU", options)

        def run(images: Tensor) -> Tensor:
            return torch.from_numpy(compiled(images.numpy())[0].copy())

        return Exported(
            (file, file.with_suffix(".bin")),
            run,
            f"OpenVINO {openvino.__version__.split('-')[0]}",
            tolerance=_HALF_TOLERANCE if self.config.half else 0.02,
        )
