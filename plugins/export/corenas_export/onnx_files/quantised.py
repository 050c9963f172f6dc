"""ONNX files with eight-bit integers: static quantisation, per channel, judged by what it loses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from attrs import frozen
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, load_model
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from torch import Tensor

from corenas import ConfigError, nearest
from corenas_export.config import Int8Config
from corenas_export.format import Exported, Source
from corenas_export.measuring import Measured, load_validation, measure
from corenas_export.onnx_files.format import convert, exported, save, state
from corenas_export.onnx_files.reader import open_network
from corenas_export.programs import quiet
from corenas_sr.data.datasets import ImagePair, load_pairs

_SEARCH_IMAGES = 4
"""Validation images at most on which layers are compared; the result is measured on all."""

_TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}


class Int8Format:
    """Writes ONNX files that compute with eight-bit integers (QuantizeLinear, DequantizeLinear)."""

    def __init__(self, config: Int8Config) -> None:
        self.config = config

    def check(self, source: Source) -> None:
        """Look at both sets of images.

        Raises:
            ConfigError: One is not named.
            DataError: They cannot be read.
        """
        for name, use in (("calibration", "for ranges"), ("validation", "to measure the loss")):
            if not getattr(self.config, name):
                raise ConfigError(
                    f"{name}: a folder of images is needed {use}, or embedded; give it "
                    f"with --{name}"
                )
        load_pairs(self.config.calibration, scale=source.scale, split="train")
        load_validation(self.config.validation, source.scale)

    def write(self, source: Source, file: Path) -> Exported:
        """Write the file; what loses too much is refused."""
        quantiser = _Quantiser.of(source, self.config, file.parent)
        # The graph in floating point, not torch: of one size, both see images in windows.
        _, before = quantiser.measured(quantiser.layers)
        left_out = quantiser.named(self.config.leave_out)
        model, after = quantiser.measured(left_out)
        source.say(_describe(before, after))
        some_left = len(left_out) < len(quantiser.layers)
        if some_left and self.config.search and _loss(before, after) > self.config.most_loss:
            left_out, model, after = _search(quantiser, before, left_out)
        numbers = {
            **{f"{name} in floating point": text for name, text in before.to_json().items()},
            **{f"{name} in integers": text for name, text in after.to_json().items()},
            "loss": f"{_loss(before, after):.4f} dB",
            "layers left out": ", ".join(left_out) or "none",
        }
        state(model, {"corenas.numbers": json.dumps(numbers)})
        save(model, file)
        refused = ""
        if len(left_out) == len(quantiser.layers):
            refused = "refused: no layer is left that computes with integers"
        elif not _loss(before, after) <= self.config.most_loss:
            refused = (
                f"refused: {_describe(before, after)}; at most {self.config.most_loss:g} dB "
                "may be lost (--most-loss)"
            )
        return exported(file, self.config, tolerance=None, numbers=numbers, refused=refused)


def _loss(before: Measured, after: Measured) -> float:
    return before.values["psnr"] - after.values["psnr"]


def _describe(before: Measured, after: Measured) -> str:
    pairs = (
        f"{name} {value:.4f} -> {after.values[name]:.4f}" for name, value in before.values.items()
    )
    return f"{', '.join(pairs)}: {_loss(before, after):.4f} dB lost on {after.images}"


def _search(
    quantiser: _Quantiser, before: Measured, left_out: Sequence[str]
) -> tuple[list[str], ModelProto, Measured]:
    """Leave layers out until the loss is small enough, first those that cost most by themselves.

    What a layer costs is the PSNR that is lost when it alone computes with integers.
    """
    say = quantiser.source.say
    layers = [layer for layer in quantiser.layers if layer not in left_out]
    say(f"looking for the layers that cost most, among {len(layers)} ...")
    alone = {}
    for layer in layers:
        others = [each for each in quantiser.layers if each != layer]
        alone[layer] = quantiser.measured(others, images=_SEARCH_IMAGES)[1].values["psnr"]
    chosen = list(left_out)
    for layer in sorted(layers, key=alone.__getitem__):
        chosen.append(layer)
        model, after = quantiser.measured(chosen)
        say(f"without {layer}: {_describe(before, after)}")
        if _loss(before, after) <= quantiser.config.most_loss:
            break
    return chosen, model, after


@frozen
class _Quantiser:
    """Quantises one network again and again, with other layers left out."""

    source: Source
    config: Int8Config
    folder: Path
    model: ModelProto
    nodes: dict[str, list[str]]
    """The names of the graph's nodes that compute a layer, by the layer's name."""
    crops: Sequence[Tensor]

    @classmethod
    def of(cls, source: Source, config: Int8Config, folder: Path) -> _Quantiser:
        model = convert(source, config)
        nodes: dict[str, list[str]] = {}
        weights = {each.name for each in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type in config.operators:
                nodes.setdefault(_layer_of(node, weights), []).append(node.name)
        if not nodes:
            found = {node.op_type for node in model.graph.node}
            raise ConfigError(
                f"operators: the graph has none of {', '.join(config.operators)}"
                f"{nearest('', found)}"
            )
        pairs = load_pairs(config.calibration, scale=source.scale, split="train")
        return cls(source, config, folder, model, nodes, list(_crops(pairs, source, config)))

    @property
    def layers(self) -> list[str]:
        """The layers that can be quantised, from input to output."""
        return list(self.nodes)

    def named(self, names: Sequence[str]) -> list[str]:
        """Return the layers that a user names, each by itself or by what it is a part of.

        Raises:
            ConfigError: There is no such layer.
        """
        found = []
        for name in names:
            inside = [l for l in self.layers if l == name or l.startswith(f"{name}.")]  # noqa: E741
            if not inside:
                raise ConfigError(f"leave_out: no layer {name!r}{nearest(name, self.layers)}")
            found += inside
        return list(dict.fromkeys(found))

    def measured(
        self, left_out: Sequence[str], *, images: int | None = None
    ) -> tuple[ModelProto, Measured]:
        """Return the quantised graph without some layers, and what it is worth."""
        model = self._quantised([node for layer in left_out for node in self.nodes[layer]])
        network = open_network(model.SerializeToString(), "the quantised network")
        return model, measure(network, self.config.validation, images=images)

    def _quantised(self, excluded: Sequence[str]) -> ModelProto:
        config = self.config
        included = [node for nodes in self.nodes.values() for node in nodes if node not in excluded]
        # With an empty list, ONNX Runtime would quantise all.
        if not included:
            return self.model
        file = self.folder / "quantised.onnx"
        copy = ModelProto()
        copy.CopyFrom(self.model)
        with quiet():
            quantize_static(
                copy,
                file,
                _Calibration(self.model.graph.input[0].name, config, self.crops),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(config.operators),
                nodes_to_quantize=included,
                per_channel=True,
                reduce_range=config.reduce_range,
                activation_type=_TYPES[config.activations],
                weight_type=QuantType.QInt8,
            )
        model: ModelProto = load_model(file)
        file.unlink()
        state(model, {prop.key: prop.value for prop in self.model.metadata_props})
        return model


def _layer_of(node: NodeProto, weights: set[str]) -> str:
    """Return the module whose weights a node uses; for others, the node's own name."""
    used = [str(name) for name in node.input if name in weights and "." in name]
    return used[0].rpartition(".")[0].removeprefix("network.") if used else str(node.name)


def _crops(pairs: Sequence[ImagePair], source: Source, config: Int8Config) -> Iterator[Tensor]:
    """Yield crops of low-resolution images, of the only size or ``crop`` pixels wide and high."""
    width, height = source.size or (source.sizes.fit(config.crop),) * 2
    generator = torch.Generator().manual_seed(0)
    for number in range(config.crops):
        image = pairs[number % len(pairs)].lr
        missing = (0, max(0, width - image.shape[2]), 0, max(0, height - image.shape[1]))
        image = F.pad(image[None].float(), missing, mode="replicate")[0]
        down, right = torch.rand(2, generator=generator).tolist()
        top = int(down * (image.shape[1] - height + 1))
        left = int(right * (image.shape[2] - width + 1))
        yield image[:, top : top + height, left : left + width]


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
    """Crops as ONNX Runtime asks for them."""

    def __init__(self, name: str, config: Int8Config, crops: Sequence[Tensor]) -> None:
        self._name, self._byte_images = name, config.images == "uint8"
        self._crops = iter(crops)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next crop, as the graph takes it; None after the last one."""
        crop = next(self._crops, None)
        if crop is None:
            return None
        image = crop.permute(1, 2, 0).to(torch.uint8) if self._byte_images else crop
        return {self._name: image[None].contiguous().numpy()}
