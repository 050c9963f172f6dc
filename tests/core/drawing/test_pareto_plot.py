"""The picture of the Pareto front: what is drawn, read from the figure itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from corenas import Architecture, CorenasError, Measurement, Trial
from corenas.drawing import plots
from corenas.drawing.plots import Dot, dots_plot, pareto_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIRECTIONS = {"psnr": 1, "lpips": -1, "mult_adds": -1}


def trial(number: int, **metrics: float) -> Trial:
    return Trial(number, Architecture("a", {"k": str(number)}), Measurement(metrics), score=1.0)


TRIALS = [
    trial(0, psnr=30.0, lpips=0.30, mult_adds=2e9),
    trial(1, psnr=31.0, lpips=0.35, mult_adds=4e9),
    trial(2, psnr=30.5, lpips=0.20, mult_adds=5e9),
    trial(3, psnr=29.0, lpips=0.40),
    Trial(4, Architecture("a", {}), status="failed"),
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collect the figures instead of writing them."""
    figures: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    return figures


def points(axes: Any, label: str) -> list[tuple[float, float]]:
    (found,) = [c for c in axes.collections if c.get_label() == label]
    return [tuple(point) for point in found.get_offsets().tolist()]


def test_each_two_numbers_have_a_plot_with_their_front(drawn: list[Figure]) -> None:
    pareto_plot(Path("unused.png"), TRIALS, DIRECTIONS)
    first, second, third = drawn[0].axes
    assert [(a.get_xlabel(), a.get_ylabel()) for a in (first, second, third)] == [
        ("lpips (lower is better)", "psnr (higher is better)"),
        ("mult_adds (lower is better)", "psnr (higher is better)"),
        ("mult_adds (lower is better)", "lpips (lower is better)"),
    ]
    assert len(points(first, "trial")) == 4
    assert len(points(second, "trial")) == 3  # one has no mult_adds
    assert points(first, "best compromises") == [(0.20, 30.5), (0.35, 31.0)]
    assert points(second, "best compromises") == [(2e9, 30.0), (4e9, 31.0)]
    assert points(third, "best compromises") == [(2e9, 0.30), (5e9, 0.20)]


def test_line_goes_round_by_the_worse_corner(drawn: list[Figure]) -> None:
    pareto_plot(Path("unused.png"), TRIALS, {"psnr": 1, "mult_adds": -1})
    (axes,) = drawn[0].axes
    (line,) = axes.lines
    corners = np.asarray(line.get_path().vertices).tolist()
    assert corners == [[2e9, 30.0], [4e9, 30.0], [4e9, 31.0]]


def test_picture_is_written_for_one_plot_and_for_two_rows(tmp_path: Path) -> None:
    many = [trial(k, **{f"m{i}": float(k * i) for i in range(4)}) for k in range(3)]
    sizes = []
    for name, trials, directions in (
        ("one.png", TRIALS, {"psnr": 1, "mult_adds": -1}),
        ("six.png", many, {f"m{i}": 1 for i in range(4)}),
        ("none.png", [], {"psnr": 1, "mult_adds": -1}),
    ):
        pareto_plot(tmp_path / name, trials, directions)
        with Image.open(tmp_path / name) as image:
            sizes.append(image.size)
    assert sizes[1] == (3 * sizes[0][0], 2 * sizes[0][1])


def test_one_number_has_no_front_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"two or more numbers, got \['psnr'\]"):
        pareto_plot(tmp_path / "a.png", TRIALS, {"psnr": 1})


def test_picture_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorenasError, match=r"file.a\.png: cannot be written"):
        pareto_plot(tmp_path / "file/a.png", TRIALS, DIRECTIONS)


def test_named_points_stand_beside_the_plot_and_what_is_not_finite_is_left_out(
    drawn: list[Figure], tmp_path: Path
) -> None:
    dots = [Dot("bicubic", 28.4, 0.29), Dot("ours", 30.3, 0.2), Dot("same", math.inf, 0.0)]
    dots_plot(tmp_path / "dots.png", dots, x="psnr", y="lpips", title="Compared")
    (axes,) = drawn[0].axes
    points = [collection.get_offsets().tolist()[0] for collection in axes.collections]
    assert points == [[28.4, 0.29], [30.3, 0.2]]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["bicubic", "ours"]
