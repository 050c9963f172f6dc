"""Layers of a directed graph: who stands in which, in what order, and where.

The scheme is that of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
system structures" (1981): an edge over several layers passes a bend in each of those between, and
vertices are sorted by the barycentres of their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import combinations, pairwise

from attrs import frozen

Edge = tuple[str, str]
"""Source and target."""

Link = tuple[int, int]
"""Two vertices of adjacent layers, the upper one first."""

_SWEEPS = 8  # more hardly ever find an order with fewer crossings
_ROUNDS = 300  # until a cell of a dozen nodes moves by less than a hundredth of a point
_FORK_SPEED, _SPEED = 0.5, 0.05  # that a node stands over the middle of several matters most


@frozen
class LayeredGraph:
    """Layers of vertices: numbers of nodes first, then those of bends.

    Attributes:
        nodes: How many vertices are nodes.
        layers: The vertices of each layer, in order.
        routes: For each edge its vertices from source to target, one per layer.
    """

    nodes: int
    layers: tuple[tuple[int, ...], ...]
    routes: tuple[tuple[int, ...], ...]

    @property
    def links(self) -> list[Link]:
        return [link for route in self.routes for link in pairwise(route)]

    def is_bend(self, vertex: int) -> bool:
        return vertex >= self.nodes


def make_layers(names: Sequence[str], edges: Sequence[Edge]) -> LayeredGraph:
    """Put nodes on layers by the longest path that leads to them, in an order with few crossings.

    Raises:
        ValueError: An edge stands twice or leads to an unknown node, or there is a cycle.
    """
    depth = _find_depths(names, edges)
    number = {name: index for index, name in enumerate(names)}
    layer_of = [depth[name] for name in names]
    routes = []
    for source, target in edges:
        between = range(depth[source] + 1, depth[target])
        bends = range(len(layer_of), len(layer_of) + len(between))
        layer_of += between
        routes.append((number[source], *bends, number[target]))
    links = [link for route in routes for link in pairwise(route)]
    layers = _reduce_crossings(_order_by_depth_first_search(layer_of, links), links)
    return LayeredGraph(len(names), layers, tuple(routes))


def _find_depths(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return for each node how many edges the longest path to it has."""
    sources: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        if unknown := {source, target} - sources.keys():
            raise ValueError(f"edge {source} to {target}: there is no node {min(unknown)}")
        if source in sources[target]:
            raise ValueError(f"edge {source} to {target} stands twice")
        sources[target].append(source)
    depth: dict[str, int] = {}
    for name in TopologicalSorter(sources).static_order():  # its CycleError is a ValueError
        depth[name] = max((depth[source] + 1 for source in sources[name]), default=0)
    return depth


def _order_by_depth_first_search(layer_of: Sequence[int], links: Sequence[Link]) -> list[list[int]]:
    """Order vertices as a search in depth finds them: a tree is drawn without a crossing."""
    below = _group_neighbours(links)
    entered = {lower for _, lower in links}
    layers: list[list[int]] = [[] for _ in range(max(layer_of, default=-1) + 1)]
    stack = [v for v in reversed(range(len(layer_of))) if v not in entered]
    found: set[int] = set()
    while stack:
        vertex = stack.pop()
        if vertex not in found:
            found.add(vertex)
            layers[layer_of[vertex]].append(vertex)
            stack += reversed(below.get(vertex, []))
    return layers


def _reduce_crossings(
    layers: list[list[int]], links: Sequence[Link]
) -> tuple[tuple[int, ...], ...]:
    """Sort by barycentres, downwards and upwards by turns, and keep the order that is best."""
    above = _group_neighbours((lower, upper) for upper, lower in links)
    below = _group_neighbours(links)
    best, fewest = tuple(map(tuple, layers)), len(find_crossings(layers, links))
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        neighbours, walk = (below, layers[::-1]) if sweep % 2 else (above, layers)
        for fixed, moved in pairwise(walk):
            _sort_by_barycentre(moved, fixed, neighbours)
        count = len(find_crossings(layers, links))
        if count < fewest:
            best, fewest = tuple(map(tuple, layers)), count
    return best


def _sort_by_barycentre(
    layer: list[int], fixed: Sequence[int], neighbours: Mapping[int, Sequence[int]]
) -> None:
    place = {vertex: index for index, vertex in enumerate(fixed)}
    known = {v: [place[other] for other in neighbours.get(v, [])] for v in layer}
    keys = {v: _mean(known[v], float(index)) for index, v in enumerate(layer)}
    layer.sort(key=keys.__getitem__)


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _group_neighbours(links: Iterable[Link]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for vertex, neighbour in links:
        found.setdefault(vertex, []).append(neighbour)
    return found


def find_crossings(
    layers: Sequence[Sequence[int]], links: Iterable[Link]
) -> list[tuple[Link, Link]]:
    """Return the pairs of links that cross."""
    place = {v: (depth, i) for depth, layer in enumerate(layers) for i, v in enumerate(layer)}
    between: dict[int, list[Link]] = {}
    for link in links:
        between.setdefault(place[link[0]][0], []).append(link)
    return [
        (a, b)
        for gap in between.values()
        for a, b in combinations(gap, 2)
        if (place[a[0]][1] - place[b[0]][1]) * (place[a[1]][1] - place[b[1]][1]) < 0
    ]


def find_positions(graph: LayeredGraph, distance: Callable[[int, int], float]) -> dict[int, float]:
    """Return where each vertex has its centre across the layers, in the order of its layer.

    What is to be straight moves as one line. Each line is drawn to the mean of those below it,
    the lowest ones to those above, and then pushed apart.

    Args:
        graph: Layers in their final order.
        distance: The least distance between the centres of two neighbours in a layer.
    """
    line = _find_straight_lines(graph)
    apart = _measure_distances(graph, line, distance)
    links = [(line[a], line[b]) for a, b in graph.links if line[a] != line[b]]
    below = _group_neighbours(links)
    pull = _group_neighbours((lower, upper) for upper, lower in links) | below
    speed = {v: _FORK_SPEED if len(below.get(v, [])) > 1 else _SPEED for v in line.values()}
    x = _push_apart(dict.fromkeys(speed, 0.0), apart)
    for _ in range(_ROUNDS):
        wanted = {v: _mean([x[other] for other in pull.get(v, [])], here) for v, here in x.items()}
        x = _push_apart({v: x[v] + speed[v] * (wanted[v] - x[v]) for v in x}, apart)
    return {vertex: x[first] for vertex, first in line.items()}


def _measure_distances(
    graph: LayeredGraph, line: Mapping[int, int], distance: Callable[[int, int], float]
) -> dict[Link, float]:
    """Return the least distance of neighbouring lines, those from the left end first."""
    apart: dict[Link, float] = {}
    for layer in graph.layers:
        for left, right in pairwise(layer):
            lines = line[left], line[right]
            apart[lines] = max(apart.get(lines, 0.0), distance(left, right))
    before = _group_neighbours((right, left) for left, right in apart)
    rank = {v: index for index, v in enumerate(TopologicalSorter(before).static_order())}
    return {lines: apart[lines] for lines in sorted(apart, key=lambda lines: rank[lines[0]])}


def _find_straight_lines(graph: LayeredGraph) -> dict[int, int]:
    """Return for each vertex the first one of the straight line on which it stands.

    A link is straight if both ends prefer it. Of two that cross, the line of a long edge wins.
    """
    links = graph.links
    upward, downward = _group_neighbours((b, a) for a, b in links), _group_neighbours(links)
    straight = {(a, b) for b in upward if (a := _choose_preferred(graph, upward[b])) is not None}
    straight &= {
        (a, b) for a in downward if (b := _choose_preferred(graph, downward[a])) is not None
    }
    for pair in find_crossings(graph.layers, sorted(straight)):
        if straight.issuperset(pair):
            straight.remove(min(pair))  # bends have the larger numbers
    before = {lower: upper for upper, lower in straight}
    line: dict[int, int] = {}
    for layer in graph.layers:
        for vertex in layer:
            line[vertex] = line[before[vertex]] if vertex in before else vertex
    return line


def _choose_preferred(graph: LayeredGraph, neighbours: Sequence[int]) -> int | None:
    """Return the only neighbour, or of two the node if the other is a bend: a skip connection."""
    nodes = [vertex for vertex in neighbours if not graph.is_bend(vertex)]
    if len(neighbours) == 2 and len(nodes) == 1:
        return nodes[0]
    return neighbours[0] if len(neighbours) == 1 else None


def _push_apart(wanted: Mapping[int, float], apart: Mapping[Link, float]) -> dict[int, float]:
    """Return the mean of two ways to keep distance: all move only right, or all only left."""
    right_of, left_of = dict(wanted), dict(wanted)
    for (left, right), distance in apart.items():
        right_of[right] = max(right_of[right], right_of[left] + distance)
    for (left, right), distance in reversed(list(apart.items())):
        left_of[left] = min(left_of[left], left_of[right] - distance)
    return {line: (right_of[line] + left_of[line]) / 2 for line in wanted}
