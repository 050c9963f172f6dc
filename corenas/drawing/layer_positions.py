"""Horizontal positions in a layered graph.

The method is that of Brandes and Köpf, "Fast and simple horizontal coordinate assignment" (2001):
vertices are aligned with their median neighbours in four ways, each way is packed, and the mean of
the two middle positions is taken. A long edge is straight between its first and its last bend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise, product

from corenas.drawing.layer_order import LayeredGraph, Link, crossing_pairs

Layers = Sequence[Sequence[int]]
Positions = dict[int, float]


def positions(graph: LayeredGraph, distance: Callable[[int, int], float]) -> Positions:
    """Return the x of each vertex's centre, from 0.

    Args:
        graph: Layers in their final order.
        distance: The least distance between the centres of two neighbours in a layer.
    """
    if not graph.layers:
        return {}
    yielding = _yielding(graph)
    found = []
    for downwards, rightwards in product((True, False), repeat=2):
        step = 1 if rightwards else -1
        layers = [layer[::step] for layer in graph.layers]
        links = graph.links
        if not downwards:
            layers, links = layers[::-1], [(lower, upper) for upper, lower in links]
        free = [link for link in links if not yielding & {link, link[::-1]}]
        packed = _packed(layers, _aligned(layers, links, set(free)), distance)
        found.append({vertex: step * x for vertex, x in packed.items()})
    return _balanced(found)


def _yielding(graph: LayeredGraph) -> set[Link]:
    """Return the links that cross one between two bends, which is to be straight."""
    inner = {link for link in graph.links if all(map(graph.is_bend, link))}
    crossed = [pair for pair in crossing_pairs(graph.layers, graph.links) if set(pair) & inner]
    return {link for pair in crossed for link in pair} - inner


def _aligned(layers: Layers, links: Sequence[Link], free: set[Link]) -> dict[int, int]:
    """Return for each vertex the first one of the vertical line that it stands on."""
    place = {vertex: index for layer in layers for index, vertex in enumerate(layer)}
    neighbours: dict[int, list[int]] = {vertex: [] for vertex in place}
    for before, vertex in links:
        neighbours[vertex].append(before)
    root = {vertex: vertex for vertex in place}
    for layer in layers:
        reached = -1
        for vertex in layer:
            for median in _medians(sorted(neighbours[vertex], key=place.__getitem__)):
                aligned = root[vertex] != vertex
                if not aligned and place[median] > reached and (median, vertex) in free:
                    root[vertex] = root[median]
                    reached = place[median]
    return root


def _medians(values: Sequence[int]) -> Sequence[int]:
    """Return the middle value, or both middle ones."""
    return values[(len(values) - 1) // 2 : len(values) // 2 + 1]


def _packed(
    layers: Layers, root: Mapping[int, int], distance: Callable[[int, int], float]
) -> Positions:
    """Put each line of aligned vertices as far to the left as it can stand."""
    apart: dict[Link, float] = {}
    for layer in layers:
        for left, right in pairwise(layer):
            lines = root[left], root[right]
            apart[lines] = max(apart.get(lines, 0.0), distance(left, right))
    before: dict[int, list[int]] = {line: [] for line in root.values()}
    for left, right in apart:
        before[right].append(left)
    x: Positions = {}
    for line in TopologicalSorter(before).static_order():
        x[line] = max((x[other] + apart[other, line] for other in before[line]), default=0.0)
    return {vertex: x[line] for vertex, line in root.items()}


def _balanced(found: Sequence[Positions]) -> Positions:
    """Shift all to the edges of the narrowest, and return the means of the two middle positions.

    Of the four, the ones with an even number are packed to the left, the others to the right.
    """
    bounds = [(min(x.values()), max(x.values())) for x in found]
    left, right = min(bounds, key=lambda bound: bound[1] - bound[0])
    shifts = [
        left - low if number % 2 == 0 else right - high for number, (low, high) in enumerate(bounds)
    ]
    balanced: Positions = {}
    for vertex in found[0]:
        ranked = sorted(x[vertex] + shift for x, shift in zip(found, shifts, strict=True))
        balanced[vertex] = (ranked[1] + ranked[2]) / 2
    first = min(balanced.values())
    return {vertex: x - first for vertex, x in balanced.items()}
