"""ONNX files as networks, for ``evaluate`` and ``upscale``: run by ONNX Runtime on the CPU.

A file comes from a stranger. It is data: its operators are those of ONNX, its weights lie in the
file itself, and what it says of itself is compared with what it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from attrs import frozen
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from torch import Tensor, nn

from corenas.errors import DataError
from corenas.plugins.hookspecs import NoOptions
from corenas_export.onnx_files.windows import in_windows
from corenas_export.programs import one_line
from corenas_sr.models.files import LARGEST_SCALE, Network
from corenas_sr.models.inference import state_radius

_PROBES = (32, 64)
"""Sides of the images from which the scale of a network for any size is told, in pixels.

The larger one is for a network that takes whole cells of a grid, and fails on the smaller one.
"""

_LARGEST_RADIUS = 128
_LARGEST_FILE = 2**31
_LARGEST_IMAGE = 2**25
"""Pixels of the input of a network of one size: as many are computed to tell its scale."""

_CHANNELS = 3
_QUIET = 4


def runtime() -> str:
    """Return what runs ONNX files here, with its version."""
    return f"ONNX Runtime {onnxruntime.__version__}"


def read_network(config: NoOptions, path: Path) -> Network:
    """Read an ONNX file of a super-resolution network.

    Raises:
        DataError: It is missing, damaged, or no such network.
    """
    del config
    try:
        if path.stat().st_size >= _LARGEST_FILE:
            raise DataError(f"{path}: refused: an ONNX file has less than 2 GiB")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return open_network(content, str(path))


def open_network(content: bytes, name: str) -> Network:
    """Return the network that an ONNX file holds.

    Args:
        content: The file's bytes.
        name: What it is called in messages.

    Raises:
        DataError: It is damaged, or no super-resolution network.
    """
    model = _parse(content, name)
    session = _open_session(content, name)
    form = _Form.of(session, name)
    facts = {prop.key: prop.value for prop in model.metadata_props}
    unit = _range(form, facts, name)
    module = OnnxNetwork(session, form, unit=unit, radius=_radius(facts))
    scale = _find_scale(module, name)
    stated = facts.get("corenas.scale", str(scale))
    if stated != str(scale):
        raise DataError(f"{name}: says that its scale is {stated:.40}, but it is {scale}")
    module.scale = scale
    state_radius(module, module.radius)
    return Network(module.eval(), scale)


def _parse(content: bytes, name: str) -> ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, TypeError) as error:
        raise DataError(f"{name}: damaged, or not an ONNX file") from error
    if not model.graph.node:
        raise DataError(f"{name}: damaged, or not an ONNX file")
    parts = (model.graph, *model.functions)
    if any(each.data_location == TensorProto.EXTERNAL for p in parts for each in _tensors(p)):
        raise DataError(f"{name}: refused: its weights lie in other files")
    return model


def _tensors(graph: Any) -> Iterator[Any]:
    yield from getattr(graph, "initializer", ())  # a function has none
    sparse = list(getattr(graph, "sparse_initializer", ()))
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            sparse += (attribute.sparse_tensor, *attribute.sparse_tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
    for each in sparse:
        yield each.values
        yield each.indices


def _open_session(content: bytes, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET  # what is wrong comes as an error besides
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for each of its codes
        raise DataError(f"{name}: ONNX Runtime cannot use it: {one_line(error)}") from error


@frozen
class _Form:
    """How a network takes and gives images."""

    input: str
    byte_images: bool
    size: tuple[int, int] | None
    """Height and width, where only one size is taken."""
    batches: bool

    @classmethod
    def of(cls, session: onnxruntime.InferenceSession, name: str) -> _Form:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise DataError(
                f"{name}: no upscaler: it has {len(inputs)} inputs and {len(outputs)} outputs, "
                "not an image of each"
            )
        (given,), (made,) = inputs, outputs
        kinds = {"tensor(uint8)": True, "tensor(float)": False}
        if given.type != made.type or given.type not in kinds:
            raise DataError(
                f"{name}: no upscaler of images: it makes {made.type} of {given.type}; images are "
                "uint8 or float"
            )
        byte_images = kinds[given.type]
        for each in (given, made):
            channels = each.shape[-1 if byte_images else 1] if len(each.shape) == 4 else None
            if channels != _CHANNELS and not (each is made and isinstance(channels, str)):
                shape = "(N, H, W, 3)" if byte_images else "(N, 3, H, W)"
                raise DataError(
                    f"{name}: no upscaler of RGB images: {each.name} has shape "
                    f"{each.shape}, not {shape}"
                )
        sides = given.shape[1:3] if byte_images else given.shape[2:]
        fixed = [side for side in sides if isinstance(side, int)]
        if len(fixed) == 1:
            raise DataError(f"{name}: only one side of its images is fixed: {given.shape}")
        size = (fixed[0], fixed[1]) if fixed else None
        if size and not 0 < math.prod(size) <= _LARGEST_IMAGE:
            raise DataError(f"{name}: refused: it takes images of {size[1]}x{size[0]} only")
        return cls(given.name, byte_images, size, not isinstance(given.shape[0], int))


def _range(form: _Form, facts: Mapping[str, str], name: str) -> float:
    """Return by what images in 0..255 are divided for a network."""
    stated = facts.get("corenas.range", "255" if form.byte_images else "")
    if stated in ("1", "255"):
        return 255 / float(stated)
    raise DataError(
        f"{name}: does not say whether its values are in 0..1 or in 0..255; let its metadata say "
        "corenas.range = 1 or 255"
    )


def _radius(facts: Mapping[str, str]) -> int | None:
    """Return how far a network looks, as its file says; where that is not known, everywhere."""
    text = facts.get("corenas.radius", "")
    known = text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= _LARGEST_RADIUS
    return int(text) if known else None


class OnnxNetwork(nn.Module):
    """An ONNX graph as a module, from and to RGB in 0..255, float32, shape (N, 3, H, W).

    A network of one size gets larger images in windows of that size, and smaller ones padded; see
    `corenas_export.onnx_files.windows.in_windows`. It stays on the CPU wherever it is moved.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        form: _Form,
        *,
        unit: float,
        radius: int | None,
    ) -> None:
        super().__init__()
        self.scale = 0
        self.radius = radius
        self._session, self._form, self._unit = session, form, unit

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxNetwork:
        """Return itself: a session cannot be copied, and nothing in it changes."""
        return self

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the only images that it takes; None for any."""
        return self._form.size

    def forward(self, images: Tensor) -> Tensor:
        """Return the larger images."""
        return self.run(images) if self.size is None else in_windows(self, images)

    def run(self, images: Tensor) -> Tensor:
        """Run the graph on images of a size that it takes.

        Raises:
            DataError: ONNX Runtime fails on them.
        """
        given = images.detach().cpu()
        batches = [given] if self._form.batches else [image[None] for image in given]
        return torch.cat([self._run(each) for each in batches]).to(images.device)

    def _run(self, images: Tensor) -> Tensor:
        form = self._form
        if form.byte_images:
            given = images.permute(0, 2, 3, 1).to(torch.uint8).contiguous()
        else:
            given = (images / self._unit).contiguous()
        try:
            (made,) = self._session.run(None, {form.input: given.numpy()})
        except Exception as error:  # ONNX Runtime has a class of its own for each of its codes
            raise DataError(
                f"ONNX Runtime fails on images of shape {tuple(images.shape)}: {one_line(error)}"
            ) from error
        larger = torch.from_numpy(made)
        return larger.permute(0, 3, 1, 2).float() if form.byte_images else larger * self._unit


def _find_scale(module: OnnxNetwork, name: str) -> int:
    """Return the scale, told from what becomes of a grey image."""
    sizes = [module.size] if module.size else [(side, side) for side in _PROBES]
    for height, width in sizes:
        try:
            made = module.run(torch.full((1, _CHANNELS, height, width), 128.0))
            break
        except DataError as error:
            failure = error
    else:
        raise DataError(f"{name}: {failure}") from failure
    rows, columns = made.shape[-2:] if made.dim() == 4 else (0, 0)
    scale: int = rows // height
    if tuple(made.shape) != (1, _CHANNELS, scale * height, scale * width) or not (
        1 <= scale <= LARGEST_SCALE
    ):
        raise DataError(
            f"{name}: no upscaler: of an image of {width}x{height} it makes {columns}x{rows}"
        )
    return scale
