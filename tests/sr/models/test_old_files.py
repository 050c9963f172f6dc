"""Model files of the formats before still load, and compute what they did then."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from corenas_sr.models.files import load_model, save_model
from corenas_sr.models.networks import load_network

FORMAT_1 = Path(__file__).parent / "data" / "format-1-x2.safetensors"
"""A cell of ten nodes, trained for a few steps and written by the version 0.1.0."""

COMPUTED = (
    (101.4276, 102.0087, 115.6744, 150.7597, 106.7764, 107.9266, 129.2292, 118.7001, 147.6542),
    (124.0173, 125.1733, 132.6368, 121.277, 130.3802, 124.6897, 130.3841, 159.1264, 122.6012),
    (108.3003, 140.5356, 134.2785, 122.5236, 149.5395, 122.3875, 137.273, 154.4396, 120.0076),
)
"""What version 0.1.0 made of `image`: every fourth value of red, of green and of blue."""


def image() -> torch.Tensor:
    return (torch.arange(3 * 6 * 5).reshape(1, 3, 6, 5) * 37 % 256).float()


def test_a_file_of_format_1_computes_what_it_did() -> None:
    model = load_model(FORMAT_1)
    with torch.no_grad():
        output = model.module(image())
    assert output.shape == (1, 3, 12, 10)
    values = output[0, :, ::4, ::4].flatten(1)
    assert values.tolist() == [pytest.approx(channel, abs=1e-3) for channel in COMPUTED]
    assert (model.scale, model.info) == (2, {})
    assert model.architecture.id == "b3cf69f22c"
    assert model.space.config.nodes == 10


def test_every_reader_takes_it_as_our_own() -> None:
    assert load_network(FORMAT_1).scale == 2


def test_written_again_it_is_of_the_newest_format(tmp_path: Path) -> None:
    model = load_model(FORMAT_1)
    path = tmp_path / "again.safetensors"
    save_model(
        path,
        model.module,
        space=model.space,
        architecture=model.architecture,
        scale=model.scale,
        extra={"data": "embedded"},
    )
    again = load_model(path)
    assert (again.scale, again.info) == (2, {"data": "embedded"})
    assert torch.equal(again.module(image()), model.module(image()))
