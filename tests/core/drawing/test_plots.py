"""Plots of searches: what is drawn, read from the figures themselves."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve
from PIL import Image

from corenas import Architecture, CorenasError, Measurement, Trial
from corenas.drawing import plots
from corenas.drawing.plots import SHOWN_DOTS, Dot, dots_plot, pareto_plot, search_plot
from corenas.search.pareto import front
from corenas.values.quantity import LATENCY, MULT_ADDS, Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PSNR, LPIPS = Quantity("psnr", "higher", "dB"), Quantity("lpips", "lower")
ALL = {quantity.name: quantity for quantity in (PSNR, LPIPS, MULT_ADDS)}
TWO = {quantity.name: quantity for quantity in (PSNR, MULT_ADDS)}
WILD = ("a_b", "_hidden", "$x_{", "\\frac", "x" * 200, "two\nlines", "100 %", "")
"""Names that a language of formulas, or an axis, cannot take as they are."""


def trial(number: int, **metrics: float) -> Trial:
    return Trial(number, Architecture("a", {"k": str(number)}), Measurement(metrics), score=1.0)


def scored(number: int, score: float, cost: float | None = None) -> Trial:
    metrics = {"psnr": score} if cost is None else {"psnr": score, "mult_adds": cost}
    return Trial(number, Architecture("s", {"d": str(number)}), Measurement(metrics), score)


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
    pareto_plot(Path("unused.png"), TRIALS, ALL)
    first, second, third = drawn[0].axes
    assert [(a.get_xlabel(), a.get_ylabel()) for a in (first, second, third)] == [
        ("lpips (lower is better)", "psnr in dB (higher is better)"),
        ("mult_adds (lower is better)", "psnr in dB (higher is better)"),
        ("mult_adds (lower is better)", "lpips (lower is better)"),
    ]
    assert len(points(first, "trial")) == 4
    assert len(points(second, "trial")) == 3  # one has no mult_adds
    assert points(first, "best compromises") == [(0.20, 30.5), (0.35, 31.0)]
    assert points(second, "best compromises") == [(2e9, 30.0), (4e9, 31.0)]
    assert points(third, "best compromises") == [(2e9, 0.30), (5e9, 0.20)]


def test_line_goes_round_by_the_worse_corner(drawn: list[Figure]) -> None:
    pareto_plot(Path("unused.png"), TRIALS, TWO)
    (axes,) = drawn[0].axes
    (line,) = axes.lines
    corners = np.asarray(line.get_path().vertices).tolist()
    assert corners == [[2e9, 30.0], [4e9, 30.0], [4e9, 31.0]]


def test_picture_is_written_for_one_plot_and_for_two_rows(tmp_path: Path) -> None:
    many = [trial(k, **{f"m{i}": float(k * i) for i in range(4)}) for k in range(3)]
    sizes = []
    for name, trials, quantities in (
        ("one.png", TRIALS, TWO),
        ("six.png", many, {f"m{i}": Quantity(f"m{i}", "higher") for i in range(4)}),
        ("none.png", [], TWO),
    ):
        pareto_plot(tmp_path / name, trials, quantities)
        with Image.open(tmp_path / name) as image:
            sizes.append(image.size)
    assert sizes[1] == (3 * sizes[0][0], 2 * sizes[0][1])


@pytest.mark.parametrize("quantities", [{}, {"psnr": PSNR}])
def test_one_number_has_no_front_to_draw(tmp_path: Path, quantities: dict[str, Quantity]) -> None:
    pareto_plot(tmp_path / "a.png", TRIALS, quantities)
    assert not any(tmp_path.iterdir())


def test_picture_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CorenasError, match=r"file.a\.png: cannot be written"):
        pareto_plot(tmp_path / "file/a.png", TRIALS, ALL)


def test_search_plot_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorenasError, match=r"search\.png: cannot be written"):
        search_plot(tmp_path / "file" / "search.png", [], ALL)


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


def test_search_plot_shows_every_score_and_the_best_so_far(drawn: list[Figure]) -> None:
    trials = [scored(4, 31.0, 3e9), scored(0, 30.0, 1e9), TRIALS[4], scored(3, 29.0, 2e9)]
    search_plot(Path("search.png"), trials, TWO)
    progress, costs = drawn[0].axes
    points = np.asarray(progress.collections[0].get_offsets())
    assert points.tolist() == [[0, 30], [3, 29], [4, 31]]
    assert np.asarray(progress.lines[0].get_ydata()).tolist() == [30, 30, 31]
    cloud, best = (np.asarray(c.get_offsets()).tolist() for c in costs.collections)
    assert cloud == [[1e9, 30], [2e9, 29], [3e9, 31]]
    assert best == [[3e9, 31]]
    legend = costs.get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == "trial 4: 31 at 3.00 G"


def test_search_plot_without_costs_has_one_plot(drawn: list[Figure]) -> None:
    search_plot(Path("search.png"), [scored(0, 30.0, 1e9), scored(1, 31.0)], TWO)
    assert len(drawn[0].axes) == 1


def test_search_plot_is_written(tmp_path: Path) -> None:
    for count in (0, 1, 5):
        path = tmp_path / f"{count}.png"
        search_plot(path, [scored(n, 30.0 + n, 1e9) for n in range(count)], TWO)
        with Image.open(path) as image:
            assert image.height > 400
            assert image.convert("RGBA").getextrema()[3] == (255, 255)  # opaque


def texts(figure: Figure) -> list[str]:
    """All that is written but the numbers along the axes."""
    found = []
    for axes in figure.axes:
        legend = axes.get_legend()
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        found += [text.get_text() for text in legend.get_texts()] if legend else []
    return found


def ticks(axis: Any) -> list[str]:
    axis.axes.figure.draw_without_rendering()
    return [label.get_text() for label in axis.get_ticklabels()]


@pytest.mark.parametrize(
    ("cost", "label"),
    [
        (None, "lpips (lower is better)"),
        ("latency", "latency in s (lower is better)"),
        ("psnr", "psnr in dB (higher is better)"),
    ],
)
def test_caller_chooses_the_cost_or_it_is_the_first_number_that_should_be_low(
    drawn: list[Figure], cost: str | None, label: str
) -> None:
    trials = [trial(n, psnr=30.0 + n, lpips=0.1, latency=0.25, mult_adds=1e9) for n in range(3)]
    search_plot(Path("a.png"), trials, {**ALL, "latency": LATENCY}, cost=cost)
    assert drawn[0].axes[1].get_xlabel() == label


def test_cost_that_nobody_knows_of_has_no_plot(drawn: list[Figure]) -> None:
    search_plot(Path("a.png"), TRIALS[:2], TWO, cost="joules")
    search_plot(Path("a.png"), TRIALS[:2], {"psnr": PSNR})
    assert [len(figure.axes) for figure in drawn] == [1, 1]


def test_cost_in_the_legend_has_its_unit(drawn: list[Figure]) -> None:
    search_plot(Path("a.png"), [trial(0, latency=0.25)], {"latency": LATENCY})
    assert "trial 0: 1 at 0.2500 s" in texts(drawn[0])


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        ((2e9, 3e9), "G"),
        ((2e4, 9e4), "k"),
        ((0.25, 0.5), ""),
        ((30.0, 34.0), ""),
        ((5e5, 5e5), "k"),
    ],
)
def test_large_numbers_have_si_prefixes_whatever_they_are_called(
    drawn: list[Figure], values: tuple[float, float], suffix: str
) -> None:
    quantities = {name: Quantity(name, "lower") for name in ("a", "b")}
    trials = [trial(n, a=float(n), b=value) for n, value in enumerate(values)]
    pareto_plot(Path("a.png"), trials, quantities)
    shown = [label.strip() for label in ticks(drawn[0].axes[0].xaxis)]
    assert all(label.endswith(suffix) for label in shown if label != "0")
    assert suffix or all(set(label) <= {*"0123456789.−"} for label in shown)


def test_large_numbers_that_hardly_differ_have_different_ticks(drawn: list[Figure]) -> None:
    quantities = {name: Quantity(name, "lower") for name in ("a", "b")}
    trials = [trial(n, a=float(n), b=1e9 + n) for n in range(3)]
    pareto_plot(Path("a.png"), trials, quantities)
    shown = ticks(drawn[0].axes[0].xaxis)
    assert len(shown) == len(set(shown))


def test_number_without_a_good_direction_has_no_front(drawn: list[Figure]) -> None:
    depth = Quantity("depth", "neither", "layers")
    trials = [trial(n, psnr=30.0, mult_adds=1e9, depth=float(n)) for n in range(3)]
    pareto_plot(Path("a.png"), trials, {"depth": depth, **TWO})
    search_plot(Path("a.png"), trials, {"depth": depth, **TWO}, cost="depth")
    assert len(drawn[0].axes) == 1
    assert "depth in layers" in texts(drawn[1])


@pytest.mark.parametrize("name", WILD)
def test_names_are_written_as_they_are(tmp_path: Path, name: str) -> None:
    """Mathtext would fail for some of them, and read others wrongly; here they are drawn."""
    quantities = {"score": PSNR, name: Quantity(name, "lower", "$s_{")}
    trials = [trial(n, **{"score": 1.0, "psnr": 2.0, name: float(n)}) for n in range(3)]
    pareto_plot(tmp_path / "a.png", trials, quantities)
    search_plot(tmp_path / "b.png", trials, quantities)
    dots_plot(tmp_path / "c.png", [Dot(name, 1.0, 2.0)], x=name, y=name, title=name)
    for file in "abc":
        with Image.open(tmp_path / f"{file}.png") as image:
            assert min(image.size) > 400


@pytest.mark.parametrize("name", [*WILD[:4], WILD[6]])
def test_strange_names_stand_in_labels_and_legend(drawn: list[Figure], name: str) -> None:
    quantities = {"psnr": PSNR, name: Quantity(name, "lower", "s")}
    pareto_plot(Path("a.png"), [trial(0, **{"psnr": 1.0, name: 2.0})], quantities)
    dots_plot(Path("b.png"), [Dot(name, 1.0, 2.0)], x="x", y="y", title="t")
    assert f"{name} in s (lower is better)" in texts(drawn[0])
    assert name in texts(drawn[1])


def test_long_name_keeps_its_ends_and_stays_in_the_picture(drawn: list[Figure]) -> None:
    quantities = {
        name: Quantity(name, "higher", "ms") for name in ("first " + "x" * 200, "y" * 200 + " last")
    }
    pareto_plot(Path("a.png"), [trial(0, **dict.fromkeys(quantities, 1.0))], quantities)
    (axes,) = drawn[0].axes
    drawn[0].draw_without_rendering()
    assert axes.get_ylabel().startswith("first x")
    assert axes.get_xlabel().endswith("y last in ms (higher is better)")
    for label in (axes.xaxis.label, axes.yaxis.label):
        box = label.get_window_extent()
        assert drawn[0].bbox.contains(box.x0, box.y0)
        assert drawn[0].bbox.contains(box.x1, box.y1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e308])
def test_numbers_that_cannot_be_drawn_are_left_out(
    drawn: list[Figure], tmp_path: Path, value: float
) -> None:
    odd = Trial(9, Architecture("a", {}), Measurement({"psnr": value, "mult_adds": 1e9}), value)
    costly = trial(8, psnr=40.0, mult_adds=value)
    search_plot(tmp_path / "a.png", [*TRIALS[:3], odd, costly], TWO)
    pareto_plot(tmp_path / "b.png", [*TRIALS[:3], odd, costly], TWO)
    progress, costs = drawn[0].axes
    assert len(points(progress, "trial")) == 4  # the costly one has a score
    assert len(points(costs, "trial")) == len(points(drawn[1].axes[0], "trial")) == 3
    for figure in drawn:
        figure.savefig(tmp_path / "drawn.png")


def test_one_trial_and_equal_ones_are_drawn(tmp_path: Path) -> None:
    for number, trials in enumerate(
        ([TRIALS[0]], [TRIALS[0]] * 3, [trial(0, psnr=0.0, mult_adds=0)])
    ):
        search_plot(tmp_path / f"{number}.png", trials, TWO)
        pareto_plot(tmp_path / f"{number}-front.png", trials, TWO)
    assert len(list(tmp_path.iterdir())) == 6


def test_single_trial_has_a_whole_number(drawn: list[Figure]) -> None:
    search_plot(Path("a.png"), [scored(3, 30.0, 1e9)], TWO)
    shown = ticks(drawn[0].axes[0].xaxis)
    assert "3" in shown
    assert all(label.isdigit() for label in shown)


@pytest.mark.parametrize(
    ("numbers", "plots", "first_only"),
    [(2, 1, False), (5, 10, False), (6, 5, True), (10, 9, True), (40, 12, True)],
)
def test_many_numbers_are_drawn_against_the_first_and_the_title_says_so(
    drawn: list[Figure], numbers: int, plots: int, first_only: bool
) -> None:
    quantities = {f"m{i}": Quantity(f"m{i}", "lower") for i in range(numbers)}
    pareto_plot(Path("a.png"), [trial(0, **dict.fromkeys(quantities, 1.0))], quantities)
    shown = [axes for axes in drawn[0].axes if axes.get_xlabel()]
    assert len(shown) == plots
    assert all(axes.get_ylabel().startswith("m0 ") for axes in shown) == (first_only or plots == 1)
    title = f"{plots} of {numbers * (numbers - 1) // 2} pairs of {numbers} numbers"
    assert drawn[0].get_suptitle() == (title if first_only else "")


@pytest.mark.parametrize("seed", range(5))
def test_best_compromises_are_those_of_the_front(drawn: list[Figure], seed: int) -> None:
    draw = random.Random(seed)
    trials = [trial(n, psnr=draw.randrange(9), mult_adds=draw.randrange(9)) for n in range(40)]
    pareto_plot(Path("a.png"), trials, TWO)
    expected = front(trials, {"mult_adds": -1, "psnr": 1})
    metrics = [each.measurement.metrics for each in expected if each.measurement]
    assert points(drawn[0].axes[0], "best compromises") == [
        (each["mult_adds"], each["psnr"]) for each in metrics
    ]


def long_run(count: int) -> list[Trial]:
    draw = random.Random(0)
    costs = [10 ** draw.uniform(8, 10) for _ in range(count)]
    return [scored(n, math.log(cost) + draw.random(), cost) for n, cost in enumerate(costs)]


def test_long_run_is_drawn_soon_and_its_file_is_small(tmp_path: Path) -> None:
    trials = long_run(50_000)
    began = time.perf_counter()
    search_plot(tmp_path / "search.png", trials, TWO)
    pareto_plot(tmp_path / "front.png", trials, TWO)
    assert time.perf_counter() - began < 20  # two on an idle machine
    assert all(file.stat().st_size < 1_000_000 for file in tmp_path.iterdir())


def test_front_of_which_all_trials_are_members_is_drawn_soon(tmp_path: Path) -> None:
    trials = [scored(n, float(n), float(n)) for n in range(50_000)]
    began = time.perf_counter()
    pareto_plot(tmp_path / "front.png", trials, TWO)
    assert time.perf_counter() - began < 20


def test_thinned_plot_says_so_and_keeps_the_best(drawn: list[Figure]) -> None:
    trials = long_run(3 * SHOWN_DOTS)
    search_plot(Path("a.png"), trials, TWO)
    pareto_plot(Path("b.png"), trials, TWO)
    progress, costs = drawn[0].axes
    (compromises,) = drawn[1].axes
    each = f"{SHOWN_DOTS // 2} of {len(trials)} trials"
    assert len(points(progress, each)) == len(points(costs, each)) == SHOWN_DOTS // 2
    assert {each, f"{SHOWN_DOTS} of {len(trials)} trials"} <= {*texts(drawn[0]), *texts(drawn[1])}
    best = max(trials, key=lambda trial: trial.score or 0.0)
    assert np.asarray(progress.lines[0].get_ydata())[-1] == best.score
    assert np.asarray(costs.collections[-1].get_offsets())[0][1] == best.score
    assert points(compromises, "best compromises")[-1][1] == best.score


def test_named_points_differ_in_colour_or_marker(drawn: list[Figure]) -> None:
    dots = [Dot(str(n), float(n), 0.0) for n in range(30)]
    dots_plot(Path("a.png"), dots, x="x", y="y", title="")
    looks = {
        str([np.asarray(each.get_facecolor()), np.asarray(each.get_paths()[0].vertices)])
        for each in drawn[0].axes[0].collections
    }
    assert len(looks) == 30


def test_plots_show_the_trials_of_the_highest_fidelity(drawn: list[Figure], tmp_path: Path) -> None:
    early = [evolve(scored(n, 50.0 + n, 1e9), fidelity=1 / 3) for n in range(4)]
    late = [scored(4, 30.0, 2e9), scored(5, 31.0, 3e9)]
    failed = Trial(6, Architecture("s", {"d": "6"}), status="failed")
    search_plot(tmp_path / "search.png", [*early, *late, failed], TWO)
    pareto_plot(tmp_path / "pareto.png", [*early, *late, failed], TWO)
    for figure in drawn:
        dots = figure.axes[0].collections[0].get_offsets()
        assert sorted(float(y) for _, y in np.asarray(dots)) == [30.0, 31.0]
    search_plot(tmp_path / "early.png", [*early, failed], TWO)
    assert len(np.asarray(drawn[-1].axes[0].collections[0].get_offsets())) == 4
