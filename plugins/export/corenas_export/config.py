"""Options of the formats (no torch here)."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from corenas.options.structuring import option

Images = Literal["uint8", "float"]
Activations = Literal["uint8", "int8"]


@frozen
class OnnxConfig:
    """Options of an ONNX file."""

    images: Images = option(
        "uint8",
        "images in and out: uint8 of shape (N, H, W, 3), clamped and rounded inside; or float32 "
        "of shape (N, 3, H, W) in 0..255, neither clamped nor rounded",
    )
    opset: int = option(18, "version of ONNX's operators", ge=18, le=23)
    validation: str = option(
        "", "folder of images, or embedded, on which the finished file is measured; unset: none"
    )


@frozen
class Int8Config(OnnxConfig):
    """Options of an ONNX file with eight-bit integers."""

    validation: str = option(
        "", "folder of images, or embedded, on which is measured what quantisation loses"
    )
    calibration: str = option(
        "", "folder of images, or embedded, from which the ranges of activations are taken"
    )
    most_loss: float = option(0.3, "PSNR that the export may lose", unit="dB", ge=0)
    crops: int = option(16, "crops of calibration images", ge=1, le=4096)
    crop: int = option(96, "side of a crop in pixels of the input", ge=8, le=1024)
    operators: tuple[str, ...] = option(
        ("Conv",), "ONNX operators that compute with integers, such as Conv, Add, PRelu, Concat"
    )
    activations: Activations = option(
        "uint8", "type of activations: uint8 suits x86 processors, int8 suits ARM and NPUs"
    )
    reduce_range: bool = option(
        False, "weights of seven bits, for x86 processors without VNNI, whose sums saturate"
    )
    leave_out: tuple[str, ...] = option(
        (), "layers that stay in floating point, such as head or blocks.3: with all inside them"
    )
    search: bool = option(
        True, "where the loss is too large, leave out the layers whose quantisation costs most"
    )


@frozen
class OpenVinoConfig:
    """Options of OpenVINO's format."""

    half: bool = option(False, "store weights as 16-bit floating point")


@frozen
class NcnnConfig:
    """Options of ncnn's format."""

    half: bool = option(False, "store weights as 16-bit floating point")


@frozen
class CommandConfig:
    """Options of the engine that is a command line."""

    command: str = option(
        "",
        "a command line that prints milliseconds; {file} in it stands for an ONNX file for float32 "
        "images of one size, which else is its last argument, and {threads} for their number",
    )
    runs: int = option(
        11, "how often it is called for a network; 1 where it takes the median itself", ge=1
    )
    timeout: float = option(600.0, "how long one call may take", unit="seconds", gt=0)
