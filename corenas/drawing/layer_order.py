"""Layers of a directed graph, and an order within each so that few edges cross.

The scheme is that of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
system structures" (1981): an edge over several layers passes a bend in each of those between, and
vertices are sorted by the barycentres of their neighbours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import combinations, pairwise

from attrs import frozen

from corenas.drawing.diagram_layout import Edge

_SWEEPS = 8

Link = tuple[int, int]
"""Two vertices of adjacent layers, the upper one first."""


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


def layered_graph(names: Sequence[str], edges: Sequence[Edge]) -> LayeredGraph:
    """Put nodes on layers by the longest path that leads to them, in an order with few crossings.

    Raises:
        ValueError: An edge stands twice or leads to an unknown node, or there is a cycle.
    """
    depth = _depths(names, edges)
    number = {name: index for index, name in enumerate(names)}
    layer_of = [depth[name] for name in names]
    routes = []
    for source, target in edges:
        between = range(depth[source] + 1, depth[target])
        bends = range(len(layer_of), len(layer_of) + len(between))
        layer_of += between
        routes.append((number[source], *bends, number[target]))
    graph = LayeredGraph(len(names), (), tuple(routes))
    layers = _ordered(_first_order(layer_of, graph.links), graph.links)
    return LayeredGraph(len(names), layers, tuple(routes))


def _depths(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return for each node how many edges the longest path to it has."""
    twice = [edge for edge, times in Counter(edges).items() if times > 1]
    if twice:
        raise ValueError(f"edge {twice[0][0]} to {twice[0][1]} stands twice")
    sources: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        if unknown := {source, target} - sources.keys():
            raise ValueError(f"edge {source} to {target}: there is no node {min(unknown)}")
        sources[target].append(source)
    depth: dict[str, int] = {}
    for name in TopologicalSorter(sources).static_order():  # its CycleError is a ValueError
        depth[name] = max((depth[source] + 1 for source in sources[name]), default=0)
    return depth


def _first_order(layer_of: Sequence[int], links: Sequence[Link]) -> list[list[int]]:
    """Order vertices as a search in depth finds them: a tree is drawn without a crossing."""
    below = _neighbours(links)
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


def _ordered(layers: list[list[int]], links: Sequence[Link]) -> tuple[tuple[int, ...], ...]:
    """Sort by barycentres, downwards and upwards by turns, and keep the order that is best."""
    above, below = _neighbours((lower, upper) for upper, lower in links), _neighbours(links)
    best, fewest = [list(layer) for layer in layers], crossings(layers, links)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        walk = layers if downwards else layers[::-1]
        for fixed, moved in pairwise(walk):
            _sort_by_barycentre(moved, fixed, neighbours)
        count = crossings(layers, links)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return tuple(tuple(layer) for layer in best)


def _sort_by_barycentre(
    layer: list[int], fixed: Sequence[int], neighbours: Mapping[int, Sequence[int]]
) -> None:
    place = {vertex: index for index, vertex in enumerate(fixed)}
    keys = {}
    for index, vertex in enumerate(layer):
        found = neighbours.get(vertex)
        keys[vertex] = sum(place[v] for v in found) / len(found) if found else float(index)
    layer.sort(key=keys.__getitem__)


def _neighbours(links: Iterable[Link]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for vertex, neighbour in links:
        found.setdefault(vertex, []).append(neighbour)
    return found


def crossings(layers: Sequence[Sequence[int]], links: Iterable[Link]) -> int:
    """Return how many pairs of links cross."""
    return len(crossing_pairs(layers, links))


def crossing_pairs(
    layers: Sequence[Sequence[int]], links: Iterable[Link]
) -> list[tuple[Link, Link]]:
    """Return the pairs of links that cross."""
    place = {vertex: index for layer in layers for index, vertex in enumerate(layer)}
    layer_of = {vertex: index for index, layer in enumerate(layers) for vertex in layer}
    between: dict[int, list[Link]] = {}
    for link in links:
        between.setdefault(layer_of[link[0]], []).append(link)
    return [
        (a, b)
        for gap in between.values()
        for a, b in combinations(gap, 2)
        if (place[a[0]] - place[b[0]]) * (place[a[1]] - place[b[1]]) < 0
    ]
