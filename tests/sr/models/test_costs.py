"""Costs for a stated size of input or output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from corenas import InputError
from corenas.cost import count
from corenas_sr.models.costs import cost_at, parse_size
from corenas_sr.models.files import load_model
from corenas_sr.models.named import find_architecture

WriteModel = Callable[..., Path]


@pytest.mark.parametrize(("text", "size"), [("320x180", (320, 180)), ("1x12", (1, 12))])
def test_size_is_width_and_height(text: str, size: tuple[int, int]) -> None:
    assert parse_size("--input", text) == size


@pytest.mark.parametrize("text", ["", "320", "320x", "x180", "0x180", "320x-1", "3.5x2", "2x2x2"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--input .*: expected WIDTHxHEIGHT"):
        parse_size("--input", text)


def test_width_and_height_are_not_exchanged(write_model: WriteModel) -> None:
    file = write_model(scale=2)
    named, module = find_architecture(str(file)), load_model(file).module
    found = cost_at(named, scale=2, input_size="60x20")
    assert found == {
        "space": "tpsr-generator",
        "id": named.architecture.id,
        "scale": 2,
        "params": sum(p.numel() for p in module.parameters()),
        "mult_adds": count(module, (1, 3, 20, 60)).mult_adds,
        "input": [60, 20],
        "output": [120, 40],
    }
    assert cost_at(named, scale=2, output_size="120x40") == found


def test_literature_counts_for_an_output_of_1280x720(write_model: WriteModel) -> None:
    named = find_architecture(str(write_model(scale=4)))
    found = cost_at(named, scale=4)
    assert (found["input"], found["output"]) == ([320, 180], [1280, 720])


def test_output_must_be_a_multiple_of_the_scale(write_model: WriteModel) -> None:
    named = find_architecture(str(write_model(scale=4)))
    with pytest.raises(InputError, match="--output 1280x721: not a multiple of the scale 4"):
        cost_at(named, scale=4, output_size="1280x721")
    with pytest.raises(InputError, match="exclude each other"):
        cost_at(named, scale=4, input_size="1x1", output_size="4x4")
