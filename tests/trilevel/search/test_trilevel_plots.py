"""Plots of a search and diagrams of what it finds: what is drawn, read from the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from attrs import evolve
from PIL import Image

from corenas import Architecture, InputError
from corenas.drawing import _canvas as canvas
from corenas.values.trial import Event
from corenas_trilevel.search import plots
from corenas_trilevel.search.plots import SHOWN_PATHS, path_plot, sparsity_plot
from corenas_trilevel.space.config import TrilevelAConfig, TrilevelBConfig
from corenas_trilevel.space.diagrams import draw_network
from corenas_trilevel.space.space import TrilevelSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
LEVELS = ("path", "operation", "width")


def epoch(step: int, **scalars: float) -> Event:
    return Event("epoch", step, 100, scalars)


def weights(step: int, named: Mapping[str, float]) -> Event:
    return Event("epoch", step, 100, {"loss": 1.0, **{f"path/{k}": v for k, v in named.items()}})


def searched(step: int, sparsity: float) -> Event:
    """An event with all the numbers of the search phase."""
    scalars = {f"{level}_sparsity": sparsity + i / 10 for i, level in enumerate(LEVELS)}
    scalars |= {f"{level}_entropy": 4 - step / 50 + i for i, level in enumerate(LEVELS)}
    return epoch(step, loss=1 / step, expected_cost=1e9 * step, **scalars)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    drawn: list[Figure] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    return drawn


@pytest.fixture
def svg_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let diagrams write no PNG, which takes longer and is tested elsewhere."""
    save = canvas.save_figure

    def save_svg(figure: Figure, path: Path) -> None:
        if path.suffix == ".svg":
            save(figure, path)

    monkeypatch.setattr(canvas, "save_figure", save_svg)


def panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """The finite points of each line by its label."""
    return {
        str(line.get_label()): [
            (x, y) for x, y in np.asarray(line.get_xydata()).tolist() if math.isfinite(y)
        ]
        for line in axes.lines
    }


def says(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_numbers_of_all_levels_stand_over_their_steps(figures: list[Figure]) -> None:
    sparsity_plot(Path("a.png"), [searched(30, 0.5), searched(10, 0.0), searched(20, 0.25)])
    found = panels(figures[0])
    sparsity, entropy = lines(found["Sparsity"]), lines(found["Entropy"])
    assert sparsity["path"] == [(10, 0.0), (20, 0.25), (30, 0.5)]
    assert np.allclose(sparsity["widths"], [(10, 0.2), (20, 0.45), (30, 0.7)])
    assert np.allclose(entropy["operations"], [(10, 4.8), (20, 4.6), (30, 4.4)])
    (loss,) = lines(found["Loss"]).values()
    (cost,) = lines(found["Expected cost"]).values()
    assert np.allclose(loss, [(10, 0.1), (20, 0.05), (30, 1 / 30)])
    assert cost == [(10, 1e10), (20, 2e10), (30, 3e10)]
    assert found["Entropy"].get_ylim()[0] == 0
    assert found["Sparsity"].get_ylim() == (0, 1)


def test_what_is_absent_or_not_finite_is_a_gap_and_not_a_zero(figures: list[Figure]) -> None:
    events = [epoch(s, loss=1.0) for s in (1, 2)] + [searched(s, 0.5) for s in (3, 4)]
    events += [epoch(5, loss=math.nan, path_sparsity=math.inf), searched(6, 0.5)]
    sparsity_plot(Path("a.png"), events)
    found = panels(figures[0])
    assert [x for x, _ in lines(found["Sparsity"])["path"]] == [3, 4, 6]
    assert [x for x, _ in next(iter(lines(found["Loss"]).values()))] == [1, 2, 3, 4, 6]
    (loss,) = found["Loss"].lines
    assert np.isnan(np.asarray(loss.get_ydata())).tolist() == [False] * 4 + [True, False]


def test_panel_without_a_number_says_so(figures: list[Figure]) -> None:
    others = [Event("stage", 5, scalars={"path_sparsity": 1.0}), Event("started", 1)]
    sparsity_plot(Path("a.png"), [*others, epoch(1, loss=2.0), epoch(2, width_entropy=1.0)])
    found = panels(figures[0])
    silent = [title for title, axes in found.items() if says(axes) == ["not recorded"]]
    assert silent == ["Sparsity", "Expected cost"]
    assert list(lines(found["Entropy"])) == ["widths"]
    sparsity_plot(Path("a.png"), [])
    assert all(says(axes) == ["not recorded"] for axes in figures[1].axes)


def heat_map(figure: Figure) -> tuple[list[str], list[list[float]], list[float]]:
    """Row labels, the values of each row from the top, and the borders between columns."""
    axes = figure.axes[0]
    (mesh,) = axes.collections
    values: Any = mesh.get_array()
    borders: Any = mesh.get_coordinates()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert axes.get_ylim() == (len(labels), 0)
    return labels, np.ma.filled(values, math.nan).tolist(), borders[0, :, 0].tolist()


def test_paths_are_sorted_by_their_final_weight(figures: list[Figure]) -> None:
    events = [
        epoch(0, loss=1.0),
        weights(10, {"00": 0.5, "01": 0.3, "001": 0.2}),
        weights(30, {"01": 0.4, "001": 0.6}),
        weights(40, {"01": 0.3, "001": 0.7}),
    ]
    path_plot(Path("a.png"), events)
    labels, values, borders = heat_map(figures[0])
    assert labels == ["001", "01", "00"]
    assert values[:2] == [[0.2, 0.6, 0.7], [0.3, 0.4, 0.3]]
    assert values[2][0] == 0.5
    assert borders == [0, 20, 35, 45]  # half way between steps; pretraining is no column


def test_zero_is_white_and_the_smallest_weight_is_not(figures: list[Figure]) -> None:
    path_plot(Path("a.png"), [weights(1, {"0": 1.0, "01": 1e-9}), weights(2, {"0": 1.0})])
    (mesh,) = figures[0].axes[0].collections
    colours = mesh.to_rgba(mesh.get_array())
    assert colours[1, 1].tolist() == [1, 1, 1, 1]
    assert max(colours[1, 0][:3]) < 0.97
    assert max(colours[0, 0][:3]) < 0.3


def test_weight_that_is_not_a_number_is_unknown_not_zero(figures: list[Figure]) -> None:
    path_plot(
        Path("a.png"), [weights(1, {"0": 1.0, "01": 0.5}), weights(2, {"0": 1, "01": math.nan})]
    )
    labels, values, _ = heat_map(figures[0])
    assert labels == ["0", "01"]
    assert values[1][0] == 0.5
    assert math.isnan(values[1][1])


def test_paths_beyond_the_first_thirty_are_summed(figures: list[Figure]) -> None:
    names = [f"0{i:b}" for i in range(1, SHOWN_PATHS + 13)]
    large = {name: 1.0 + i for i, name in enumerate(names)}
    total = sum(large.values())
    shares = {name: weight / total for name, weight in large.items()}
    path_plot(Path("a.png"), [weights(1, shares), weights(2, {names[-1]: 1.0})])
    labels, values, _ = heat_map(figures[0])
    assert labels == [*reversed(names[12:]), "12 others"]
    assert sum(row[0] for row in values) == pytest.approx(1)
    assert values[-1][0] == pytest.approx(sum(shares[name] for name in names[:12]))


def test_plots_of_few_events_are_written(tmp_path: Path) -> None:
    sparsity_plot(tmp_path / "sparsity.png", [])
    path_plot(tmp_path / "paths.png", [weights(7, {"0": 1.0})])
    for file in ("sparsity.png", "paths.png"):
        with Image.open(tmp_path / file) as image:
            assert min(image.size) > 200


def test_search_without_path_weights_has_an_empty_map(figures: list[Figure]) -> None:
    path_plot(Path("a.png"), [epoch(1, loss=1.0)])
    assert says(figures[0].axes[0]) == ["not recorded"]


def ids_and_texts(path: Path) -> tuple[list[str], list[str]]:
    root = ElementTree.parse(path.with_suffix(".svg"))
    ids = [element.get("id", "") for element in root.iter(f"{SVG}g")]
    return ids, ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


@pytest.mark.usefixtures("svg_only")
@pytest.mark.parametrize(
    ("config", "name", "fixed", "cost"),
    [
        (
            TrilevelBConfig(),
            "trilevel-b/table-3",
            ["conv3 3 → 64", "conv3 64 → 64", "conv3 64 → 48", "shuffle ×4, tanh 48 → 3"],
            "509.1 K parameters",
        ),
        (
            TrilevelAConfig(),
            "trilevel-a/table-1",
            [
                *("conv3 3 → 64", "nearest ×2 conv3 64 → 64", "nearest ×2 conv3 64 → 64"),
                *("conv3 64 → 64", "conv3, tanh 64 → 3"),
            ],
            "372.4 K parameters",
        ),
    ],
)
def test_published_network_is_drawn_cell_by_cell(
    tmp_path: Path, config: Any, name: str, fixed: list[str], cost: str
) -> None:
    space = TrilevelSpace(config)
    architecture = space.known[name]
    state = torch.get_rng_state()
    draw_network(tmp_path / "a", space, architecture)
    assert torch.equal(torch.get_rng_state(), state)
    ids, texts = ids_and_texts(tmp_path / "a")
    drawn = [f"{label} {note}" for label, note in pairwise(texts) if "→" in note]
    written = space.format(architecture)
    operations = []
    for cell in written["cells"]:
        widths = [64, *(width for _, width in cell)]
        operations += [
            f"{operation} {a} → {b}"
            for (operation, _), (a, b) in zip(cell, pairwise(widths), strict=True)
        ]
    assert sorted(drawn) == sorted([*fixed, *operations])
    cells = len(written["cells"])
    assert sum(i.startswith("group-") for i in ids) == cells
    nodes = sum(i.startswith("node-") for i in ids)
    assert nodes == len(drawn) + 2 * cells + 2  # fork and sum of each cell, both images
    assert sum(i.startswith("edge-") for i in ids) == nodes - 1 + cells
    assert f"{name}, path {written['path']}, ×4" in texts
    assert any(text.startswith(cost) and text.endswith("1280×720") for text in texts)


@pytest.mark.usefixtures("svg_only")
def test_diagram_follows_the_options(tmp_path: Path) -> None:
    options = {"cells": 2, "searched_cells": 1, "widths": (2, 4), "features": 6, "scale": 2}
    space = TrilevelSpace(TrilevelAConfig(**options, share_up=True))
    first = {decision.name: decision.options[0] for decision in space.decisions}
    draw_network(tmp_path / "a", space, Architecture(space.name, first))
    _, texts = ids_and_texts(tmp_path / "a")
    assert "shared" in texts
    assert "2 → 6" in texts
    with pytest.raises(InputError, match="belongs to the space"):
        draw_network(tmp_path / "b", space, evolve(Architecture(space.name, first), space="x"))
    assert {file.name for file in tmp_path.iterdir()} == {"a.svg", "a.dot"}
