"""ONNX files by torch's exporter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import ModelProto

from corenas import InputError
from corenas_export.config import OnnxConfig
from corenas_export.format import Exported, Source
from corenas_export.measuring import load_validation, measure
from corenas_export.onnx_files.reader import open_network, runtime
from corenas_export.programs import converting, example_of, trace

_DIMS = {"uint8": ("batch", "height", "width"), "float": ("batch", None, "height", "width")}


class OnnxFormat:
    """Writes ONNX files."""

    def __init__(self, config: OnnxConfig) -> None:
        self.config = config

    def check(self, source: Source) -> None:
        """Look at the validation images, where there are any.

        Raises:
            DataError: They cannot be read.
        """
        if self.config.validation:
            load_validation(self.config.validation, source.scale)

    def write(self, source: Source, file: Path) -> Exported:
        """Write the file, with its numbers on the validation images where there are any."""
        model = convert(source, self.config)
        numbers = {}
        if self.config.validation:
            source.say("measuring the file on the validation images ...")
            network = open_network(model.SerializeToString(), file.name)
            measured = measure(network, self.config.validation)
            numbers = measured.to_json()
            state(model, {"corenas.numbers": json.dumps(numbers)})
        save(model, file)
        return exported(file, self.config, numbers=numbers)


def exported(file: Path, config: OnnxConfig, **changes: Any) -> Exported:
    """Return an ONNX file as what was exported."""
    network = open_network(file.read_bytes(), str(file))
    return Exported((file,), network.module, runtime(), rounded=config.images == "uint8", **changes)


def convert(source: Source, config: OnnxConfig) -> ModelProto:
    """Return the ONNX graph of a network, with what the file says of itself.

    Raises:
        CorenasError: torch or onnxscript cannot convert it.
    """
    byte_images = config.images == "uint8"
    program = trace(source, byte_images=byte_images)
    images = example_of(source, byte_images=byte_images)
    with converting(source, "torch.onnx"):
        made = torch.onnx.export(
            program,
            (images,),
            dynamo=True,
            verbose=False,
            external_data=False,
            opset_version=config.opset,
            input_names=["images"],
            output_names=["larger"],
        )
    assert made is not None
    model: ModelProto = made.model_proto
    _strip(model)
    if source.size is None:
        _name_dims(model, config)
    model.producer_name = "corenas"
    state(model, source.facts)
    if "corenas.data_licence" in source.facts:
        model.doc_string = f"licence of the training images: {source.facts['corenas.data_licence']}"
    _check_opset(model, config.opset)
    onnx.checker.check_model(model)
    return model


def state(model: ModelProto, facts: Mapping[str, str]) -> None:
    """Let a file say things of itself, by key; what it said under the same keys before is gone."""
    known = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, known | dict(facts))


def save(model: ModelProto, file: Path) -> None:
    """Write a graph into a file."""
    file.write_bytes(model.SerializeToString(deterministic=True))


def _strip(model: ModelProto) -> None:
    """Take out what torch notes of where code lies on this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _name_dims(model: ModelProto, config: OnnxConfig) -> None:
    """Call open dimensions by their names, which torch keeps only where none is compared."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    names = {
        dim.dim_param: name
        for dim, name in zip(dims, _DIMS[config.images], strict=False)
        if name and dim.dim_param
    }
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:  # to set it would take the number of a fixed one away
                dim.dim_param = re.sub(
                    r"\w+", lambda word: names.get(word[0], word[0]), dim.dim_param
                )


def _check_opset(model: ModelProto, wanted: int) -> None:
    found = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if found != wanted:
        raise InputError(f"opset: torch.onnx wrote version {found} in place of {wanted}")
