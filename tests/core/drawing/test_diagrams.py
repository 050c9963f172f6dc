"""Layouts as pure functions over random graphs, and what is in the files that are drawn."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree

import pytest
from attrs import frozen
from PIL import Image

from corenas.drawing import _canvas as canvas
from corenas.drawing._dot import to_dot
from corenas.drawing._layers import Edge, find_crossings, find_positions, make_layers
from corenas.drawing._layout import Box, Frame, Point, break_into_rows, lay_out, round_corners
from corenas.drawing.diagrams import draw_graph
from corenas.drawing.parts import Group, Node
from corenas.errors import CorenasError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
SEEDS = range(30)


def random_graph(seed: int) -> tuple[dict[str, tuple[float, float]], list[Edge]]:
    """A graph without cycles whose nodes stand in any order."""
    draw = random.Random(seed)
    order = [f"n{i}" for i in range(draw.randint(1, 12))]
    density = draw.choice([0.1, 0.25, 0.6])
    edges = [pair for pair in combinations(order, 2) if draw.random() < density]
    draw.shuffle(order)
    draw.shuffle(edges)
    sizes = {name: (draw.uniform(5, 120), draw.uniform(5, 60)) for name in order}
    return sizes, edges


def random_tree(seed: int) -> tuple[list[str], list[Edge]]:
    """A tree whose leaves meet in one node, as in a searched cell."""
    draw = random.Random(seed)
    count = draw.randint(1, 15)
    parents = {f"n{i}": f"n{draw.randrange(i)}" for i in range(1, count)}
    names = ["n0", *parents, "sum"]
    leaves = [name for name in names[:-1] if name not in parents.values()]
    edges = [(parent, name) for name, parent in parents.items()]
    return names, [*edges, *((leaf, "sum") for leaf in leaves)]


def on_curve(points: Sequence[Point], samples: int = 9) -> Iterator[Point]:
    """Points of the Bézier segments, by de Casteljau's construction."""
    for first in range(0, len(points) - 1, 3):
        for t in (i / samples for i in range(samples + 1)):
            left = list(points[first : first + 4])
            while len(left) > 1:
                left = [(a + t * (c - a), b + t * (d - b)) for (a, b), (c, d) in pairwise(left)]
            yield left[0]


def overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom


def holds(outer: Box, inner: Box) -> bool:
    return (
        outer.left <= inner.left
        and inner.right <= outer.right
        and outer.top <= inner.top
        and inner.bottom <= outer.bottom
    )


def enters(curve: Sequence[Point], box: Box) -> bool:
    """Whether a curve has points well inside a box."""
    return any(
        box.left + 0.01 < x < box.right - 0.01 and box.top + 0.01 < y < box.bottom - 0.01
        for x, y in on_curve(curve)
    )


def longest(name: str, edges: Sequence[Edge]) -> int:
    return max((longest(a, edges) + 1 for a, b in edges if b == name), default=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_keep_apart_and_edges_lead_down_beside_them(seed: int) -> None:
    sizes, edges = random_graph(seed)
    layout = lay_out(sizes, edges)
    boxes = layout.boxes
    assert {name: (box.width, box.height) for name, box in boxes.items()} == sizes
    sheet = Box(-1e-6, -1e-6, layout.width + 2e-6, layout.height + 2e-6)
    assert all(holds(sheet, box) for box in boxes.values())
    assert not any(overlap(a, b) for a, b in combinations(boxes.values(), 2))
    assert list(layout.curves) == edges
    for edge, curve in layout.curves.items():
        source, target = (boxes[name] for name in edge)
        assert source.bottom + 20 < target.top
        (x0, y0), (x1, y1) = curve[0], curve[-1]
        assert source.left < x0 < source.right
        assert target.left < x1 < target.right
        assert (y0, y1) == pytest.approx((source.bottom, target.top))
        heights = [y for _, y in on_curve(curve)]
        assert all(b >= a - 1e-9 for a, b in pairwise(heights))
        assert not any(enters(curve, box) for box in boxes.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_layer_is_the_longest_path_from_an_input(seed: int) -> None:
    sizes, edges = random_graph(seed)
    boxes = lay_out(sizes, edges).boxes
    depth = {name: longest(name, edges) for name in sizes}
    for a, b in combinations(sizes, 2):
        higher = boxes[a].centre[1] < boxes[b].centre[1] - 1e-6
        assert higher == (depth[a] < depth[b])


@pytest.mark.parametrize("seed", SEEDS)
def test_cell_is_drawn_without_a_crossing_and_with_straight_long_edges(seed: int) -> None:
    names, edges = random_tree(seed)
    graph = make_layers(names, edges)
    assert not find_crossings(graph.layers, graph.links)
    x = find_positions(graph, lambda a, b: 10.0)
    for route in graph.routes:
        assert len({x[vertex] for vertex in route[1:-1]}) <= 1
    for layer in graph.layers:
        assert all(x[b] - x[a] >= 10 - 1e-9 for a, b in pairwise(layer))


def test_order_has_hardly_more_crossings_than_the_best_of_all_orders() -> None:
    found = fewest = unsorted = 0
    for seed in range(12):
        draw = random.Random(seed)
        edges = [pair for pair in product("abcd", "wxyz") if draw.random() < 0.45]
        edges += [("a", lower) for lower in "wxyz" if lower not in dict(map(reversed, edges))]
        names = "abcdwxyz"
        graph = make_layers(names, edges)
        found += len(find_crossings(graph.layers, graph.links))
        unsorted += len(find_crossings([*map(sorted, graph.layers)], graph.links))
        fewest += min(
            len(find_crossings([upper, lower], graph.links))
            for upper, lower in product(*map(permutations, graph.layers))
        )
    assert 20 < fewest <= found <= 1.25 * fewest
    assert found < 0.6 * unsorted


def test_parent_stands_over_its_children_and_the_earlier_one_is_left() -> None:
    names = ["top", "a", "b", "c", "a1", "a2", "b1", "c1", "c2"]
    edges = [("top", child) for child in "abc"]
    edges += [(child[0], child) for child in names if child[-1].isdigit()]
    boxes = lay_out(dict.fromkeys(names, (60.0, 30.0)), edges).boxes
    x = {name: box.centre[0] for name, box in boxes.items()}
    assert x["a1"] < x["a2"] < x["b1"] < x["c1"] < x["c2"]
    assert x["a"] == pytest.approx((x["a1"] + x["a2"]) / 2)
    assert [x["b"], x["b1"]] == pytest.approx([x["top"]] * 2)
    assert x["c"] == pytest.approx((x["c1"] + x["c2"]) / 2)


def test_edge_that_passes_layers_passes_beside_their_boxes() -> None:
    sizes = dict.fromkeys("abcd", (60.0, 30.0))
    layout = lay_out(sizes, [*pairwise("abcd"), ("a", "d")])
    for name in "bc":
        box = layout.boxes[name]
        beside = {x for x, y in on_curve(layout.curves["a", "d"]) if box.top <= y <= box.bottom}
        assert beside
        assert min(beside) > box.right or max(beside) < box.left


def test_group_has_the_frame_around_its_layers_alone() -> None:
    sizes = dict.fromkeys(("in", "a", "b", "c", "sum"), (60.0, 30.0))
    edges = [("in", "a"), ("in", "b"), ("b", "c"), ("a", "sum"), ("c", "sum")]
    for label in (10.0, 150.0):
        layout = lay_out(sizes, edges, frames=[Frame(("a", "b", "c"), label)])
        (frame,) = layout.frames
        assert {name for name, box in layout.boxes.items() if holds(frame, box)} == {"a", "b", "c"}
        assert not any(overlap(frame, layout.boxes[name]) for name in ("in", "sum"))
        assert frame.height >= label
        assert frame.left >= 0
        bends = [
            p for curve in layout.curves.values() for p in curve if frame.top < p[1] < frame.bottom
        ]
        assert all(frame.left < x < frame.right for x, _ in bends)
    with pytest.raises(ValueError, match="node b stands in the layers"):
        lay_out(sizes, edges, frames=[Frame(("a", "c"))])


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([("a", "b"), ("b", "a")], "cycle"),
        ([("a", "a")], "cycle"),
        ([("a", "b"), ("a", "b")], "a to b stands twice"),
        ([("a", "c")], "no node c"),
    ],
)
def test_graph_that_cannot_be_layered_is_refused(edges: list[Edge], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lay_out({"a": (1.0, 1.0), "b": (1.0, 1.0)}, edges)


def test_empty_graph_has_an_empty_layout() -> None:
    assert lay_out({}, []).boxes == lay_out({}, [], direction="right").boxes == {}


@pytest.mark.parametrize("seed", range(15))
def test_rows_are_as_few_and_as_short_as_any(seed: int) -> None:
    draw = random.Random(seed)
    widths = [draw.uniform(10, 90) for _ in range(draw.randint(1, 9))]
    limit = draw.uniform(90, 300)

    def length(row: range) -> float:
        return sum(widths[i] for i in row) + 7 * (len(row) - 1)

    best = (len(widths) + 1, 0.0)
    for cuts in product((False, True), repeat=len(widths) - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut]
        rows = [range(a, b) for a, b in pairwise([0, *ends, len(widths)])]
        if max(map(length, rows)) <= limit:
            best = min(best, (len(rows), max(map(length, rows))))
    rows = break_into_rows(widths, limit, gap=7)
    assert [i for row in rows for i in row] == list(range(len(widths)))
    assert (len(rows), max(map(length, rows))) == pytest.approx(best)


def test_thing_wider_than_a_row_has_a_row_of_its_own() -> None:
    assert break_into_rows([10, 500, 10], 100, gap=5) == [range(1), range(1, 2), range(2, 3)]


def random_chain(seed: int) -> tuple[dict[str, tuple[float, float]], list[Frame], list[Edge]]:
    draw = random.Random(seed)
    names, frames = [], []
    for index in range(draw.randint(1, 8)):
        run = tuple(f"n{index}-{i}" for i in range(draw.choice([1, 1, 3, 6])))
        names += run
        if len(run) > 1:
            frames.append(Frame(run, draw.uniform(5, 80)))
    sizes = {name: (draw.uniform(5, 90), draw.uniform(5, 50)) for name in names}
    skips = [(frame.members[0], frame.members[-1]) for frame in frames]
    return sizes, frames, [*skips, *pairwise(names)]


@pytest.mark.parametrize("seed", SEEDS)
def test_chain_reads_in_rows_and_no_edge_meets_a_box(seed: int) -> None:
    sizes, given, edges = random_chain(seed)
    layout = lay_out(sizes, edges, frames=given, direction="right", row_width=600)
    boxes, frames = layout.boxes, layout.frames
    assert not any(overlap(a, b) for a, b in combinations(boxes.values(), 2))
    assert not any(overlap(a, b) for a, b in combinations(frames, 2))
    for (_, first), (_, second) in pairwise(boxes.items()):
        same_row = first.centre[1] == pytest.approx(second.centre[1])
        assert first.right < second.left if same_row else first.bottom < second.top
    sheet = Box(-1e-6, -1e-6, layout.width + 2e-6, layout.height + 2e-6)
    for frame, drawn in zip(given, frames, strict=True):
        assert holds(sheet, drawn)
        held = {name for name, box in boxes.items() if overlap(drawn, box)}
        assert held == set(frame.members)
        assert all(holds(drawn, boxes[name]) for name in held)
        assert drawn.width > frame.label_length
        skip = layout.curves[frame.members[0], frame.members[-1]]
        assert min(y for _, y in skip) < min(boxes[name].top for name in frame.members[1:-1])
    assert list(layout.curves) == edges
    for curve in layout.curves.values():
        assert not any(enters(curve, box) for box in boxes.values())
        assert all(sheet.left <= x <= sheet.right for x, _ in curve)


def test_chain_that_is_too_long_for_a_row_is_broken_outside_frames() -> None:
    sizes = dict.fromkeys("abcdef", (60.0, 30.0))
    frames = [Frame(("b", "c", "d"))]
    for width in (10_000, 400, 50):
        boxes = lay_out(
            sizes, [*pairwise("abcdef")], frames=frames, direction="right", row_width=width
        ).boxes
        rows = {name: box.centre[1] for name, box in boxes.items()}
        assert rows["b"] == rows["c"] == rows["d"]
        assert len(set(rows.values())) == {10_000: 1, 400: 2, 50: 4}[width]


def test_edge_to_the_next_row_passes_beside_a_frame_with_a_long_label() -> None:
    sizes = dict.fromkeys("abc", (60.0, 30.0))
    frames = [Frame(("b",), 300.0)]
    edges = [*pairwise("abc")]
    layout = lay_out(sizes, edges, frames=frames, direction="right", row_width=50)
    assert max(x for x, _ in layout.curves["b", "c"]) > layout.frames[0].right
    assert layout.width >= max(x for x, _ in layout.curves["b", "c"])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (("x",), "no node x"),
        (("c", "d", "x"), "no node x"),
        (("a", "c"), "node b stands in"),
        ((), "no node"),
    ],
)
def test_frame_around_what_is_no_part_of_the_graph_is_refused(
    members: tuple[str, ...], message: str
) -> None:
    sizes = dict.fromkeys("abcd", (50.0, 20.0))
    with pytest.raises(ValueError, match=message):
        lay_out(sizes, [*pairwise("abcd")], frames=[Frame(members)], direction="right")


def test_square_with_corners_as_round_as_can_be_is_a_circle() -> None:
    square = [(10.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0), (0.0, 0.0), (10.0, 0.0)]
    for x, y in on_curve(round_corners(square, 10)):
        assert (x - 10) ** 2 + (y - 10) ** 2 == pytest.approx(100, rel=1e-3)


NODES = [
    Node("in", "image", "fixed", "3 channels"),
    Node("a", "conv3", "conv", "node 1\n$x_1$ & <more>", marked=True),
    Node("b", "identity", "identity"),
    Node("+", "+", "sum"),
]
EDGES = [("in", "a"), ("in", "b"), ("a", "+"), ("b", "+")]
CELL = Group("searched cell", ("a", "b"))


def names_in(svg: Path, prefix: str) -> list[str]:
    """The ids of groups in an SVG file that begin with a prefix."""
    ids = [element.get("id", "") for element in ElementTree.parse(svg).iter(f"{SVG}g")]
    return sorted(name for name in ids if name.startswith(prefix))


def texts_in(svg: Path) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.parse(svg).iter(f"{SVG}text")]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    drawn: list[Figure] = []
    monkeypatch.setattr(canvas, "save_figure", lambda figure, path: drawn.append(figure))
    return drawn


def test_graph_is_written_as_svg_with_text_and_as_png(tmp_path: Path) -> None:
    path = tmp_path / "cell.v2"
    draw_graph(path, NODES, EDGES, title="Title", groups=[CELL], footer="60 K parameters")
    svg = tmp_path / "cell.v2.svg"
    assert names_in(svg, "node-") == ["node-+", "node-a", "node-b", "node-in"]
    assert names_in(svg, "edge-") == sorted(f"edge-{a}-{b}" for a, b in EDGES)
    assert names_in(svg, "group-") == ["group-0"]
    assert names_in(svg, "legend-") == ["legend-conv", "legend-identity"]
    assert sorted(texts_in(svg)) == sorted(
        [
            *("Title", "60 K parameters", "searched cell", "convolution", "identity"),
            *("image", "3 channels", "conv3", "node 1", "$x_1$ & <more>", "identity", "+"),
        ]
    )
    with Image.open(tmp_path / "cell.v2.png") as image:
        assert image.width > 500
    written = {file.name for file in tmp_path.iterdir()}
    assert written == {"cell.v2.svg", "cell.v2.png", "cell.v2.dot"}


def test_equal_diagrams_are_equal_files(tmp_path: Path) -> None:
    for name in "ab":
        draw_graph(tmp_path / name, NODES, EDGES, title="Title", groups=[CELL], direction="right")
    for suffix in ("svg", "png", "dot"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in "ab")
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("direction", ["down", "right"])
def test_text_stays_in_its_box(
    tmp_path: Path, figures: list[Figure], direction: Literal["down", "right"]
) -> None:
    nodes = [
        Node("a", "WWWWWWWWWWWWWWWWWWWWWWWW", "conv", "short"),
        Node("b", "i", "gate", "a note that is much longer than the label\nof\nthree lines"),
    ]
    group = Group("a label longer than what it stands beside", ("b",))
    draw_graph(
        tmp_path / "x",
        nodes,
        [("a", "b")],
        title="title " * 20,
        groups=[group],
        footer="end " * 60,
        direction=direction,
    )
    axes = figures[0].axes[0]
    shapes = {str(patch.get_gid()): patch.get_window_extent() for patch in axes.patches}
    texts = {text.get_text(): text.get_window_extent() for text in axes.texts}
    homes = {
        "node-a": ["WWWWWWWWWWWWWWWWWWWWWWWW", "short"],
        "node-b": ["i", "a note that is much longer than the label", "of", "three lines"],
        "group-0": ["a label longer than what it stands beside"],
    }
    for home, inside in homes.items():
        for text in inside:
            box, held = shapes[home], texts[text]
            assert box.x0 < held.x0 < held.x1 < box.x1
            assert box.y0 < held.y0 < held.y1 < box.y1
    for text in texts.values():
        assert figures[0].bbox.x0 <= text.x0 <= text.x1 <= figures[0].bbox.x1


def test_marked_box_has_a_thicker_border(tmp_path: Path, figures: list[Figure]) -> None:
    draw_graph(tmp_path / "x", NODES, EDGES, title="")
    width = {str(p.get_gid()): p.get_linewidth() for p in figures[0].axes[0].patches}
    assert width["node-a"] > width["node-b"] == width["node-in"]


def test_fork_is_a_dot_that_no_arrow_points_to(tmp_path: Path, figures: list[Figure]) -> None:
    nodes = [NODES[0], Node("f", "", "fork"), NODES[1]]
    draw_graph(tmp_path / "x", nodes, [("in", "f"), ("f", "a")], title="", direction="right")
    style = {str(p.get_gid()): p for p in figures[0].axes[0].patches}
    arrows = {
        name: type(style[name].get_arrowstyle()).__name__ for name in ("edge-in-f", "edge-f-a")
    }
    assert arrows == {"edge-in-f": "Curve", "edge-f-a": "CurveFilledB"}


def test_node_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="node a stands twice"):
        draw_graph(Path("x"), [NODES[1], NODES[0], NODES[1]], [], title="")


def test_diagram_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CorenasError, match=r"cell\.svg: cannot be written"):
        draw_graph(tmp_path / "file" / "cell", NODES, EDGES, title="")


def test_matplotlib_and_torch_are_not_loaded_to_import_it() -> None:
    heavy = "{'matplotlib', 'torch'}"
    code = f"import sys, corenas.drawing.diagrams; sys.exit(bool({heavy} & {{*sys.modules}}))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@frozen
class Dot:
    """What DOT text says, read by a small parser of its strings."""

    attributes: dict[str, dict[str, str]]
    edges: dict[Edge, dict[str, str]]
    groups: dict[str, list[str]]

    @classmethod
    def read(cls, text: str) -> Dot:
        string = r'"((?:[^"\\]|\\.)*)"'

        def plain(quoted: str) -> str:
            return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], quoted)

        def named(values: str) -> dict[str, str]:
            return {name: plain(value) for name, value in re.findall(rf"(\w+)={string}", values)}

        found = cls({}, {}, {})
        for line in text.splitlines()[1:-1]:
            if edge := re.fullmatch(rf"  {string} -> {string} \[(.*)\]", line):
                found.edges[plain(edge[1]), plain(edge[2])] = named(edge[3])
            elif node := re.fullmatch(rf"  {string} \[(.*)\]", line):
                found.attributes[plain(node[1])] = named(node[2])
            else:
                label, *members = map(plain, re.findall(string, line))
                assert line.startswith(f"  subgraph cluster_{len(found.groups)} {{")
                found.groups[label] = members
        return found


def test_dot_holds_the_graph_whatever_its_texts_are() -> None:
    wild = Node('a"b', 'say "hi" \\N', "gate", "$x$\n<b>&amp;", marked=True)
    nodes = [*NODES, wild, Node("f", "", "fork")]
    edges = [*EDGES, ("+", 'a"b'), ('a"b', "f")]
    text = to_dot(nodes, edges, title="T", groups=[CELL], footer="60 K", direction="right")
    read = Dot.read(text)
    assert 'rankdir="LR"' in text.splitlines()[0]
    assert '"T\\n60 K"' in text.splitlines()[0]
    assert text.count("{") == text.count("}")
    assert list(read.attributes) == [node.name for node in nodes]
    assert read.attributes['a"b']["label"] == 'say "hi" \\N\n$x$\n<b>&amp;'
    assert read.attributes["f"]["shape"] == "point"
    assert list(read.edges) == edges
    assert [edge for edge, look in read.edges.items() if look] == [('a"b', "f")]
    assert read.groups == {"searched cell": ["a", "b"]}
