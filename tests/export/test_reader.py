"""ONNX files of strangers: upscalers of other projects, and what is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from onnx import AttributeProto, ModelProto, TensorProto, helper, save_model

from corenas import DataError
from corenas_sr.models.inference import upscale
from corenas_sr.models.networks import load_network

Run = Callable[..., str]
FLOAT, BYTE = TensorProto.FLOAT, TensorProto.UINT8
ANY = ("n", 3, "h", "w")


def graph(
    *,
    kind: int = FLOAT,
    shape: Sequence[int | str] = ANY,
    factors: Sequence[float] = (1, 1, 2, 2),
    inputs: int = 1,
    domain: str = "",
    facts: dict[str, str] | None = None,
) -> ModelProto:
    """Return a graph that repeats pixels, which is an upscaler by nearest neighbours."""
    names = [f"x{number}" for number in range(inputs)]
    scales = helper.make_tensor("scales", FLOAT, [4], [float(each) for each in factors])
    nodes = [helper.make_node("Resize", ["x0", "", "scales"], ["y"], mode="nearest", domain=domain)]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name in names],
        [helper.make_tensor_value_info("y", kind, ["a", "b", "c", "d"])],
        [scales],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("strange", 1)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, {"corenas.range": "1"} if facts is None else facts)
    return model


def write(tmp_path: Path, model: ModelProto) -> Path:
    save_model(model, tmp_path / "x.onnx")
    return tmp_path / "x.onnx"


@pytest.mark.parametrize("facts", [{"corenas.range": "1"}, {"corenas.range": "255"}])
def test_upscaler_of_another_project_is_read(tmp_path: Path, facts: dict[str, str]) -> None:
    network = load_network(write(tmp_path, graph(factors=(1, 1, 3, 3), facts=facts)))
    assert network.scale == 3
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    expected = image.repeat_interleave(3, dim=1).repeat_interleave(3, dim=2)
    # It does not say how far it looks, so it is not cut into tiles unasked.
    assert torch.equal(upscale(network.module, image, scale=3), expected)
    with pytest.warns(UserWarning, match="sees the whole image"):
        assert torch.equal(upscale(network.module, image, scale=3, tile=3), expected)


def test_bytes_need_no_range(tmp_path: Path) -> None:
    model = graph(kind=BYTE, shape=("n", "h", "w", 3), factors=(1, 2, 2, 1), facts={})
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    network = load_network(write(tmp_path, model))
    expected = image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    assert torch.equal(upscale(network.module, image, scale=2), expected)


def cells(side: int) -> ModelProto:
    """Return an upscaler of images whose sides are multiples of ``side``."""
    model = graph()
    (resize,) = model.graph.node
    resize.input[0] = "x"
    there = helper.make_node("SpaceToDepth", ["x0"], ["cells"], blocksize=side)
    back = helper.make_node("DepthToSpace", ["cells"], ["x"], blocksize=side)
    del model.graph.node[:]
    model.graph.node.extend([there, back, resize])
    return model


def test_network_over_large_cells_is_read(tmp_path: Path) -> None:
    network = load_network(write(tmp_path, cells(64)))
    assert network.scale == 2
    image = torch.randint(0, 256, (3, 64, 128), dtype=torch.uint8)
    expected = image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    assert torch.equal(upscale(network.module, image, scale=2), expected)
    with pytest.raises(DataError, match=r"x\.onnx: ONNX Runtime fails on images of shape"):
        load_network(write(tmp_path, cells(48)))


@pytest.mark.abuse("ONNX files that are no upscalers")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts": {}}, r"does not say whether its values are in 0\.\.1 or in 0\.\.255"),
        ({"facts": {"corenas.range": "nan"}}, r"in 0\.\.1 or in 0\.\.255"),
        ({"inputs": 2}, "no upscaler: it has 2 inputs and 1 outputs"),
        ({"shape": ("n", 4, "h", "w")}, r"no upscaler of RGB images: x0 has shape"),
        ({"shape": ("n", 3, 20, "w")}, "only one side of its images is fixed"),
        ({"shape": (1, 3, 10**6, 10**6)}, "refused: it takes images of 1000000x1000000 only"),
        ({"kind": TensorProto.INT32}, r"makes tensor\(int32\) of tensor\(int32\)"),
        ({"factors": (1, 1, 2, 1)}, "no upscaler: of an image of 32x32 it makes 32x64"),
        ({"factors": (1, 1, 1.5, 1.5)}, "no upscaler: of an image of 32x32 it makes 48x48"),
        ({"factors": (1, 1, 32, 32)}, "no upscaler: of an image of 32x32 it makes 1024x1024"),
        ({"factors": (1, 2, 2, 2)}, "no upscaler of RGB images: y has shape"),
        ({"facts": {"corenas.range": "1", "corenas.scale": "4"}}, "says that its scale is 4"),
        ({"domain": "strange"}, "ONNX Runtime cannot use it"),
    ],
)
def test_file_that_is_no_upscaler_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"x\.onnx: .*{message}"):
        load_network(write(tmp_path, graph(**changes)))


@pytest.mark.abuse("damaged ONNX files")
@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x0a", b"\xff" * 1000])
def test_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.onnx: damaged, or not an ONNX file"):
        load_network(tmp_path / "x.onnx")


@pytest.mark.abuse("damaged ONNX files")
def test_truncated_file_is_refused(tmp_path: Path, onnx_file: Path, fails: Run) -> None:
    content = onnx_file.read_bytes()
    for length in (100, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.onnx").write_bytes(content[:length])
        said = fails(2, "evaluate", tmp_path / "cut.onnx", "embedded")
        assert "cut.onnx" in said


def test_missing_file_is_said(tmp_path: Path, fails: Run) -> None:
    said = fails(2, "evaluate", tmp_path / "none.onnx", "embedded")
    assert said.endswith("none.onnx: cannot be read: No such file or directory")


@pytest.mark.abuse("ONNX files that are no upscalers")
def test_weights_in_other_files_are_not_followed(tmp_path: Path) -> None:
    model = graph()
    (secret,) = model.graph.initializer
    secret.ClearField("float_data")
    secret.data_location = TensorProto.EXTERNAL
    secret.external_data.add(key="location", value="../../etc/passwd")
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="refused: its weights lie in other files"):
        load_network(tmp_path / "x.onnx")


@pytest.mark.abuse("ONNX files that are no upscalers")
@pytest.mark.parametrize("part", ["values", "indices"])
@pytest.mark.parametrize("place", ["graph", "attribute", "attributes"])
def test_sparse_weights_in_other_files_are_not_followed(
    tmp_path: Path, place: str, part: str
) -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("w", FLOAT, [1], [1.0]),
        helper.make_tensor("at", TensorProto.INT64, [1], [0]),
        [4],
    )
    secret = getattr(sparse, part)
    secret.ClearField("float_data")
    secret.ClearField("int64_data")
    secret.data_location = TensorProto.EXTERNAL
    secret.external_data.add(key="location", value="../../etc/passwd")
    model = graph()
    if place == "graph":
        model.graph.sparse_initializer.append(sparse)
    elif place == "attribute":
        model.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    else:
        node = helper.make_node("Constant", [], ["c"])
        node.attribute.add(name="x", type=AttributeProto.SPARSE_TENSORS, sparse_tensors=[sparse])
        model.graph.node.append(node)
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match="refused: its weights lie in other files"):
        load_network(tmp_path / "x.onnx")


def test_page_in_place_of_a_download_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(DataError, match="an HTML page, so a failed download"):
        load_network(tmp_path / "x.onnx")
