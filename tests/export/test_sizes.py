"""Networks that take only some sizes of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve
from torch import Tensor, nn

from corenas import DataError, InputError, NoOptions, cli
from corenas_export import reading
from corenas_export.checking import check_against_torch
from corenas_export.format import Sizes, Source
from corenas_export.programs import ProgramFormat
from corenas_export.reading import check_size, describe, find_sizes


class Cells(nn.Module):
    """Works on cells of four pixels, which have to be whole."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(F.pixel_shuffle(F.pixel_unshuffle(x, 4), 4), scale_factor=2.0)


class Mirrored(nn.Module):
    """Looks at nine pixels beyond the border."""

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (9, 9, 9, 9), mode="reflect")
        return F.interpolate(padded[..., 9:-9, 9:-9], scale_factor=2.0)


class Shrinking(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2]


@pytest.mark.parametrize(
    ("network", "sizes", "said"),
    [
        (nn.Upsample(scale_factor=2), Sizes(1, 1), ""),
        (Cells(), Sizes(4, 4), "sides are at least 4 pixels and multiples of 4"),
        (Mirrored(), Sizes(16, 1), "sides are at least 16 pixels"),
    ],
)
def test_sizes_are_found_by_trying(network: nn.Module, sizes: Sizes, said: str) -> None:
    found = find_sizes(network, 2)
    assert found == sizes
    assert describe(found).endswith(said)
    assert bool(describe(found)) == bool(said)


def test_network_that_takes_nothing_is_refused() -> None:
    with pytest.raises(DataError, match=r"it makes \(1, 3, 32, 32\) of it"):
        find_sizes(Shrinking(), 2)


def test_size_that_does_not_fit_is_refused() -> None:
    check_size(Cells(), 2, (8, 12))
    with pytest.raises(InputError, match="--input 8x10: the network cannot take it"):
        check_size(Cells(), 2, (8, 10))


@pytest.mark.abuse("an export for a size that the network cannot take")
def test_the_command_says_what_sizes_the_network_takes(
    fails: Callable[..., str],
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = reading.load_model
    monkeypatch.setattr(reading, "load_model", lambda path: evolve(read(path), module=Cells()))
    words = "export", model, "--to=pt2", "--out=cells.pt2"
    assert "--input 8x10: the network cannot take it" in fails(2, *words, "--input=8x10")
    assert not Path("cells.pt2").exists()
    assert cli.main([*map(str, words)]) == 0
    assert "sides are at least 4 pixels and multiples of 4" in capsys.readouterr().err
    assert Path("cells.pt2").exists()


def test_network_of_whole_cells_is_exported_and_checked_at_such_sizes(tmp_path: Path) -> None:
    source = Source(Path("m"), Cells(), 2, Sizes(4, 4), 8, None, {}, None, print)
    exported = ProgramFormat(NoOptions()).write(source, tmp_path / "cells.pt2")
    check = check_against_torch(source, exported)
    assert check is not None
    assert [size for size, _ in check.differences] == ["40x24", "56x40", "64x48"]
    assert check.largest == 0
    images = torch.rand(3, 3, 8, 20)
    assert exported.run is not None
    assert torch.equal(exported.run(images), Cells()(images))
