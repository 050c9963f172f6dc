"""The network level: a tree of path prefixes, in which every branch has weights of its own.

A path is a string of steps: ``0`` is a cell, ``1`` a convolution (that enlarges, in backbone A).
"""

from __future__ import annotations

from attrs import frozen


@frozen
class PathTree:
    """All prefixes of the paths with at most ``cells`` zeros and ``ups`` ones.

    The first ``cells - searched_cells`` steps are cells in every path.
    """

    cells: int
    searched_cells: int
    ups: int

    @property
    def root(self) -> str:
        """The prefix that all paths share."""
        return "0" * (self.cells - self.searched_cells)

    def prefixes(self) -> tuple[str, ...]:
        """Return every node, a parent before its children and ``1`` before ``0``."""
        return tuple(self._walk()[0])

    def cell_prefixes(self) -> tuple[str, ...]:
        """Return the prefixes that end in a cell; a cell's number is its place here."""
        return tuple(self._walk()[1])

    def _walk(self) -> tuple[list[str], list[str]]:
        """Walk the tree depth first; return prefixes as visited, and cells as found.

        Both orders are those of the authors' code, whose lists of architectures count by them.
        """
        visited, stack = [], [self.root]
        cells = [self.root[:n] for n in range(1, len(self.root) + 1)]
        # Last in, first out: the branch with 1 is pushed last and so visited first.
        while stack:
            prefix = stack.pop()
            visited.append(prefix)
            if prefix.count("0") < self.cells:
                stack.append(prefix + "0")
                cells.append(prefix + "0")
            if prefix.count("1") < self.ups:
                stack.append(prefix + "1")
        return visited, cells

    def complete(self) -> tuple[str, ...]:
        """Return the paths that cannot be extended."""
        return tuple(
            prefix
            for prefix in self.prefixes()
            if prefix.count("0") == self.cells and prefix.count("1") == self.ups
        )


def steps(prefix: str) -> tuple[str, ...]:
    """Return the prefixes of a path from its first step to itself, so one per step."""
    return tuple(prefix[:n] for n in range(1, len(prefix) + 1))


def cell_steps(prefix: str) -> tuple[str, ...]:
    """Return the prefixes that name a path's cells, in their order."""
    return tuple(step for step in steps(prefix) if step.endswith("0"))
