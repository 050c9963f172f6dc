"""The hooks: formats as a kind, engines of latency, the reader of ONNX files, the commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from corenas.plugins.hookspecs import Component, Kind, hookimpl
from corenas.plugins.needs import Needs
from corenas_export.config import CommandConfig, Int8Config, NcnnConfig, OnnxConfig, OpenVinoConfig
from corenas_export.format import FormatInfo
from corenas_sr.network_file import NetworkFileInfo

if TYPE_CHECKING:
    import typer

EXTRA = "corenas[export]"
ONNX = ("onnx", "onnxscript", "onnxruntime")


@hookimpl
def corenas_kinds() -> Iterable[Kind]:
    return (Kind("export_formats", "export format", metadata=FormatInfo),)


@hookimpl
def corenas_export_formats() -> Iterable[Component]:
    return (
        Component(
            "onnx",
            "corenas_export.onnx_files.format:OnnxFormat",
            OnnxConfig,
            "an ONNX file for images of any size, or of one",
            FormatInfo((".onnx",)),
            Needs(EXTRA, ONNX),
        ),
        Component(
            "onnx-int8",
            "corenas_export.onnx_files.quantised:Int8Format",
            Int8Config,
            "an ONNX file that computes with eight-bit integers, and what that loses",
            FormatInfo(("-int8.onnx",)),
            Needs(EXTRA, ONNX),
        ),
        Component(
            "pt2",
            "corenas_export.programs:ProgramFormat",
            summary="a program of torch.export",
            metadata=FormatInfo((".pt2",)),
        ),
        Component(
            "code",
            "corenas_export.code.format:CodeFormat",
            summary="a readable Python module that needs torch alone, beside its weights",
            metadata=FormatInfo((".py", "_weights.safetensors")),
        ),
        Component(
            "openvino",
            "corenas_export.converters.openvino_format:OpenVinoFormat",
            OpenVinoConfig,
            "OpenVINO's intermediate representation, for Intel's processors",
            FormatInfo((".xml", ".bin")),
            Needs("corenas[openvino]", (*ONNX, "openvino")),
        ),
        Component(
            "ncnn",
            "corenas_export.converters.ncnn_format:NcnnFormat",
            NcnnConfig,
            "ncnn's param and bin, for phones; converted by pnnx",
            FormatInfo((".ncnn.param", ".ncnn.bin")),
            Needs("corenas[ncnn]", ("pnnx",)),
        ),
        Component(
            "executorch",
            "corenas_export.converters.executorch_format:ExecuTorchFormat",
            summary="ExecuTorch's program for phones, by way of XNNPACK",
            metadata=FormatInfo((".pte",)),
            needs=Needs("executorch", ("executorch",)),
        ),
        Component(
            "coreml",
            "corenas_export.converters.coreml_format:CoreMlFormat",
            summary="a Core ML package for Apple's devices",
            metadata=FormatInfo((".mlpackage",)),
            needs=Needs("coremltools", ("coremltools",)),
        ),
    )


@hookimpl
def corenas_latency_engines() -> Iterable[Component]:
    return (
        Component(
            "onnxruntime",
            "corenas_export.latency.engines:OnnxRuntimeEngine",
            summary="ONNX Runtime on the CPU",
            needs=Needs(EXTRA, ONNX),
        ),
        Component(
            "openvino",
            "corenas_export.latency.engines:OpenVinoEngine",
            summary="OpenVINO on the CPU",
            needs=Needs("corenas[openvino]", (*ONNX, "openvino")),
        ),
        Component(
            "command",
            "corenas_export.latency.engines:CommandEngine",
            CommandConfig,
            "a command line that gets an ONNX file and prints milliseconds",
            needs=Needs(EXTRA, ONNX),
        ),
    )


@hookimpl
def corenas_network_files() -> Iterable[Component]:
    return (
        Component(
            "onnx",
            "corenas_export.onnx_files.reader:read_network",
            summary="ONNX files, run by ONNX Runtime on the CPU",
            metadata=NetworkFileInfo((".onnx",)),
            needs=Needs(EXTRA, ("onnx", "onnxruntime")),
        ),
    )


@hookimpl
def corenas_commands(app: typer.Typer) -> None:
    from corenas_export.command import add_commands

    add_commands(app)
